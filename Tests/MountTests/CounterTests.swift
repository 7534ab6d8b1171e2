import Foundation
import TestSupport
import Testing

struct CounterTests {
    @Test func `opens for reading are clicks, whole reads downloads, each once a minute for each user`() throws {
        try runScript(
            """
            counts() { echo "$(value click_count $1) $(value download_count $1)"; }
            echo one > folders/a; head -c 5000000 /dev/urandom > folders/big; chmod 644 folders/*; is "$(counts folders/a)" "0 0"
            stat folders/a > /dev/null; getfattr -d folders/a > /dev/null; echo more >> folders/a; is "$(counts folders/a)" "0 0"
            cat folders/a > /dev/null; is "$(counts folders/a)" "1 1"; cat folders/a folders/a > /dev/null; is "$(counts folders/a)" "1 1"
            as 8 cat folders/a > /dev/null; is "$(counts folders/a)" "2 2"; as 9 dd if=folders/a bs=1 count=0 2> /dev/null; is "$(counts folders/a)" "3 2"
            as 8 head -c 1000 folders/big > /dev/null; is "$(value click_count folders/big)" 1
            is "$(value info folders/a | grep -o '"click_count":[0-9]*,"download_count":[0-9]*')" '"click_count":3,"download_count":2'
            # Backup programs, and programs that read all files, do not count.
            echo two > folders/b; rsync folders/b $SCRATCH/b; tar -C folders -cf $SCRATCH/t.tar b; python3 -c 'import os; os.read(os.open("folders/b", os.O_RDONLY | os.O_NOATIME), 100)'; is "$(counts folders/b)" "0 0"
            # The counts belong to the asset, and stay with it.
            sed -i s/one/uno/ folders/a; mv folders/a folders/c; is "$(counts folders/c)" "3 2"; fails setfattr -n user.asset.click_count -v 7 folders/c; setfattr -n user.asset.click_count -v 3 folders/c
            """
        )
    }

    @Test func `whoever reads all of it by a signed path downloads, however large it is`() throws {
        try runScript(
            """
            head -c 5000000 /dev/urandom > folders/big; path=$($ASSETFS sign folders/big); as 8 head -c 100000 $path > /dev/null; is "$(value click_count folders/big) $(value download_count folders/big)" "1 0"
            as 8 cat $path > $SCRATCH/copy; cmp $SCRATCH/copy folders/big; is "$(value download_count folders/big)" 1
            """
        )
    }

    @Test func `counts outlive the mount`() throws {
        try withScratch { scratch in
            let (root, library) = ("\(scratch)/mount", "\(scratch)/library")
            try run("mkdir", root).check()
            try remount(library, on: root, scratch: scratch) { mount in
                try mount.write("a", [1])
                try run("cat", mount.path("a")).check()
            }
            try remount(library, on: root, scratch: scratch) { mount in
                let counts = try (
                    mount.attribute("user.asset.click_count", of: "a"),
                    mount.attribute("user.asset.download_count", of: "a")
                )
                #expect(counts == ("1", "1"))
            }
            try checkLibrary(library)
        }
    }
}
