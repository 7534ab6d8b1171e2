import Foundation
@testable import LibraryRules
import TestSupport
import Testing

/// Blobs in stores on other disks.
@Suite(.serialized)
struct StoreTests {
    /// Definitions that the scripts share: `$STORE` is a folder on another filesystem, `blob FILE` prints the
    /// end of the path of the blob that has the content of FILE.
    private static let prelude = """
        set -eu; fails() { if "$@" 2> /dev/null; then echo "this succeeded: $*" >&2; exit 1; fi; }
        value() { getfattr --only-values -n user.asset.$1 "$2" 2> /dev/null; }
        is() { [ "$1" = "$2" ] || { echo "line ${BASH_LINENO[0]}: “$1” is not “$2”" >&2; exit 1; }; }
        blob() { h=$(sha256sum < $1 | cut -c1-64); echo blobs/${h:0:2}/${h:2}; }
        move() { for f in "${@:2}"; do setfattr -n user.asset.alternate_store_id -v $1 $f; done; }
        settled() { timeout 500 $ASSETFS jobs --wait one > /dev/null; }
        unmount() { $ASSETFS umount one; }
        # Prints so many random letters. ExifTool, whose start takes most of a second, is not asked about text.
        text() { head -c $1 /dev/urandom | base64 | head -c $1; }

        """

    private func script(_ text: String, _ name: String = #function) throws {
        try withPlace(name) { path in
            try withScratch(name, in: "/dev/shm") { other in
                try shell(
                    "ASSETFS=\(assetfs); STORE=\(other)/store; mkdir $STORE; " + Self.prelude + text,
                    in: path
                ).check()
                try checkLibrary(path + "/lib")
            }
        }
    }

    @Test func `a content moves to the store that its asset names, and back`() throws {
        try script(
            """
            text 3000000 > a; text 5000 > b; cp /etc/hostname c
            truncate -s 50M holes; printf x | dd of=holes bs=1 seek=30000000 conv=notrunc 2> /dev/null
            $ASSETFS mount -o policy.versions=all,store=archive:$STORE lib one; cp a b c holes one/folders; fails value alternate_store_id one/folders/a
            move archive one/folders/a one/folders/holes; move 1 one/folders/c; settled
            is "$(value alternate_store_id one/folders/a)" 1; is "$(value store one/folders/a)" archive; is "$(value store one/folders/b)" primary
            getfattr -d one/folders/a | grep -q '^user.asset.alternate_store_id="1"$'
            for f in a c holes; do test -e $STORE/$(blob $f); test ! -e lib/$(blob $f); cmp $f one/folders/$f; done; test -e lib/$(blob b)
            test $(stat -c %b $STORE/$(blob holes)) -lt 1000
            $ASSETFS status one | grep -q '^Store 1  *archive: 3 contents, .* free, '
            # A write changes a copy in the library, which is migrated afterwards.
            printf more >> one/folders/a; printf more >> a; python3 -c 'import mmap
            with open("one/folders/c", "r+b") as f:
                with mmap.mmap(f.fileno(), 0) as pages: pages[0:1] = b"!"'
            cmp a one/folders/a; head -c 1 one/folders/c | grep -q '!'
            settled; test -e $STORE/$(blob a); test ! -e lib/$(blob a); is "$(value versions one/folders/a)" 2; cat one/folders/* one/resources/1/versions/* > /dev/null
            # A blob that another asset shows too is in the library itself.
            cp one/folders/a one/folders/twin; settled; test -e lib/$(blob a); test ! -e $STORE/$(blob a); is "$(value store one/folders/a)" primary
            move archive one/folders/twin; settled; test ! -e lib/$(blob a); cmp a one/folders/twin
            rm one/folders/twin; cmp a one/folders/a
            move 0 one/folders/a; fails value alternate_store_id one/folders/a; setfattr -x user.asset.alternate_store_id one/folders/c; settled
            cmp a one/folders/a; is "$(value store one/folders/c)" primary
            fails setfattr -n user.asset.alternate_store_id -v cellar one/folders/b; value error one/folders/b | grep -q 'stores are 0 (primary), 1 (archive)'
            unmount; $ASSETFS mount lib one; cmp holes one/folders/holes; is "$(value store one/folders/holes)" archive; unmount
            """
        )
    }

