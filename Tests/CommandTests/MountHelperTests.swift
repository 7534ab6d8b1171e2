import Foundation
import TestSupport
import Testing

/// mount(8) and systemd with the files of `make install`, in a mount namespace of the test's own where that
/// is possible.
@Suite(.serialized)
struct MountHelperTests {
    private let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    /// Runs a shell command in a mount namespace that has the helper and the command in the places where
    /// `make install` puts them.
    private func installed(_ line: String) throws -> CommandResult {
        try withScratch { path in
            let setup = """
                set -e
                mkdir -p \(path)/mnt /usr/local/bin
                # Uses overlays, so that the machine stays unchanged.
                for folder in /sbin /usr/local/bin; do
                    mkdir -p \(path)/up$folder \(path)/work$folder
                    mount -t overlay overlay -o lowerdir=$(readlink -f $folder),upperdir=\(path)/up$folder,workdir=\(path)/work$folder $(readlink -f $folder)
                done
                cp \(package)/mount-helpers/mount.assetfs /sbin/mount.assetfs
                ln -sf \(assetfs) /usr/local/bin/assetfs
                cd \(path)
                \(line)
                """
            return try run("unshare", "-m", "bash", "-c", setup)
        }
    }

    @Test func `mount -t assetfs mounts, and umount ends it`() throws {
        let result = try installed(
            """
            mount -t assetfs $PWD/lib $PWD/mnt -o view=folders,noexec,nofail,_netdev,x-systemd.automount
            cp /etc/hostname mnt/
            findmnt -n -o FSTYPE,OPTIONS $PWD/mnt
            umount mnt
            flock -w 20 lib/lock true
            """
        )
        #expect(result.status == 0, "\(result)")
        #expect(result.output.contains("fuse.assetfs") && result.output.contains("noexec"))
    }

    @Test func `a line of fstab mounts`() throws {
        let result = try installed(
            """
            echo "$PWD/lib $PWD/mnt assetfs noauto,nodev,user,view=all 0 0" > fstab
            mount -T $PWD/fstab $PWD/mnt
            ls mnt
            umount mnt
            flock -w 20 lib/lock true
            """
        )
        #expect(result.status == 0, "\(result)")
        #expect(result.output == "collections\nfolders\nresources\nsearch\ntrash\nuploads\n")
    }

    @Test func `a failure of the helper is mount's failure`() throws {
        let result = try installed("mkdir other; touch other/x; mount -t assetfs $PWD/other $PWD/mnt")
        #expect(result.status != 0 && result.errors.contains("not an assetfs library"))
    }

    @Test func `systemd finds nothing wrong with the unit`() throws {
        let result = try installed(
            """
            cp \(package)/mount-helpers/assetfs@.service assetfs@photos.service
            systemd-analyze verify --man=no ./assetfs@photos.service
            """
        )
        #expect(result.status == 0, "\(result)")
        #expect(!result.errors.contains("assetfs@"), "\(result.errors)")
    }
}
