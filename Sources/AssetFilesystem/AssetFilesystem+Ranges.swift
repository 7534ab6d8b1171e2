internal import AssetLibrary
public import FUSE
internal import LibraryStorage
internal import SystemPackage

// Operations that change parts of files without bytes of the caller.
extension AssetFilesystem {
    /// Allocates a part of the file, punches a hole into it or zeroes it.
    ///
    /// Shifting ranges is EOPNOTSUPP, as on most filesystems.
    public func fallocate(
        _ handle: FileHandle,
        mode: Int32,
        offset: Int64,
        length: Int64,
        for caller: Caller
    ) throws(OperationFailure) {
        let open = try writable(handle)
        // FALLOC_FL_KEEP_SIZE, PUNCH_HOLE and ZERO_RANGE
        guard mode & ~(0x01 | 0x02 | 0x10) == 0 else { throw OperationFailure(.notSupportedOnSocket) }
        // > EPERM the file […] has the append-only flag set and mode is not 0 or FALLOC_FL_KEEP_SIZE —
        // > fallocate(2)
        if mode & ~0x01 != 0 {
            try refusing { () throws(LibraryError) in try library.refuseOpening(open.node.id, appends: false) }
        }
        try willWrite(open, for: caller)
        try refusing { () throws(LibraryError) in
            try library.allocate(open.node, mode: mode, offset: offset, length: length)
        }
        try makeDurable(open)
    }

    /// Copies a part of one file into another.
    public func copyFileRange(
        from source: FileHandle,
        offset start: Int64,
        to handle: FileHandle,
        offset: Int64,
        count: Int,
        for caller: Caller
    ) throws(OperationFailure) -> Int {
        let open = try writable(handle)
        // A view's generated file cannot be copied from; the kernel reads and writes instead.
        guard let source = source.object as? OpenFileHandle else { throw OperationFailure(.notSupportedOnSocket) }
        try willWrite(open, for: caller)
        let copied = try refusing { () throws(LibraryError) in
            try library.copy(from: source.node, at: start, to: open.node, at: offset, count: Int64(count))
        }
        try makeDurable(open)
        return Int(copied)
    }
}
