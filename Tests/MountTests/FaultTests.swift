import Foundation
import TestSupport
import Testing

/// Failing system calls of a mount on its library: a short `make faults`.
@Suite(.serialized)
struct FaultTests {
    private func script(_ name: String, _ arguments: [String]) throws -> CommandResult {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Faults/\(name)").path
        return try withScratch("faults", in: "/var/tmp") { scratch in
            try run(["python3", "-B", script, "--assetfs", assetfs, "--work", scratch + "/work"] + arguments)
        }
    }

    private func faults(_ arguments: String...) throws -> CommandResult {
        try script("faults.py", ["--large", "2"] + arguments)
    }

    @Test func `a disk that cannot tell its free space is an error of the disk, and no full disk`() throws {
        try script("transient.py", ["statistics"]).check()
    }

    @Test func `a file that cannot be read for a while is looked into afterwards`() throws {
        try script("transient.py", ["extraction", "next_mount", "descriptors"]).check()
    }

    @Test func `a disk that fails once makes no content count as damaged`() throws {
        try script("transient.py", ["scrubbing"]).check()
    }

    @Test func `faults that once did harm cost no bytes and no restart`() throws {
        let result = try faults("--phases", "found")
        #expect(result.status == 0, "\(result.output)\(result.errors)")
    }

    @Test func `some system calls that fail, chosen at random, cost no bytes and no restart`() throws {
        let result = try faults(
            "--phases",
            "live,start,end",
            "--choice",
            "2",
            "--seed",
            "\(UInt32.random(in: 1...9999))"
        )
        #expect(result.status == 0, "\(result.output)\(result.errors)")
    }
}
