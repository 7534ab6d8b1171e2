import Foundation
import TestSupport
import Testing

/// kill -9 of the daemon at random moments and at kill points: a short `make crash`.
@Suite(.serialized)
struct KillTests {
    private func crash(_ arguments: String...) throws -> CommandResult {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Crash/crash.py").path
        return try withScratch("kill", in: "/var/tmp") { scratch in
            try run(["python3", "-B", script, "--assetfs", assetfs, "--work", scratch + "/work"] + arguments)
        }
    }

    @Test func `what was acknowledged survives kill -9, and all else is as it was at one moment`() throws {
        let seed = Int.random(in: 1...1_000_000)
        let result = try crash("--kills", "10", "--seed", "\(seed)")
        #expect(result.status == 0, "seed \(seed): \(result.output)\(result.errors)")
    }

    #if DEBUG
    @Test func `a daemon dies at the point that the environment names`() throws {
        let result = try crash("--kills", "3", "--seed", "1", "--only", "migrated,blob-named,close-committed")
        #expect(result.status == 0, "\(result.output)\(result.errors)")
        #expect(!result.output.contains("never reached"), "\(result.output)")
    }

    @Test(arguments: ["recover", "repair", "snapshot"])
    func `a command that was killed does its work when it runs again`(command: String) throws {
        let seed = Int.random(in: 1...1_000_000)
        let result = try crash("--during", command, "--kills", "5", "--seed", "\(seed)")
        #expect(result.status == 0, "seed \(seed): \(result.output)\(result.errors)")
    }
    #endif
}
