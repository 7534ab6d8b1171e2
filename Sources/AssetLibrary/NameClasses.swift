internal import AssetModel
internal import Catalog
internal import Synchronization

/// The classes of names, with what the folders around them say.
///
/// ## Concurrency
/// Called from within operations of the catalog; `folders` takes no other lock.
final class NameClasses: Sendable {
    /// What is known of folders; asked for at every upload, and changed only when a folder gets another name.
    private let folders = Mutex<[NodeID: NameClass]>([:])
    private static let limit = 4096

    /// The class of a name in a folder.
    func of(_ name: EntryName, in parent: NodeID, _ records: Records) throws -> NameClass {
        let own = NameClass(ofFile: name)
        return own == .final ? try of(folder: parent, records) : own
    }

    private func of(folder: NodeID, _ records: Records) throws -> NameClass {
        if let known = folders.withLock({ $0[folder] }) { return known }
        var result = NameClass.final
        // The root has no entry.
        if let (parent, name) = try records.anyEntry(of: folder) {
            result = NameClass(ofFolder: name)
            if result == .final { result = try of(folder: parent, records) }
        }
        folders.withLock { folders in
            if folders.count >= Self.limit { folders = [:] }
            folders[folder] = result
        }
        return result
    }

    /// A folder got another name or place: what is in it may be of another class.
    func forget() { folders.withLock { $0 = [:] } }
}
