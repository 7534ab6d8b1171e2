internal import AssetLibrary
internal import AssetModel
internal import FUSE

extension AssetFilesystem {
    /// Returns the text of `uploads/.stats`: lines of a name and a number, of the kernel's requests and the
    /// library's work since the mount.
    func statistics() -> [UInt8] {
        let age = (Timestamp.now.rawValue - mounted.rawValue) / 1_000_000_000
        let requests = Session.served.map { ("requests.\($0.operation)", Int($0.count)) }
        let all = [("mount.seconds", Int(age))] + library.statistics + requests
        return Array(all.map { "\($0) \($1)\n" }.joined().utf8)
    }
}
