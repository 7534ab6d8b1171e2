import Foundation
@testable import LibraryRules
import TestSupport
import Testing

/// Corrupt blobs, and their repair.
@Suite(.serialized)
struct ScrubTests {
    /// Functions that the scripts share: `blob FILE` prints the path of the blob that has the content of
    /// FILE.
    private static let prelude = """
        set -eu; fails() { if "$@" 2> /dev/null; then echo "this succeeded: $*" >&2; exit 1; fi; }
        value() { getfattr --only-values -n user.asset.$1 "$2" 2> /dev/null; }
        is() { [ "$1" = "$2" ] || { echo "line ${BASH_LINENO[0]}: “$1” is not “$2”" >&2; exit 1; }; }
        blob() { h=$(sha256sum < $1 | cut -c1-64); echo lib/blobs/${h:0:2}/${h:2}; }
        scrub() { set +e; $ASSETFS scrub one > report 2>&1; s=$?; set -e; is $s $1; }

        """

    private func script(_ text: String, in path: String) throws {
        try shell("ASSETFS=\(assetfs); " + Self.prelude + text, in: path).check()
    }

    @Test func `damaged contents are found, told of, never given out, and healed`() throws {
        try withPlace { path in
            try script(
                """
                head -c 300000 /dev/urandom > a; head -c 5000 /dev/urandom > b; echo former > c; head -c 70000 /dev/urandom > d
                $ASSETFS mount -o policy.versions=all,on_event='cat >> \(path)/told' lib one
                cp a b c d one/folders; ln one/folders/a one/folders/link; cp a one/folders/twin; echo now > one/folders/c
                cat one/folders/* > /dev/null; sync one/folders/a; scrub 0; grep -q '^5 contents.*; 0 damaged.$' report
                is "$(value integrity one/folders/a)" sound
                printf X | dd of=$(blob a) bs=1 seek=150000 conv=notrunc 2> /dev/null
                mv $(blob c) kept; truncate -s 4999 $(blob b)
                scrub 11
                grep -qx "a: Its bytes have the SHA-256 $(sha256sum < $(blob a) | cut -c1-64)." report
                grep -q '^twin: Its bytes' report; grep -q '^b: Its file has 4999 bytes instead of 5000.' report
                grep -qx 'c (former content 1): Its file is missing.' report; grep -q '; 3 damaged.$' report
                is "$(wc -l < report)" 5
                for f in a link twin b; do fails cat one/folders/$f; done; fails cat one/resources/3/versions/1-c; cat one/folders/d > /dev/null
                is "$(value integrity one/folders/a)" damaged; is "$(value integrity one/folders/d)" sound
                value error one/folders/link | grep -q '^The content is damaged: Its bytes have the SHA-256'
                $ASSETFS status one | grep -q 'Damaged contents *3'
                $ASSETFS events --kind file.damaged one | grep -q 'twin'
                for n in $(seq 1200); do grep -c file.damaged told > count || true; [ "$(cat count)" = 4 ] && break; sleep 0.05; done; is "$(cat count)" 4
                is "$(grep -c 'error: Blob .* is damaged' lib/assetfs.log)" 3
                $ASSETFS umount one; $ASSETFS mount -o scrub=off lib one; fails cat one/folders/a; cmp d one/folders/d
                set +e; $ASSETFS scrub --report one > report; s=$?; set -e; is $s 11; is "$(wc -l < report)" 5
                cp a one/folders/a; cmp a one/folders/twin; cmp a one/folders/link; is "$(value integrity one/folders/twin)" sound
                cp b one/folders/elsewhere; cmp b one/folders/b
                mv kept $(blob c); fails cat one/resources/3/versions/1-c; scrub 0; is "$(cat one/resources/3/versions/1-c)" former
                is "$($ASSETFS events --kind file.healed one | wc -l)" 4
                grep -q '"status":"success"' one/uploads/jobs/scrub.json; fails grep scrub <(ls one/uploads/jobs)
                is "$(value versions one/folders/a)" 1
                $ASSETFS umount one
                """,
                in: path
            )
            try checkLibrary(path + "/lib")
        }
    }

    @Test func `a damaged file can be written anew`() throws {
        try withPlace { path in
            try script(
                """
                head -c 300000 /dev/urandom > a; $ASSETFS mount -o policy.versions=all lib one; cd one/folders; cp ../../a a; cp ../../a b; cp ../../a c; sync a; cd ../..
                printf X | dd of=$(blob a) bs=1 seek=1 conv=notrunc 2> /dev/null; scrub 11
                echo new > one/folders/a; is "$(cat one/folders/a)" new; fails cat one/folders/b
                python3 -c 'import os; os.truncate("one/folders/b", 0)'; is "$(stat -c %s one/folders/b)" 0; fails truncate -s 5 one/folders/c
                is "$(python3 -c 'import os; f = os.open("one/folders/c", os.O_RDWR | os.O_TRUNC); os.write(f, b"xy"); print(os.pread(f, 9, 0)); os.close(f)')" "b'xy'"
                is "$(value versions one/folders/a)$(value versions one/folders/b)$(value versions one/folders/c)" 222
                fails cat one/resources/1/versions/1-a; cp a one/folders/d; cmp a one/resources/1/versions/1-a
                $ASSETFS umount one
                """,
                in: path
            )
            try checkLibrary(path + "/lib")
        }
    }

