internal import CLinux
internal import Glibc
internal import LibraryStorage
internal import MetadataExtraction
internal import SystemPackage

/// A line of shell from the mount's options.
struct ShellCommand {
    let line: String

    /// Runs the line with some input, and waits for its end; after `patience` kills it with all processes of
    /// its group.
    ///
    /// The input is a file without a name: a program that does not read it blocks nothing, and one that reads
    /// gets all of it.
    /// - Returns: the failure, if there was one.
    func run(_ input: [UInt8], patience: Duration, isStopped: CancellationFlag) -> String? {
        let file = unsafe memfd_create("input", 1 /* MFD_CLOEXEC */)
        defer { if file >= 0 { _ = close(file) } }
        guard file >= 0, unsafe write(file, input, input.count) == input.count, lseek(file, 0, SEEK_SET) == 0 else {
            return "its input could not be kept (\(Errno(rawValue: errno)))"
        }
        guard let process = try? spawn("/bin/sh", ["sh", "-c", line], inOwnGroup: true, descriptors: [file, nil, nil])
        else { return "/bin/sh could not be started" }
        let end = ContinuousClock.now + patience
        var (status, pause): (Int32, UInt32) = (0, 500)
        while unsafe waitpid(process, &status, WNOHANG) == 0 {
            if .now > end || isStopped.isSet {
                _ = kill(-process, SIGKILL)
                unsafe _ = waitpid(process, &status, 0)
                return isStopped.isSet
                    ? nil : "the program took more than \(patience.components.seconds) s and was ended"
            }
            _ = usleep(pause)
            pause = min(pause * 2, 20_000)
        }
        if status & 0x7F != 0 { return "the program was ended by signal \(status & 0x7F)" }
        let code = status >> 8 & 0xFF
        return code == 0 ? nil : "the program ended with status \(code)"
    }
}