    @Test func `programs that save and copy keep an asset's store`() throws {
        try script(
            """
            $ASSETFS mount -o policy.versions=all,store=archive:$STORE lib one; echo one > a; cp a one/folders; move archive one/folders/a; settled
            echo two > b; cp b one/folders/.b.tmp; mv one/folders/.b.tmp one/folders/a; is "$(value alternate_store_id one/folders/a)" 1
            cp -a one/folders/a one/folders/copy; is "$(value alternate_store_id one/folders/copy)" 1
            rsync -X --filter='-x security.*' one/folders/a one/folders/synced; is "$(value alternate_store_id one/folders/synced)" 1
            settled; test -e $STORE/$(blob b); is "$(cat one/folders/a one/folders/copy one/folders/synced | sort -u)" two
            chmod 666 one/folders/a; fails setpriv --reuid 7 --regid 7 --clear-groups setfattr -n user.asset.alternate_store_id -v 0 one/folders/a
            unmount
            """
        )
    }

    @Test func `a store that is not there costs what is in it, until it is there again`() throws {
        try script(
            """
            text 200000 > a; echo b > b; echo c > c
            $ASSETFS mount -o store=archive:$STORE lib one; cp a b c one/folders; move archive one/folders/a one/folders/b; settled; unmount
            # The store of another library, a used folder, and a missing folder are refused; nothing is left
            # of a new library.
            fails $ASSETFS mount -o store=archive:$STORE other two; $ASSETFS mount -o store=archive:$STORE other two 2>&1 | grep -q 'belongs to another library'
            fails $ASSETFS mount -o store=archive:$PWD other two; fails $ASSETFS mount -o store=archive:/nowhere other two; test ! -e other
            mv $STORE $STORE-away; mkdir $STORE; $ASSETFS mount lib one; grep -q 'error: The store “archive” (.*) is empty' lib/assetfs.log
            fails cat one/folders/a; is "$(cat one/folders/c)" c; $ASSETFS status one | grep -q 'archive: 2 contents, .* not there'
            grep -q 'stores that it may be in are not there: “archive”' lib/assetfs.log
            $ASSETFS scrub one | grep -q '; 2 could not be read now; 0 damaged'
            cp b one/folders/again; is "$(cat one/folders/b)" b; move archive one/folders/again
            move archive one/folders/c; for n in $(seq 1200); do grep -q '"status":"error"' one/uploads/jobs/stores.json && break; sleep 0.05; done
            $ASSETFS jobs one | grep -q 'A store is not there'
            rmdir $STORE; mv $STORE-away $STORE
            for n in $(seq 1200); do cmp -s a one/folders/a && break; sleep 0.1; done; cmp a one/folders/a
            for n in $(seq 1200); do [ "$(value store one/folders/c)" = archive ] && break; sleep 0.1; done; settled
            for f in b c; do test -e $STORE/$(blob $f); test ! -e lib/$(blob $f); is "$(cat one/folders/$f)" $f; done
            unmount; mv $STORE $STORE-moved; $ASSETFS mount -o store=archive:$STORE-moved lib one; cmp a one/folders/a; unmount
            $ASSETFS mount lib one; cmp a one/folders/a; unmount
            """
        )
    }

    @Test func `a copy of a library leaves the stores alone, unless it takes them over`() throws {
        try script(
            """
            text 200000 > a; $ASSETFS mount -o store=archive:$STORE lib one; cp a one/folders; move archive one/folders/a; settled
            cp -a lib copy; $ASSETFS mount copy two; grep -q 'is in use by another process' copy/assetfs.log; $ASSETFS umount two; unmount
            $ASSETFS mount copy two; grep -q 'belongs to the library that this one is a copy of' copy/assetfs.log; fails cat two/folders/a
            rm two/folders/a; ls two/trash | grep -q a; rm two/trash/*; $ASSETFS umount two; test -e $STORE/$(blob a)
            $ASSETFS mount -o store=archive:$STORE lib one; cmp a one/folders/a; unmount
            rm -r copy; cp -a lib copy; rm -r lib; $ASSETFS mount -o store=archive:$STORE copy two; cmp a two/folders/a; $ASSETFS umount two; mv copy lib
            """
        )
    }

    @Test func `a store that goes while it is mounted is not taken for damaged`() throws {
        try script(
            """
            text 200000 > a; $ASSETFS mount -o store=archive:$STORE lib one; cp a one/folders; move archive one/folders/a; settled
            cp -a $STORE $STORE-away; rm -r $STORE/*
            $ASSETFS scrub one | grep -q '; 1 could not be read now; 0 damaged'; fails cat one/folders/a; grep -q 'is not there any more' lib/assetfs.log
            rm -r $STORE; mv $STORE-away $STORE; for n in $(seq 1200); do cmp -s a one/folders/a && break; sleep 0.1; done; cmp a one/folders/a
            $ASSETFS scrub one | grep -q ' compared until [^;]*; 0 damaged'; unmount
            """
        )
    }

