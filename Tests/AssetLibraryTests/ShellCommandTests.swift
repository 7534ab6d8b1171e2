import Glibc
import TestSupport
import Testing

@testable import AssetLibrary
@testable import LibraryStorage

/// Shell commands from the mount options.
struct ShellCommandTests {
    @Test func `a command gets an input that no pipe has room for whole, also when it begins to read late`() throws {
        try withScratch { scratch in
            let input = [UInt8](repeating: 0x61, count: 3 << 20) + [0x0A]
            let problem = ShellCommand(line: "sleep 0.1; cat > '\(scratch)/told'").run(
                input,
                patience: .seconds(60),
                isStopped: CancellationFlag()
            )
            #expect(problem == nil)
            let told = try shell("wc -c < '\(scratch)/told'").check().output
            #expect(told == "\(input.count)\n")
        }
    }
}
