internal import CFuse
internal import Glibc

/// A reply to readdir or readdirplus, filled entry by entry until it is full.
///
/// An entry's cookie is the position after it, from which the next reply continues; it must stay valid while
/// entries come and go.
@safe
public struct DirectoryBuffer: ~Copyable {
    private let request: fuse_req_t
    private let storage: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(request: fuse_req_t, capacity: Int) {
        unsafe self.request = unsafe request
        unsafe storage = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 8)
    }

    deinit { unsafe storage.deallocate() }

    var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(rebasing: storage[0..<count]) }

    /// Adds a name with its inode number and file type (readdir).
    /// - Returns: false if it does not fit; it was not added then.
    public mutating func append(_ name: [UInt8], inode: InodeNumber, mode: UInt32, cookie: Int64) -> Bool {
        var attributes = stat()
        attributes.st_ino = UInt(inode.rawValue)
        attributes.st_mode = mode
        let needed = unsafe withCString(name) {
            unsafe fuse_add_direntry(request, $0, $1, $2, &attributes, Int(cookie))
        }
        return take(needed)
    }

    /// Adds a name with the complete answer of a lookup (readdirplus).
    ///
    /// The kernel's count for the inode grows by one.
    /// - Returns: false if it does not fit; it was not added then.
    public mutating func append(_ name: [UInt8], entry: Entry, cookie: Int64) -> Bool {
        var parameter = entry.asParameter
        let needed = unsafe withCString(name) {
            unsafe fuse_add_direntry_plus(request, $0, $1, $2, &parameter, Int(cookie))
        }
        return take(needed)
    }

    /// Calls `add` with the free part of the buffer, its size, and the name; libfuse returns the needed size,
    /// and writes if it fits.
    private func withCString(
        _ name: [UInt8],
        _ add: (UnsafeMutablePointer<CChar>?, Int, UnsafePointer<CChar>?) -> Int
    ) -> Int {
        let room = unsafe UnsafeMutableRawBufferPointer(rebasing: storage[count...])
        return unsafe (name + [0]).withUnsafeBytes { bytes in
            unsafe add(
                room.baseAddress?.assumingMemoryBound(to: CChar.self),
                room.count,
                bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
            )
        }
    }

    private mutating func take(_ needed: Int) -> Bool {
        guard unsafe needed <= storage.count - count else { return false }
        count += needed
        return true
    }
}
