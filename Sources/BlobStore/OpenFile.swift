public import AssetModel
internal import CLinux
internal import Glibc
public import SystemPackage

/// An open file of the library, closed with its last reference.
///
/// Reading and writing at offsets needs no lock.
public final class OpenFile: Sendable {
    /// The descriptor, valid as long as this object.
    public let descriptor: FileDescriptor

    /// Whether reads bypass the page cache, in whole blocks: O_DIRECT of open(2).
    private let isDirect: Bool

    init(_ number: Int32, isDirect: Bool = false) {
        (descriptor, self.isDirect) = (FileDescriptor(rawValue: number), isDirect)
    }

    deinit { _ = close(descriptor.rawValue) }

    /// Returns the size in bytes, and the number of allocated blocks of 512 bytes.
    public func measure() throws(BlobStoreError) -> (size: Int64, blocks: Int64) {
        var status = stat()
        try checked("fstat") { unsafe fstat(descriptor.rawValue, &status) }
        return (Int64(status.st_size), Int64(status.st_blocks))
    }

    /// Returns the size in bytes, the number of allocated blocks of 512 bytes, and the modification time, at
    /// one moment.
    public func status() throws(BlobStoreError) -> (size: Int64, blocks: Int64, modified: Timestamp) {
        var status = stat()
        try checked("fstat") { unsafe fstat(descriptor.rawValue, &status) }
        return (Int64(status.st_size), Int64(status.st_blocks), status.modified)
    }

    /// Returns whether another open file is the same file on the disk.
    public func isSame(as other: OpenFile) throws(BlobStoreError) -> Bool {
        var (one, two) = (stat(), stat())
        try checked("fstat") { unsafe fstat(descriptor.rawValue, &one) }
        try checked("fstat") { unsafe fstat(other.descriptor.rawValue, &two) }
        return one.st_dev == two.st_dev && one.st_ino == two.st_ino
    }

    /// Returns the time of the last change of the content.
    public func modified() throws(BlobStoreError) -> Timestamp {
        var status = stat()
        try checked("fstat") { unsafe fstat(descriptor.rawValue, &status) }
        return status.modified
    }

    /// Sets the modification time, and leaves the access time unchanged.
    public func setModified(_ time: Timestamp) throws(BlobStoreError) {
        let (seconds, rest) = time.rawValue.quotientAndRemainder(dividingBy: 1_000_000_000)
        // > tv_nsec […] must be in the range 0 to 999,999,999 — utimensat(2)
        let whole = rest < 0 ? seconds - 1 : seconds
        let times = [
            timespec(tv_sec: 0, tv_nsec: 0x3FFF_FFFE /* UTIME_OMIT */),
            timespec(tv_sec: Int(whole), tv_nsec: Int(rest < 0 ? rest + 1_000_000_000 : rest)),
        ]
        try checked("futimens") { unsafe futimens(descriptor.rawValue, times) }
    }

    /// Reads up to a buffer's size from `offset`.
    /// - Returns: the number of bytes; fewer than requested only at the end of the file.
    public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(BlobStoreError) -> Int {
        var done = 0
        while done < buffer.count {
            let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let count = try checked("pread") {
                unsafe pread(descriptor.rawValue, rest.baseAddress, rest.count, Int(offset) + done)
            }
            done += count
            // With O_DIRECT, a partial block is followed by the end of the file.
            if count == 0 || isDirect { break }
        }
        return done
    }

    /// Returns the file opened again for reads that bypass the page cache, which keeps its pages; nil if the
    /// disk cannot do that.
    func openedPastCache() -> OpenFile? {
        #if arch(arm64)
        let direct: Int32 = 0o200000
        #else
        let direct: Int32 = 0o40000
        #endif
        let number = unsafe open("/proc/self/fd/\(descriptor.rawValue)", O_RDONLY | O_CLOEXEC | direct)
        return number >= 0 ? OpenFile(number, isDirect: true) : nil
    }