    @Test func `what a store has no room for stays where it is`() throws {
        try script(
            """
            mount -t tmpfs -o size=2M none $STORE; trap 'umount -l $STORE || true' EXIT
            text 3000000 > a; echo b > b; $ASSETFS mount -o store=small:$STORE lib one; cp a b one/folders; move small one/folders/*
            for n in $(seq 1200); do grep -q '"status":"error"' one/uploads/jobs/stores.json && break; sleep 0.05; done
            $ASSETFS jobs one | grep -q 'could not be moved to the store “small”, and is where it was: There is no room for its 3000000 bytes.'
            cmp a one/folders/a; is "$(value store one/folders/b)" small; is "$(grep -c 'no room' lib/assetfs.log)" 1
            move 0 one/folders/a one/folders/b; settled; grep -q '"contents":0' one/uploads/jobs/stores.json; cmp a one/folders/a; is "$(cat one/folders/b)" b; unmount
            sqlite3 lib/catalog.sqlite 'DELETE FROM store'; trap - EXIT; umount $STORE
            """
        )
    }

    @Test func `a damaged content is not moved, and what heals it is`() throws {
        try script(
            """
            text 200000 > a; $ASSETFS mount -o store=archive:$STORE lib one; cp a one/folders; sync one/folders/a
            printf X | dd of=lib/$(blob a) bs=1 conv=notrunc 2> /dev/null
            move archive one/folders/a; settled; is "$(value store one/folders/a)" primary; is "$(value integrity one/folders/a)" damaged; fails cat one/folders/a
            cp a one/folders/a; settled; is "$(value store one/folders/a)" archive; cmp a one/folders/a
            printf X | dd of=$STORE/$(blob a) bs=1 conv=notrunc 2> /dev/null; fails $ASSETFS scrub one > /dev/null; fails cat one/folders/a
            cp a one/folders/b; cmp a one/folders/a; move archive one/folders/b; settled; test ! -e lib/$(blob a); cmp a one/folders/a
            $ASSETFS scrub one | grep -q '; 0 damaged'; unmount
            """
        )
    }

    @Test func `files that are read and written while their contents move are what they were`() throws {
        try script(
            """
            $ASSETFS mount -o store=archive:$STORE lib one
            ASSETFS=$ASSETFS python3 - <<'END'
            import os, random, threading
            folder, stop, problems = "one/folders/", threading.Event(), []
            def work(seed):
                pick = random.Random(seed)
                name, content = folder + str(seed), bytearray(pick.randbytes(300_000))
                open(name, "wb").write(content)
                try:
                    while not stop.is_set():
                        os.setxattr(name, "user.asset.alternate_store_id", pick.choice([b"archive", b"0"]))
                        with open(name, "rb") as reader, open(name, "r+b") as writer:
                            assert reader.read() == content, "before"
                            offset, part = pick.randrange(299_000), pick.randbytes(900)
                            content[offset:offset + 900] = part
                            writer.seek(offset); writer.write(part); writer.flush()
                            reader.seek(0); assert reader.read() == content, "open"
                        with open(name, "rb") as reader: assert reader.read() == content, "after"
                        if pick.random() < 0.2: stop.wait(0.02)
                except BaseException as error:
                    problems.append((seed, repr(error))); stop.set()
            workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
            for worker in workers: worker.start()
            stop.wait(8); stop.set()
            for worker in workers: worker.join()
            assert not problems, problems
            END
            fails grep error: lib/assetfs.log; unmount
            """
        )
    }

    @Test func `a mount that is killed while contents move loses none`() throws {
        try script(
            """
            mkdir in; for n in $(seq 40); do text 400000 > in/$n; done
            $ASSETFS mount -o store=archive:$STORE $PWD/lib $PWD/one; cp in/* one/folders; sync one/folders/1; id=1
            for round in $(seq 6); do
                move $id one/folders/*; sync one/folders/1; sleep 0.0$round
                pkill -KILL -f "[a]ssetfs mount.*$PWD/lib"; while stat one/folders > /dev/null 2>&1; do sleep 0.01; done
                $ASSETFS mount $PWD/lib $PWD/one; for n in $(seq 40); do cmp in/$n one/folders/$n; done; id=$((1 - id))
            done
            move archive one/folders/*; settled; test -z "$(find lib/blobs -type f)"; for n in $(seq 40); do cmp in/$n one/folders/$n; done
            test -z "$(ls $STORE/staging)"; unmount
            """
        )
    }
}
