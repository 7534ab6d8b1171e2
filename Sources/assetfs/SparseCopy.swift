import CLinux
import Foundation

/// Copies all bytes of a file into an empty one, as cp(1) does: holes stay holes, and the kernel copies
/// directly where it can.
struct SparseCopy {
    private let source: Int32
    private let copy: Int32

    init(from source: Int32, to copy: Int32) { (self.source, self.copy) = (source, copy) }

    /// Copies the file to its end.
    /// - Returns: false where that failed, with the reason in errno.
    func run() -> Bool {
        var place: off_t = 0
        while true {
            let start = lseek(source, place, 3 /* SEEK_DATA */)
            if start < 0 {
                // > ENXIO  whence is SEEK_DATA, […] and offset is beyond the end of the file, or […] within a
                // > hole at the end — lseek(2)
                if errno == ENXIO { return finish(place) }
                // The filesystem does not support holes.
                guard errno == EINVAL || errno == EOPNOTSUPP else { return false }
                return copyData(from: place, to: .max) != nil
            }
            let end = lseek(source, start, 4 /* SEEK_HOLE */)
            if end < 0, errno == ENXIO { return finish(place) }
            guard end >= 0, let reached = copyData(from: start, to: end) else { return false }
            // The file was shortened meanwhile.
            guard reached > start else { return finish(start) }
            place = reached
        }
    }

    /// Sets the copy's length to that of the file, whose end may be a hole.
    private func finish(_ place: off_t) -> Bool {
        var status = stat()
        guard unsafe fstat(source, &status) == 0 else { return false }
        return ftruncate(copy, max(place, status.st_size)) == 0
    }

    /// Copies the bytes between two positions.
    /// - Returns: the reached position, which is earlier at the end of the file; nil where that failed, with
    ///   the reason in errno.
    private func copyData(from start: off_t, to end: off_t) -> off_t? {
        var (from, to) = (start, start)
        while from < end {
            let count = unsafe copy_file_range(source, &from, copy, &to, Int(min(end - from, 1 << 30)), 0)
            if count == 0 { return from }
            // The kernel cannot copy between these two filesystems.
            if count < 0 { return copyThroughMemory(from: from, to: end) }
        }
        return from
    }

    private func copyThroughMemory(from start: off_t, to end: off_t) -> off_t? {
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var place = start
        while place < end {
            let count = unsafe pread(source, &buffer, Int(min(off_t(buffer.count), end - place)), place)
            guard count >= 0 else { return nil }
            if count == 0 { return place }
            var done = 0
            while done < count {
                let written = unsafe buffer.withUnsafeBytes {
                    unsafe pwrite(copy, $0.baseAddress?.advanced(by: done), count - done, place + off_t(done))
                }
                guard written > 0 else { return nil }
                done += written
            }
            place += off_t(count)
        }
        return place
    }
}
