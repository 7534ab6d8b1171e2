import Foundation
import TestSupport
import Testing

/// The log of a background mount has a bounded size under any load of users.
@Suite(.serialized)
struct LogTests {
    private func script(_ text: String, _ name: String = #function) throws {
        try withPlace(name) { path in
            try shell("ASSETFS=\(assetfs); " + StartTests.prelude + helpers + text, in: path).check()
        }
    }

    /// `refused UID COUNT` sets attributes with long values that are refused, of four kinds in turn.
    private let helpers = """
        chmod 755 .
        refused() { setpriv --reuid $1 --regid $1 --clear-groups /usr/bin/python3 -c '
        import os, sys
        path, count = sys.argv[1], int(sys.argv[2])
        os.makedirs(path, exist_ok=True)
        open(path + "/f", "w").write("f")
        for n in range(count):
            name, key = ((path + "/f", "asset.rank"), (path + "/f", "asset.access"), (path, "policy.max_size"), (path, "policy.field.caption"))[n % 4]
            try: os.setxattr(name, "user." + key, b"\\x01" * 60000)
            except OSError: continue
            raise SystemExit("this succeeded: " + key)
        ' one/folders/$1 $2; }

        """

    @Test func `a user who is refused again and again fills no log, and hides no other's line`() throws {
        try script(
            """
            $ASSETFS mount -o allow_other lib one; chmod 1777 one/folders
            refused 5001 300; refused 5002 1; $ASSETFS umount one
            /usr/bin/python3 - <<'END'
            import re
            lines = open("lib/assetfs.log", "rb").read().decode().splitlines()
            refusals = [line for line in lines if "setxattr:" in line]
            left = [int(n) for line in lines for n in re.findall(r"notice: (\\d+) lines on refusals of user 5001's requests were left out", line)]
            # A minute may end in between; no refusal is counted twice or lost.
            assert len(refusals) + sum(left) == 301 and left, (len(refusals), left)
            assert max(map(len, lines)) < 4200, max(map(len, lines))
            assert all("… (60000 characters)" in line for line in refusals), [line[-80:] for line in refusals]
            assert len(refusals) > 100 or "Unmounted" in lines[-2], lines[-3:]
            END
            """
        )
    }

    @Test func `a long line is cut, and says so`() throws {
        try script(
            """
            $ASSETFS mount -o allow_other lib one; chmod 1777 one/folders
            /usr/bin/python3 - <<'END'
            import os
            os.setxattr("one/folders", "user.policy.max_size", b"1")
            folder = os.open("one/folders", os.O_RDONLY)
            for n in range(30):
                os.mkdir("\\x01" * 250, dir_fd=folder); folder = os.open("\\x01" * 250, os.O_RDONLY, dir_fd=folder)
            try:
                file = os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=folder); os.write(file, b"too long"); os.close(file)
            except OSError: pass
            END
            $ASSETFS umount one; grep 'Refused' lib/assetfs.log > line; is "$(wc -l < line)" 1; [ $(wc -c < line) -lt 4200 ]; grep -q '… ([0-9]* bytes)$' line
            """
        )
    }

    @Test func `the log begins anew while the library is mounted, and one former log is kept`() throws {
        try script(
            """
            $ASSETFS mount $PWD/lib one; head -c 9000000 /dev/zero | tr '\\0' x >> lib/assetfs.log; echo >> lib/assetfs.log
            refused 0 1; [ $(stat -c %s lib/assetfs.log) -lt 10000 ]; [ $(stat -c %s lib/assetfs.log.1) -gt 9000000 ]; grep -q setxattr lib/assetfs.log
            is "$(readlink /proc/$(daemon)/fd/2)" $PWD/lib/assetfs.log; is "$(stat -c %a lib/assetfs.log)" 600
            head -c 9000000 /dev/zero >> lib/assetfs.log; refused 0 1; grep -q -a setxattr lib/assetfs.log.1; [ $(stat -c %s lib/assetfs.log) -lt 10000 ]
            is "$(ls lib | grep -c assetfs.log)" 2; $ASSETFS umount one; grep -q Unmounted lib/assetfs.log; flock -n lib/lock true
            """
        )
    }
}
