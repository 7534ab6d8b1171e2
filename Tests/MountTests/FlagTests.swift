import Foundation
import TestSupport
import Testing

/// The flags of chattr(1), compared with those of ext4.
struct FlagTests {
    static var isScratchExt4: Bool { (try? run("stat", "-f", "-c", "%T", "/tmp").output) == "ext2/ext3\n" }

    @Test(.enabled(if: isScratchExt4))
    func `each operation on a file or folder with flags is answered as on ext4`() throws {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/../Differential/flags.py"
        try withMountedLibrary(options: ["allow_other"]) { mount in
            try run("mkdir", mount.scratch + "/ext4", mount.path("t")).check()
            try run("chmod", "777", mount.scratch + "/ext4", mount.folders, mount.path("t"), mount.scratch).check()
            let result = try run("python3", script, mount.scratch + "/ext4", mount.path("t"))
            #expect(result.status == 0, "\(result)")
        }
    }
}
