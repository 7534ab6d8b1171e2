import Foundation
import TestSupport
import Testing

/// The disk usage of one user takes no space from another user: alice is 5001, bob 5002.
struct DiskShareTests {
    /// Runs a script with an ext4 filesystem of 200 MiB: the library is `l/lib`, the mountpoint `m`; `up` and
    /// `down` mount and unmount it.
    private func withDisk(_ script: String, _ name: String = #function) throws {
        try withScratch(name) { disk in
            try shell(
                """
                set -e; cd \(disk); truncate -s 200M image; mkfs.ext4 -q -F image; mkdir l m; mount -o loop image l; chmod 755 . l
                """
            ).check()
            defer {
                _ = try? run("pkill", "-9", "-f", "assetfs mount \(disk)/l/lib")
                _ = try? run("umount", "-l", "\(disk)/m")
                _ = try? run("umount", "-l", "\(disk)/l")
            }
            try run(
                "bash",
                "-c",
                """
                set -eu; cd \(disk); ASSETFS=\(assetfs)
                up() { \(assetfs) mount \(disk)/l/lib \(disk)/m -o 'allow_other,policy.versions=1000\\,P365D\\,PT0S'; }
                down() { \(assetfs) umount \(disk)/m; }
                as() { setpriv --reuid $1 --regid $1 --clear-groups "${@:2}"; }
                alice() { as 5001 "$@"; }; bob() { as 5002 "$@"; }
                fails() { if "$@" 2> /dev/null; then echo "this succeeded: $*" >&2; exit 1; fi; }
                is() { [ "$1" = "$2" ] || { echo "line ${BASH_LINENO[0]}: “$1” is not “$2”" >&2; exit 1; }; }
                up; F=$PWD/m/folders; A=$F/a; B=$F/b; mkdir $A $B; chown 5001:5001 $A; chown 5002:5002 $B
                # put USER MEGABYTES FILE
                put() { as $1 sh -c "head -c $2M /dev/urandom > $3"; }
                \(script)
                down
                """
            ).check()
            try checkLibrary("\(disk)/l/lib")
        }
    }

    @Test func `a user who removes and rewrites much makes room with what is theirs`() throws {
        try withDisk(
            """
            put 5001 8 $A/old; id=$(getfattr --only-values -n user.asset.id $A/old); alice rm $A/old
            for n in 1 2 3; do put 5001 4 $A/doc; done; doc=$(getfattr --only-values -n user.asset.id $A/doc)
            alices() { is "$(ls m/trash | grep -c "^$id-old")" 1; is "$(ls m/resources/$doc/versions | wc -l)" 2; }
            # Files that were removed a moment ago are not evicted, so it takes some time before there is
            # room.
            room() {
                for n in $(seq 400); do bob fallocate -l $1M $B/$2 2> /dev/null && return; sleep 0.1; done
                df -m l >&2; ls -l m/trash >&2; exit 1
            }
            for n in 1 2 3 4 5 6; do put 5002 15 $B/$n; bob rm $B/$n; done
            room 75 large; alices; [ "$(ls m/trash | wc -l)" -lt 7 ]
            # Former versions, with an empty trash.
            for n in m/trash/*; do case $n in */$id-*) ;; *) rm $n;; esac; done
            bob rm $B/large; rm m/trash/*-large
            for n in 1 2 3 4 5 6 7 8 9 10; do put 5002 12 $B/doc; alices; done
            room 60 large; alices
            # Many files of one content free no space until the last of them is evicted.
            bob rm $B/large $B/doc; rm m/trash/*-large m/trash/*-doc; put 5002 60 $B/one
            for n in $(seq 100); do bob cp $B/one $B/one$n; done; bob rm $B/one*
            room 100 large; alices
            """
        )
    }

    @Test func `a file that is removed before it was read counts for its user, and goes with the trash`() throws {
        try withDisk(
            """
            put 5001 12 $A/old; id=$(getfattr --only-values -n user.asset.id $A/old); alice rm $A/old
            $ASSETFS jobs --wait m > /dev/null
            cat > unread.py <<'PYTHON'
            import os, sys
            # Writes a file as bob from its end to its beginning, so that it must be read for its commit, and
            # removes it before that.
            path, count = sys.argv[1], int(sys.argv[2])
            os.setgroups([]); os.setgid(5002); os.setuid(5002)
            file = os.open(path, os.O_WRONLY | os.O_CREAT)
            for n in reversed(range(count)): os.pwrite(file, os.urandom(1 << 20), n << 20)
            os.close(file); os.unlink(path)
            PYTHON
            held() { sync -f l; echo $(( $(stat -f -c '(%b - %f) * %S' l) >> 20 )); }
            python3 unread.py $B/first 90
            # There is room only after an eviction, and the removed file of alice would be large enough.
            for n in $(seq 300); do bob fallocate -l 80M $B/large 2> /dev/null && break; sleep 0.1; done
            is "$(stat -c %s $B/large)" 83886080
            is "$(ls m/trash | grep -c "^$id-old")" 1; is "$(ls m/trash | grep -c -- -first)" 0
            bob rm $B/large; rm -f m/trash/*-large
            for n in $(seq 300); do [ $(held) -lt 60 ] && break; sleep 0.1; done
            # A file that is purged from the trash is freed at once, whether or not it was read.
            python3 unread.py $B/second 60; [ $(held) -gt 60 ]; rm -f m/trash/*-second
            for n in $(seq 300); do [ $(held) -lt 60 ] && break; sleep 0.1; done
            [ $(held) -lt 60 ]; down; up; is "$(ls m/trash)" "$id-old"; is "$(ls -A l/lib/staging | wc -l)" 0
            """
        )
    }

