import Foundation
import TestSupport
import Testing

/// The end of a mount, and the messages of the commands during it.
@Suite(.serialized)
struct UmountTests {
    private func script(_ text: String, _ name: String = #function) throws {
        try withPlace(name) { path in
            try shell("ASSETFS=\(assetfs); " + StartTests.prelude + text, in: path).check()
        }
    }

    @Test func `programs and mounts that use a mount are named`() throws {
        try script(
            """
            $ASSETFS mount lib one; mkdir one/folders/d; exec 5> one/folders/open; says 1 "is in use by bash ($$)" $ASSETFS umount one; exec 5>&-; says 1 'this very command' $ASSETFS umount one 5> one/folders/y
            (cd one/folders/d; exec sleep 100) & sleeper=$!; until [ "$(readlink /proc/$sleeper/cwd)" = $PWD/one/folders/d ]; do sleep 0.01; done
            until [ "$(cat /proc/$sleeper/comm)" = sleep ]; do sleep 0.01; done
            says 1 "in use by sleep ($sleeper)" $ASSETFS umount one; kill -KILL $sleeper; wait $sleeper || true
            mount --bind two one/folders/d; says 1 "a mount on $PWD/one/folders/d" $ASSETFS umount one; umount one/folders/d
            $ASSETFS umount one; is "$(mounts one)" 0
            """
        )
    }

    @Test func `umount says for whom it waits, and gives up when it is told to`() throws {
        try script(
            """
            $ASSETFS mount lib one; mount --bind one/folders two; says 12 "it is mounted on $PWD/two, too" $ASSETFS umount --timeout 0.2 one
            is "$(mounts one)" 0; umount two; flock -w 20 lib/lock true
            $ASSETFS mount lib one; unshare -m --propagation private sleep 100 & sleeper=$!; until [ "$(cat /proc/$sleeper/comm)" = sleep ]; do sleep 0.01; done
            $ASSETFS umount one 2> waiting & umount=$!
            for n in $(seq 1200); do grep -q "sleep ($sleeper) has it on $PWD/one in a mount namespace of its own" waiting && break; kill -0 $umount; sleep 0.05; done
            grep -q '^assetfs: Waiting for the end' waiting; says 2 'Process .* has it' $ASSETFS mount lib one
            kill -KILL $sleeper; wait $umount; flock -n lib/lock true; is "$(wc -l < waiting)" 1
            says 64 'number of seconds' $ASSETFS umount --timeout=-1 one
            """
        )
    }

    @Test func `a lazy umount takes the mount away and ends the daemon`() throws {
        try script(
            """
            $ASSETFS mount lib one; echo x > one/folders/x; exec 5> one/folders/open; echo kept >&5
            $ASSETFS umount --lazy one; is "$(mounts one)" 0; flock -n lib/lock true; exec 5>&- || true
            $ASSETFS mount lib one; is "$(cat one/folders/x one/folders/open | tr '\\n' ' ')" "x kept "; $ASSETFS umount one
            """
        )
    }

    @Test func `a killed daemon's mount is ended at once, also while programs work in it`() throws {
        try script(
            """
            $ASSETFS mount $PWD/lib one; exec 5> one/folders/open; kill -9 $(daemon); while [ -d one/folders ]; do sleep 0.01; done
            timeout 60 $ASSETFS umount one; is "$(mounts one)" 0; exec 5>&- || true
            $ASSETFS mount $PWD/lib one; exec 5> one/folders/open; kill -9 $(daemon); while [ -d one/folders ]; do sleep 0.01; done
            $ASSETFS mount lib one; is "$(mounts one)" 1; exec 5>&- || true; $ASSETFS umount one
            """
        )
    }

    @Test func `a daemon that dies while umount waits for it is told of`() throws {
        try script(
            """
            $ASSETFS mount $PWD/lib one; mount --bind one/folders two; $ASSETFS umount one 2> said & umount=$!; while [ "$(mounts one)" != 0 ]; do sleep 0.01; done
            kill -9 $(daemon); s=0; wait $umount || s=$?; is $s 1; grep -q 'died before everything was durable' said; umount -l two
            """
        )
    }

