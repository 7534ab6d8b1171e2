import Foundation
import TestSupport
import Testing

/// Power cuts of the disk of a library: a short `make powercut`.
@Suite(.serialized)
struct PowerCutTests {
    private func powercut(_ arguments: String...) throws -> CommandResult {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("PowerCut/powercut.py").path
        return try withScratch("powercut", in: "/var/tmp") { scratch in
            try run(["python3", "-B", script, "--assetfs", assetfs, "--work", scratch + "/work"] + arguments)
        }
    }

    @Test func `what was acknowledged survives power cuts, and all else is as it was at one moment`() throws {
        let result = try powercut("--cuts", "3", "--seed", "3")
        #expect(result.status == 0, "\(result.output)\(result.errors)")
    }

    #if DEBUG
    @Test(arguments: ["log", "format"])
    func `a sync that is missing is found`(name: String) throws {
        let result = try powercut("--cuts", "6", "--seed", "3", "--without", name)
        #expect(result.status == 1 && result.output.contains("cut "), "\(result.output)\(result.errors)")
    }
    #endif
}
