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
        var climbed: [NodeID] = []
        var result = NameClass.final
        var next: NodeID? = folder
        // A loop: nobody knows how deep a tree is. The root has no entry.
        while result == .final, let current = next {
            if let known = folders.withLock({ $0[current] }) {
                result = known
                break
            }
            climbed.append(current)
            guard let (parent, name) = try records.anyEntry(of: current) else { break }
            result = NameClass(ofFolder: name)
            next = parent
        }
        // The class of the one where the climb ended is that of all below it.
        folders.withLock { folders in
            if folders.count + climbed.count > Self.limit { folders = [:] }
            for folder in climbed.prefix(Self.limit) { folders[folder] = result }
        }
        return result
    }

    /// A folder got another name or place: what is in it may be of another class.
    func forget() { folders.withLock { $0 = [:] } }
}