    /// Drops the file's pages from the page cache, so that the next read comes from the disk:
    /// posix_fadvise(2).
    public func forgetCachedPages() { _ = posix_fadvise(descriptor.rawValue, 0, 0, POSIX_FADV_DONTNEED) }

    /// Returns the position where data or a hole begins, as lseek(2) with SEEK_DATA or SEEK_HOLE.
    /// - Returns: nil if there is none after `offset`.
    public func seek(_ offset: Int64, whence: Int32) throws(BlobStoreError) -> Int64? {
        let result = lseek(descriptor.rawValue, Int(offset), whence)
        guard result == -1 else { return Int64(result) }
        let number = Errno(rawValue: errno)
        if number == .noSuchAddressOrDevice { return nil }
        throw BlobStoreError(number, during: "lseek")
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(BlobStoreError) {
        var done = 0
        while done < bytes.count {
            let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[done...])
            done += try checked("pwrite") {
                unsafe pwrite(descriptor.rawValue, rest.baseAddress, rest.count, Int(offset) + done)
            }
        }
    }

    func synchronize(_ sync: Sync) throws(BlobStoreError) {
        try checked("fsync") { sync.run { fsync(descriptor.rawValue) } }
    }

    /// Copies another file's bytes from its start to `size`, with its holes, by sharing extents where the
    /// disk can.
    func copyBytes(
        of other: OpenFile,
        size: Int64,
        isCancelled: () -> Bool = { false }
    ) throws(BlobStoreError) {
        let whole = try other.measure().size
        if size >= whole, linux_clone(descriptor.rawValue, other.descriptor.rawValue) == 0 {
            return
        }
        let end = min(size, whole)
        var position: Int64 = 0
        while position < end, let start = try other.seek(position, whence: 3 /* SEEK_DATA */), start < end {
            let stop = min(try other.seek(start, whence: 4 /* SEEK_HOLE */) ?? end, end)
            position = start
            while position < stop {
                guard !isCancelled() else { throw .io(.interrupted, during: "copying") }
                let count = min(stop - position, Self.copyStep)
                try copyRange(of: other, from: position, to: position, count: count)
                position += count
            }
        }
        try checked("ftruncate") { ftruncate(descriptor.rawValue, Int(end)) }
    }

    /// The number of bytes that are copied between two checks of `isCancelled`.
    private static let copyStep: Int64 = 64 << 20

    func copyRange(of other: OpenFile, from start: Int64, to offset: Int64, count: Int64) throws(BlobStoreError) {
        var from = Int(start)
        var to = Int(offset)
        let stop = from + Int(count)
        while from < stop {
            let count = unsafe copy_file_range(
                other.descriptor.rawValue,
                &from,
                descriptor.rawValue,
                &to,
                stop - from,
                0
            )
            if count == 0 { break }
            guard count < 0 else { continue }
            switch Errno(rawValue: errno) {
            case .interrupted: continue
            // > EXDEV: the files are not on the same filesystem, and the two do not share a type —
            // > copy_file_range(2)
            case .improperLink, .notSupportedOnSocket, .invalidArgument:
                return try copyThroughMemory(of: other, from: Int64(from), to: Int64(to), count: Int64(stop - from))
            case let reason: throw BlobStoreError(reason, during: "copy_file_range")
            }
        }
    }
    private func copyThroughMemory(
        of other: OpenFile,
        from start: Int64,
        to offset: Int64,
        count: Int64
    ) throws(BlobStoreError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { unsafe buffer.deallocate() }
        var done: Int64 = 0
        while done < count {
            let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(min(count - done, 1 << 20))])
            let length = try unsafe other.read(into: part, at: start + done)
            guard length > 0 else { break }
            try unsafe write(UnsafeRawBufferPointer(rebasing: part[..<length]), at: offset + done)
            done += Int64(length)
        }
    }
}
