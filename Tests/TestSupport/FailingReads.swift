import Foundation
import Glibc

private struct NoDescriptor: Error {
    let path: String
}

/// Makes reads of the files whose names begin with a path fail with EBADF while `body` runs: their
/// descriptors become write-only.
public func withoutReads(of path: String, _ body: () throws -> Void) throws {
    let real = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap(Int32.init)
        .compactMap { number in
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(number)")).map {
                (number, $0)
            }
        }
        .filter { _, name in name.hasPrefix(path) && !name.hasSuffix("-shm") }
    let kept = real.map { number, _ in (number: number, copy: dup(number)) }
    defer {
        for (number, copy) in kept {
            dup2(copy, number)
            close(copy)
        }
    }
    for (number, name) in real {
        let writer = unsafe open(name, O_WRONLY)
        dup2(writer, number)
        close(writer)
    }
    guard !kept.isEmpty else { throw NoDescriptor(path: path) }
    try body()
}
