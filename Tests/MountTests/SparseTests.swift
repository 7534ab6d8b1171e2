import Foundation
import TestSupport
import Testing

/// Files that are nearly all hole.
///
/// Reading eight terabytes of zeros takes hours, so a test in which a program waits for that is ended by the
/// watchdog of the mount.
@Suite(.serialized)
struct SparseTests {
    @Test func `removing, replacing, renaming and asking cost no reading of holes`() throws {
        try runScript(
            """
            cd folders
            big() { truncate -s 8T "$1"; echo data | dd of="$1" bs=1 seek=100000 conv=notrunc status=none; }
            big a; rm a
            big b; echo x > c; mv c b; is "$(cat b)" x
            big d; mv d e; is "$(stat -c %s e)" 8796093022208
            is "$(value status e)" processing; fails getfattr -n user.asset.sha256 e
            $ASSETFS info e > /dev/null; $ASSETFS info --json e | grep -q '"status":"processing"'
            setfattr -n user.asset.caption -v hello e; is "$(value caption e)" hello
            dd if=e bs=1 skip=100000 count=4 status=none | grep -q data
            cp --sparse=always --reflink=never b f; ln e g; rm e; is "$(value caption g)" hello; rm g
            """
        )
    }

    @Test func `a killed mount comes up again at once, with the file as it was, and SIGTERM ends it`() throws {
        try withScratch("sparse") { scratch in
            let (root, library) = (scratch + "/mount", scratch + "/library")
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            let mount = { _ = try run("timeout", "60", assetfs, "mount", library, root).check() }
            // Ends the daemon by a signal and waits for the library's lock.
            let end = { (signal: String) in
                _ = try shell(
                    """
                    set -e; pkill -\(signal) -f "[a]ssetfs mount \(library)"
                    timeout 60 sh -c 'until flock -n \(library)/lock true; do sleep 0.05; done'; umount -l \(root) 2> /dev/null || true
                    """
                ).check()
            }
            let read = "test \"$(dd if=\(root)/folders/a bs=1 skip=100000 count=4 status=none)\" = data"
            try mount()
            try shell(
                """
                set -e; cd \(root)/folders; truncate -s 8T a
                echo data | dd of=a bs=1 seek=100000 conv=notrunc status=none; sync a
                """
            ).check()
            try end("KILL")
            for signal in ["TERM", "TERM"] {
                try mount()
                try shell(read).check()
                try end(signal)
            }
            try mount()
            try shell("set -e; \(read); rm \(root)/folders/a; timeout 60 \(assetfs) umount \(root)").check()
            try checkLibrary(library)
        }
    }

    @Test func `a close that waits for a policy's answer is interrupted, and holds up nobody else`() throws {
        try runScript(
            """
            mkdir folders/d; setfattr -n user.policy.duplicates -v REJECT folders/d
            for n in $(seq 12); do truncate -s 8T folders/d/$n & pids="${pids:-} $!"; done
            until [ "$(ls folders/d | wc -l)" = 12 ]; do sleep 0.05; done
            # Other files are served meanwhile, and committed.
            echo one > folders/d/small; value sha256 folders/d/small > /dev/null
            for n in $(seq 20); do head -c 3M /dev/urandom > folders/$n; done; value sha256 folders/20 > /dev/null
            kill -9 $pids; for pid in $pids; do wait $pid || true; done
            rm folders/d/*
            """
        )
    }

    @Test func `a file of data does not wait for files of holes`() throws {
        try runScript(
            """
            cd folders; for n in 1 2 3 4 5; do truncate -s 8T $n; done
            # Their commits begin two seconds after the last write.
            sleep 3
            head -c 100M /dev/urandom > $SCRATCH/new; split -n 2 $SCRATCH/new $SCRATCH/half
            for half in ab:50 aa:0; do
                dd if=$SCRATCH/half${half%:*} of=a bs=1M oflag=seek_bytes seek=${half#*:}M conv=notrunc status=none
            done
            rm a; cmp ../trash/*-a $SCRATCH/new; rm 1 2 3 4 5
            """
        )
    }

    @Test func `the original of a large file is kept also when it is cut soon`() throws {
        try runScript(
            """
            cd folders; head -c 100M /dev/urandom > $SCRATCH/new; split -n 2 $SCRATCH/new $SCRATCH/half
            put() {
                for half in ab:50 aa:0; do
                    dd if=$SCRATCH/half${half%:*} of=$1 bs=1M oflag=seek_bytes seek=${half#*:}M conv=notrunc status=none
                done
            }
            put a; echo resized > a; cmp ../resources/$(value id a)/versions/1-a $SCRATCH/new
            put b; until truncate -s 10 b; do sleep 0.05; done; sync b; sha=$(value sha256 b); cmp ../resources/$(value id b)/versions/1-b $SCRATCH/new
            """
        )
    }

    @Test func `a large file that is not written in order is in the trash with its last bytes`() throws {
        try runScript(
            """
            cd folders; echo first > a
            head -c 100M /dev/urandom > $SCRATCH/new; split -n 2 $SCRATCH/new $SCRATCH/part
            dd if=$SCRATCH/partab of=a bs=1M oflag=seek_bytes seek=50M conv=notrunc status=none
            dd if=$SCRATCH/partaa of=a bs=1M conv=notrunc status=none
            rm a; cmp ../trash/*-a $SCRATCH/new
            """
        )
    }
}