    @Test func `attributes have a share for each user, on whosever file they are`() throws {
        try withDisk(
            """
            alice touch $A/mine; alice sh -c "echo a > $A/caption"; setfacl -m u:5002:rw $A/caption
            cat > fill.py <<'PYTHON'
            import errno, os, sys
            # Fills a user share with attributes of files; prints their number.
            uid, names = int(sys.argv[1]), sys.argv[2:]
            os.setgroups([]); os.setgid(uid); os.setuid(uid)
            made = 0
            for size in (60_000, 1000, 1):
                try:
                    for name in names:
                        for n in range(100): os.setxattr(name, f"user.{size}.{n}", b"v" * size); made += size == 60_000
                except OSError as error: assert error.errno == errno.EDQUOT, error
            print(made)
            PYTHON
            for n in 1 2 3 4 5; do alice touch $A/$n; bob touch $B/$n; done
            # The share is 16 MiB.
            made=$(python3 fill.py 5001 $A/[1-5]); [ $made -gt 270 ]; [ $made -lt 290 ]
            said=$(LC_ALL=C alice setfattr -n user.asset.caption -v words $A/mine 2>&1) && exit 1; case $said in *quota*) ;; *) exit 1;; esac
            alice getfattr --only-values -n user.asset.error $A/mine | grep -q 'User 5001 has set 167.* bytes of attributes'
            fails alice setfattr -n user.policy.deny_names -v "$(printf '%0500d' 0)" $A
            fails alice setfattr -n user.x -v y $A; fails alice setfacl -m u:5003:r $A/mine
            is "$(grep -c 'User 5001 has set' l/lib/assetfs.log)" 1
            # The share counts after a remount, too, and uploads continue.
            down; up; fails alice setfattr -n user.asset.caption -v words $A/mine; alice sh -c "echo more > $A/upload"
            # Root has no share; values that root sets do not count for alice.
            setfattr -n user.asset.caption -v roots $A/mine; fails alice setfattr -n user.asset.caption -v words $A/mine
            # A smaller value, and a removal, always succeed.
            alice setfattr -n user.60000.0 -v small $A/1; alice setfattr -n user.asset.caption -v words $A/mine
            alice setfattr -x user.60000.1 $A/1; alice setfattr -n user.60000.1 -v 0x$(printf '%0118000d' 0) $A/1
            # Attributes that another user sets on a file of alice do not count for alice.
            bob setfattr -n user.asset.caption -v bobs $A/caption; bob setfattr -n user.y -v bobs $A/caption
            alice setfattr -x user.60000.2 $A/1; before=$(getfattr --only-values -n user.asset.caption $A/caption); is "$before" bobs
            made=$(python3 fill.py 5002 $A/caption $B/[1-5]); [ $made -gt 270 ]; fails bob setfattr -n user.asset.caption -v "$(printf %0100d 0)" $A/caption
            alice setfattr -n user.asset.caption -v "a caption of alice's own" $A/caption
            # The removal of files frees their bytes.
            alice rm $A/2; rm m/trash/*-2 2> /dev/null || true
            for n in $(seq 100); do alice setfattr -n user.z -v 0x$(printf '%0118000d' 0) $A/3 2> /dev/null && break; sleep 0.1; done
            alice getfattr -n user.z $A/3 > /dev/null
            """
        )
    }

    @Test func `within a quota, too, room is of the user who has the most`() throws {
        try runScript(
            """
            Q=$MOUNT/folders/q; mkdir -m 1777 $Q; setfattr -n user.policy.versions -v 1000,P365D,PT0S $Q; setfattr -n user.policy.quota -v 1M $Q
            put() { as $1 sh -c "head -c $2 /dev/urandom > $Q/$3"; }
            held() { getfattr --only-values -n user.asset.info $Q | python3 -c 'import json,sys; print(json.load(sys.stdin)["quotas"][0][sys.argv[1]])' $1; }
            put 5001 200000 alice; as 5001 rm $Q/alice
            put 5001 50000 doc; put 5001 50000 doc; id=$(value id $Q/doc)
            for n in 1 2 3 4; do put 5002 150000 bob$n; as 5002 rm $Q/bob$n; done
            put 5002 400000 large; [ $(held held) -le 1048576 ]
            ls trash | grep -q alice; is "$(ls resources/$id/versions | wc -l)" 1
            # Former versions, with an empty trash.
            for n in trash/*bob*; do rm $n; done; as 5002 sh -c "head -c 10000 /dev/urandom > $Q/large"
            for n in 1 2 3 4 5 6 7 8; do put 5002 100000 large; [ $(held held) -le 1048576 ]; done
            ls trash | grep -q alice; is "$(ls resources/$id/versions | wc -l)" 1
            """
        )
    }
}
