public import AssetModel
internal import Glibc

/// The folder `snapshots/` of a library: copies of its catalog, `catalog-YYYYMMDD.sqlite`.
public struct SnapshotFolder: Sendable {
    /// The number of copies that are kept.
    public static let count = 7

    /// The path of the folder.
    public let path: String

    /// Uses the folder of a library with a path.
    public init(of library: String) { path = "\(library)/snapshots" }

    /// The names of the copies, the oldest first.
    public var names: [String] {
        LibraryFiles.names(in: path).filter { name in
            name.hasPrefix("catalog-") && name.hasSuffix(".sqlite") && name.utf8.count == 23
                && name.dropFirst(8).prefix(8).allSatisfy(\.isNumber)
        }
    }

    /// Returns the name of the copy of a day, in UTC.
    public static func name(at time: Timestamp) -> String {
        "catalog-\(time.description.prefix(10).filter { $0 != "-" }).sqlite"
    }

    /// Renames a damaged copy so that it no longer counts as one: appends `.damaged`.
    public func setAside(_ name: String) { unsafe _ = rename("\(path)/\(name)", "\(path)/\(name).damaged") }

    /// Returns the time of the newest copy; nil where there is none.
    ///
    /// A copy with a time in the future comes from a wrong clock, and does not count.
    public func newest(at now: Timestamp) -> Timestamp? {
        names.compactMap { name in
            var status = stat()
            guard unsafe stat("\(path)/\(name)", &status) == 0 else { return nil }
            let made = Timestamp(seconds: status.st_mtim.tv_sec, nanoseconds: 0)
            return made <= now ? made : nil
        }.max()
    }
}
