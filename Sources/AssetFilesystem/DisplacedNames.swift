internal import AssetModel
internal import LibraryStorage
internal import Synchronization

/// Remembers the names under which fields were listed until a program set the fields under other names.
///
/// rsync -X reads the list of a file's names, sets the source's attributes, and then removes each name of
/// that list which the source does not have. Where it has set `user.xdg.tags`, and the list had
/// `user.asset.keywords`, there is nothing left to remove: the value has another name.
///
/// ## Concurrency
/// `last` is held for a moment only and takes no other lock.
final class DisplacedNames: Sendable {
    private let last = Mutex<[Int32: (node: NodeID, names: Set<[UInt8]>)]>([:])
    private static let limit = 64

    /// Records that a thread reads the list of a file's names.
    func noteList(of node: NodeID, by thread: Int32) {
        last.withLock { last in
            if last.count >= Self.limit, last[thread] == nil { last = [:] }
            last[thread] = (node, [])
        }
    }

    /// Records that a thread has set a field that was listed under another name, if it has read that list.
    func note(_ name: [UInt8], of node: NodeID, by thread: Int32) {
        last.withLock { last in
            if last[thread]?.node == node { last[thread]?.names.insert(name) }
        }
    }

    /// Returns whether a thread that removes a name has itself displaced it since it last read the list; it
    /// counts once.
    func take(_ name: [UInt8], of node: NodeID, by thread: Int32) -> Bool {
        last.withLock { last in
            guard !last.isEmpty, last[thread]?.node == node else { return false }
            return last[thread]?.names.remove(name) != nil
        }
    }
}