    @Test func `what is open when it is found out makes nothing wrong of it`() throws {
        try withPlace { path in
            try script(
                """
                head -c 300000 /dev/urandom > a; head -c 5000 /dev/urandom > b; $ASSETFS mount -o policy.versions=all lib one; cp a b one/folders; sync one/folders/a
                for f in a b; do printf X | dd of=$(blob $f) bs=1 seek=1 conv=notrunc 2> /dev/null; done
                exec 5< one/folders/a 6< one/folders/b; ! cmp -s b one/folders/b; scrub 11
                fails cat one/folders/a; fails cat one/folders/b; fails bash -c 'echo >> one/folders/b'; fails cp one/folders/a one/folders/copy
                cp a one/folders/good; cp b one/folders/good.b; cmp a one/folders/good; fails bash -c 'echo more >> one/folders/a'; cmp a one/folders/good
                cmp b one/folders/b; cp b kept; echo more >> one/folders/b; echo more >> kept; cmp kept one/folders/b; cp b one/folders/b
                exec 5<&- 6<&-; for n in $(seq 1200); do cmp -s a one/folders/a && break; sleep 0.1; done; cmp a one/folders/a; cmp b one/folders/b; echo more >> one/folders/a; cmp a one/folders/good
                printf X | dd of=$(blob b) bs=1 seek=1 conv=notrunc 2> /dev/null; scrub 11; rm one/folders/b one/folders/good.b
                for t in one/trash/*b; do fails bash -c "echo x > $t"; done; $ASSETFS umount one
                """,
                in: path
            )
        }
    }

    @Test func `files that change while contents are compared are not taken for damaged`() throws {
        try withPlace { path in
            try script(
                """
                $ASSETFS mount lib one
                python3 - <<'END'
                import mmap, os, random, subprocess, threading, time
                name = "one/folders/big"
                open(name, "wb").write(os.urandom(200_000))
                stop = threading.Event()
                def change():
                    while not stop.is_set():
                        with open(name, "rb") as reader, open(name, "r+b") as file:
                            reader.read(5000)
                            with mmap.mmap(file.fileno(), 0) as pages:
                                for _ in range(20): pages[random.randrange(200_000)] = random.randrange(256)
                            file.seek(random.randrange(150_000)); file.write(os.urandom(100))
                        os.unlink("one/folders/other") if os.path.exists("one/folders/other") else None
                        open("one/folders/other", "wb").write(os.urandom(140_000)); time.sleep(0.03)
                worker = threading.Thread(target=change); worker.start()
                for _ in range(10):
                    done = subprocess.run([os.environ["ASSETFS"], "scrub", "one"], capture_output=True, text=True)
                    if done.returncode != 0: break
                stop.set(); worker.join()
                assert done.returncode == 0, done
                END
                scrub 0; ! grep -q error: lib/assetfs.log; $ASSETFS umount one
                """.replacingOccurrences(of: "python3 -", with: "ASSETFS=$ASSETFS python3 -"),
                in: path
            )
            try checkLibrary(path + "/lib")
        }
    }

    @Test func `a state that gets shorter while it is read is read whole`() throws {
        try withPlace { path in
            // The command reads the file's size when the pass has ended, and has opened the file before.
            try script(
                """
                $ASSETFS mount lib one; head -c 30M /dev/urandom > one/folders/a; sync one/folders/a; scrub 0
                setfattr -n user.asset.scrub -v 1 one/folders; job=$PWD/one/uploads/jobs/scrub.json
                for n in $(seq 1000); do grep -q '"status":"progress"' $job && break; done
                strace -f -qq -o trace -e inject=fstat,newfstatat,statx:delay_enter=2000000 -e inject=read:delay_enter=1 -P $job $ASSETFS scrub --report $PWD/one > report
                grep -q '; 0 damaged.$' report; $ASSETFS umount one
                """,
                in: path
            )
        }
    }

    @Test func `contents are compared by themselves, and the next mount goes on where the last ended`() throws {
        try withPlace { path in
            try script(
                """
                head -c 3000000 /dev/urandom > a; for n in $(seq 50); do echo $n > $n; done
                $ASSETFS mount -o scrub=P1D lib one; cp a $(seq 50) one/folders; $ASSETFS umount one
                printf X | dd of=$(blob 50) bs=1 conv=notrunc 2> /dev/null
                # The state of a pass that was interrupted in the middle.
                sqlite3 lib/catalog.sqlite "UPDATE scrub SET began = 5, position = 20, last = 51, contents = 20, finished = 1"
                $ASSETFS mount -o scrub=P1D lib one; $ASSETFS scrub --report one | grep -q "^[2-5][0-9] contents, "
                for n in $(seq 1200); do $ASSETFS scrub --report one > report || break; sleep 0.1; done
                for n in $(seq 1200); do grep -q until report && break; $ASSETFS scrub --report one > report || sleep 0.1; done
                grep -q '^50: Its bytes have' report; grep -q '^51 contents, .* until' report
                fails $ASSETFS mount -o scrub=often lib two; $ASSETFS umount one
                """,
                in: path
            )
        }
    }
}