    @Test func `an end that failed is umount's failure, and the daemon's`() throws {
        try script(
            """
            # The state that the last daemon recorded about its exit; a command reads it when the lock is
            # free.
            $ASSETFS mount $PWD/lib one; is "$(head -c 8 lib/lock)" "running "; is "$(stat -c %s lib/lock)" 512; mount --bind one/folders two
            $ASSETFS umount one 2> said & umount=$!; while [ "$(mounts one)" != 0 ]; do sleep 0.01; done; d=$(daemon)
            strace -f -qq -o /dev/null -e inject=fsync,fdatasync,syncfs:error=EIO -p $d 2> attached & tracer=$!
            until grep -q TracerPid:.$tracer /proc/$d/status; do sleep 0.01; done
            touch two/late; umount two; s=0; wait $umount || s=$?; wait $tracer || true; is $s 1; grep -q 'its end failed: ' said
            grep -q -a '^failed: ' lib/lock; grep -q 'was not closed as it should' lib/assetfs.log
            $ASSETFS mount lib one; $ASSETFS umount one; is "$(head -n 1 lib/lock)" ended
            """
        )
    }

    @Test func `a mount right after umount(8) waits for the daemon's end, and one in use is refused at once`() throws {
        try script(
            """
            $ASSETFS mount lib one
            for n in $(seq 5); do echo $n > one/folders/$n; umount one; $ASSETFS mount lib one; is "$(cat one/folders/$n)" $n; done
            says 2 'in use by another process' $ASSETFS mount lib two; $ASSETFS umount one
            # A daemon that is stopped while it exits.
            $ASSETFS mount $PWD/lib one; d=$(daemon); kill -STOP $d; umount -l one; $ASSETFS mount lib one & mount=$!
            until [ -e /proc/$mount/task/$mount/children ] && [ "$(cat /proc/$mount/task/$mount/children)" ]; do sleep 0.01; done; kill -CONT $d; wait $mount
            is "$(cat one/folders/5)" 5; $ASSETFS umount one
            """
        )
    }

    @Test func `others than root mount and unmount, and hear the same sentences`() throws {
        try script(
            """
            cat > theirs.sh <<'END'
            # With /dev/fuse accessible to all users.
            mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/zero c 1 5; mknod -m 666 /dev/urandom c 1 9; mknod -m 666 /dev/fuse c 10 229
            user() { timeout 60 setpriv --reuid 1000 --regid 1000 --clear-groups "$@"; }
            trap 'pkill -KILL -u 1000 -f "[a]ssetfs mount.* $PWD/lib" || true' EXIT
            user $ASSETFS mount -o noatime,nodiratime,noexec $PWD/lib one; grep " $PWD/one " /proc/self/mountinfo | grep -q ',noexec,noatime'
            says 1 "is in use by bash" user bash -c "exec 5> one/folders/x; $ASSETFS umount one; exit \\$?"; user $ASSETFS umount one; is "$(mounts one)" 0
            user $ASSETFS mount $PWD/lib one; kill -KILL $(pgrep -u 1000 -f "[a]ssetfs mount $PWD/lib"); while user ls one > /dev/null 2>&1; do sleep 0.01; done
            user $ASSETFS mount $PWD/lib one; is "$(mounts one)" 1; user bash -c "exec 5> one/folders/y; $ASSETFS umount --lazy one"; is "$(mounts one)" 0
            mkdir roots; says 9 'user has no write access' user $ASSETFS mount $PWD/lib roots
            says 9 '“allow_other” is refused: .*user_allow_other' user $ASSETFS mount -o allow_other $PWD/lib one
            END
            chmod 755 .; chmod 777 one two; mkdir lib; chmod 700 lib; chown 1000:1000 lib one
            { echo "ASSETFS=$ASSETFS"; declare -f is says mounts; echo 'set -eu'; cat theirs.sh; } > all.sh; unshare -m --propagation private bash all.sh
            """
        )
    }
}
