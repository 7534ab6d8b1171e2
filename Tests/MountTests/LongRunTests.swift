import Foundation
import TestSupport
import Testing

/// Short runs of the long tests: each prints its seed, and a make target runs it for longer.
@Suite(.serialized)
struct LongRunTests {
    private func script(_ path: String, _ arguments: String...) throws {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let program = tests.appendingPathComponent(path).path
        let result = try run(["/usr/bin/python3", "-B", program] + arguments, environment: ["ASSETFS": assetfs])
        print(result.output)
        #expect(result.status == 0, "\(result.output)\(result.errors)")
    }

    @Test func `everything at once leaves all contents right, and nothing behind`() throws {
        try script("Soak/soak.py", "--minutes", "0.1")
    }

    @Test func `random system calls have the results of the disk's own filesystem`() throws {
        try script("Differential/differential.py", "--sequences", "2", "--steps", "300", "--remount", "150")
    }

    @Test func `random operations on one file read what was written`() throws {
        try script("Differential/onefile.py", "--operations", "400")
    }

    @Test(arguments: ["rsync", "cp", "tar"])
    func `a tool brings a nasty tree in and out`(tool: String) throws {
        try script("RoundTrip/roundtrip.py", "--only", tool, "--gib", "0.03")
    }
}
