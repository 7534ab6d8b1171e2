import Foundation
import TestSupport
import Testing

/// A library on a full disk.
struct FullDiskTests {
    /// Runs a script with an ext4 filesystem: the library is `l/lib`, the mountpoint `m`; `up` and `down`
    /// mount and unmount it.
    private func withDisk(_ megabytes: Int, _ script: String, _ name: String = #function) throws {
        try withScratch(name) { disk in
            try shell(
                """
                set -e; cd \(disk); truncate -s \(megabytes)M image; mkfs.ext4 -q -F image; mkdir l m; mount -o loop image l
                """
            ).check()
            defer {
                _ = try? run("pkill", "-9", "-f", "assetfs mount \(disk)/l/lib")
                _ = try? run("umount", "-l", "\(disk)/m")
                _ = try? run("umount", "-l", "\(disk)/l")
            }
            try shell(
                """
                set -eu; cd \(disk)
                up() { \(assetfs) mount \(disk)/l/lib \(disk)/m; }
                down() { \(assetfs) umount \(disk)/m; }
                dies() { pkill -9 -f '^[^ ]*assetfs mount \(disk)/l/lib'; umount -l \(disk)/m; flock \(disk)/l/lib/lock true; }
                fill() { for b in 1M 4k 1k; do dd if=/dev/zero of=l/other oflag=append conv=notrunc bs=$b status=none 2> /dev/null || true; done; }
                up; \(script)
                down
                """
            ).check()
        }
    }

    @Test func `a disk that another program fills costs nothing that was acknowledged, and needs no restart`() throws {
        try withDisk(
            48,
            """
            cat > try.py <<'PYTHON'
            import errno, json, os, sys
            files = ["m/folders/%d" % n for n in range(20)]
            def attempt(body):
                try: body(); return True
                except OSError as error: assert error.errno == errno.ENOSPC, error
            said, synced, refused = {}, {}, 0
            for round in range(100000):
                name, text = files[round % 20], "%d " % round * 300
                if attempt(lambda: os.setxattr(name, "user.comment", text.encode())): said[name] = text
                else: refused += 1
                # A change of a mode reserves no space, so that the commit itself runs out of space.
                if not attempt(lambda: os.chmod(name, 0o600 + round % 7)): refused += 1
                assert open(name).read() == name
                if round % 100 == 0:
                    before, descriptor = dict(said), os.open(name, os.O_RDONLY)
                    if attempt(lambda: os.fsync(descriptor)): synced = before
                    elif refused > 2000: break
                    os.close(descriptor)
            else: sys.exit("nothing was refused")
            assert all(os.getxattr(name, "user.comment") == text.encode() for name, text in said.items())
            json.dump([said, synced], open("said", "w"))
            PYTHON
            cat > check.py <<'PYTHON'
            import json, os, sys
            said, synced = json.load(open("said"))
            for name in said:
                text = os.getxattr(name, "user.comment").decode() if "user.comment" in os.listxattr(name) else ""
                if sys.argv[1] == "all": assert text == said[name], (name, text[:9], said[name][:9])
                else: assert name not in synced or int(text.split()[0]) >= int(synced[name].split()[0]), (name, text[:9])
            PYTHON
            for n in $(seq 0 19); do printf m/folders/$n > m/folders/$n; done; sync m/folders/1
            fill; python3 try.py
            # There is space again, and all operations continue.
            rm l/other; for n in $(seq 300); do echo x > m/folders/new 2> /dev/null && break; sleep .1; done
            python3 check.py all; sync m/folders/new; until grep -q 'has room again' l/lib/assetfs.log; do sleep .01; done; dies; up; python3 check.py all
            [ "$(grep -c 'not on the disk yet' l/lib/assetfs.log)" = 1 ]
            # Killed on a full disk: all data that fsync acknowledged is there, and the library mounts.
            fill; python3 try.py; dies; up; python3 check.py synced; [ "$(cat m/folders/3)" = m/folders/3 ]; rm l/other
            """
        )
    }

    @Test func `what df shows can be allocated`() throws {
        try withDisk(
            200,
            """
            available() { df -B1 --output=avail $1 | tail -1; }
            [ $(available m) -lt $(available l) ]
            fallocate -l $(( $(available m) * 98 / 100 )) m/folders/x; [ $(available m) -lt 4000000 ]
            ! fallocate -l 4M m/folders/y 2> /dev/null
            """
        )
    }

    @Test func `the first change of a large file works where there is room for its data`() throws {
        try withDisk(
            200,
            """
            head -c 70M /dev/zero | tr '\\0' x > m/folders/large; sync m/folders/large
            printf y | dd of=m/folders/large conv=notrunc status=none; [ "$(head -c 2 m/folders/large)" = yx ]
            # A file larger than the disk that is nearly all hole.
            truncate -s 1G m/folders/holes; printf a | dd of=m/folders/holes bs=1 seek=500000000 conv=notrunc status=none
            sync m/folders/holes; down; up
            printf b | dd of=m/folders/holes bs=1 seek=700000000 conv=notrunc status=none
            [ "$(tail -c +500000001 m/folders/holes | head -c 1)" = a ]
            """
        )
    }
}
