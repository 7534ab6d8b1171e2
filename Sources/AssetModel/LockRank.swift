internal import Glibc
internal import Synchronization

/// The order in which one thread may take locks: a lock may be taken while locks of lower ranks are held.
///
/// A debug build ends at once where a thread breaks the order, with the names of both ranks; so every run of
/// the tests proves it. A release build checks nothing. A lock that is only tried may be taken in any order.
public enum LockRank: UInt8, Sendable {
    /// `SearchService`'s turn, the choice of the next URL, the signing key's file: held across catalog
    /// operations.
    case service
    /// `OpenNode.attachment`.
    case attachment
    /// `OpenNode.upload`: one node's content. Of two nodes the lower number's comes first.
    case upload
    /// A claim of `BlobPins`: blobs that are being removed or migrated.
    case blobClaim
    /// `GroupCommit.turn`.
    case groupCommit
    /// The catalog's queue, with what runs on it.
    case catalog
    /// `ContentStore.names`. No catalog operation begins under it.
    case blobName
    /// `AssetLibrary.openNodes`.
    case openNodes
    /// `OpenNode.shown`, `ContentStore.bound`.
    case content
    /// Every other lock: it takes no further one.
    case leaf

    #if DEBUG
    /// Notes that this thread takes a lock; ends the process where it holds one that has to come later.
    ///
    /// A lock that `isTried` cannot wait for another thread, and may have any rank.
    public func enter(isTried: Bool = false) {
        let held = unsafe Self.held
        if !isTried {
            for rank in (rawValue + (self == .upload ? 1 : 0))...Self.leaf.rawValue where unsafe held[Int(rank)] > 0 {
                report(heldBelow: LockRank(rawValue: rank))
            }
        }
        unsafe held[Int(rawValue)] += 1
    }

    /// Notes that this thread has released a lock.
    public func leave() { unsafe Self.held[Int(rawValue)] -= 1 }

    /// How many locks of each rank this thread holds.
    private static var held: UnsafeMutablePointer<Int32> {
        if let known = unsafe pthread_getspecific(key) { return unsafe known.assumingMemoryBound(to: Int32.self) }
        let count = Int(leaf.rawValue) + 1
        let made = UnsafeMutablePointer<Int32>.allocate(capacity: count)
        unsafe made.initialize(repeating: 0, count: count)
        unsafe pthread_setspecific(key, made)
        return unsafe made
    }

    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        unsafe pthread_key_create(&key) { unsafe free($0) }
        return key
    }()

    private func report(heldBelow other: LockRank?) {
        let line = Array("Lock order: \(self) is taken while \(other.map { "\($0)" } ?? "another") is held.\n".utf8)
        unsafe _ = write(2, line, line.count)
        abort()
    }
    #else
    /// Does nothing in a release build.
    @inlinable
    public func enter(isTried: Bool = false) {}

    /// Does nothing in a release build.
    @inlinable
    public func leave() {}
    #endif
}
