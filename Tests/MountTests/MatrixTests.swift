import Foundation
import TestSupport
import Testing

/// Access to information and to changes for three users and root: `Tests/Matrix/expected.md` has the table,
/// with the reasons.
struct MatrixTests {
    @Test func `each user learns, and can change, what the table says`() throws {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let folder = tests.appendingPathComponent("Matrix").path
        try withMountedLibrary(options: ["allow_other", "fetch=127.0.0.0/8"]) { mount in
            try run("chmod", "755", mount.scratch).check()
            let found = try run(
                "/usr/bin/python3",
                "-B",
                "\(folder)/matrix.py",
                mount.root,
                assetfs,
                mount.scratch,
                "\(folder)/expected.md"
            )
            print(found.output)
            #expect(found.status == 0, "\(found.errors)")
        }
    }
}
