import Foundation
import TestSupport
import Testing

/// Access levels and expiry, with common tools.
struct LifeMountTests {
    @Test func `a private file is its owner's and root's, whatever its mode says`() throws {
        try runScript(
            """
            cd folders
            echo secret > a; chown 7:7 a; chmod 644 a; as 8 cat a > /dev/null
            as 7 setfattr -n user.asset.access -v PRIVATE a
            is "$(stat -c %a a)" 600; fails as 8 cat a; as 7 cat a > /dev/null; cat a > /dev/null
            is "$(value access_level a)" 3
            as 7 chmod 664 a; is "$(stat -c %a a)" 600
            setfacl -m u:8:r a; fails as 8 cat a; fails as 8 setfattr -n user.asset.access -v 1 a
            as 7 setfattr -x user.asset.access a
            as 8 cat a > /dev/null
            as 7 setfattr -n user.asset.access_level -v 2 a; is "$(value access a)" PUBLIC_NOT_INDEXABLE
            """
        )
    }

    @Test func `a link and a copy of a private file are private`() throws {
        try runScript(
            """
            cd folders
            echo secret > a; ln a b; setfattr -n user.asset.access -v SENSITIVE a
            is "$(stat -c %a b)" 600
            cp -a a c; is "$(value access c)" SENSITIVE; is "$(stat -c %a c)" 600
            mkdir p; setfattr -n user.policy.access -v PRIVATE p; echo x > p/x; is "$(stat -c %a p/x)" 600
            chmod 755 p/x; is "$(stat -c %a p/x)" 700
            """
        )
    }

    @Test func `what replaces a private file is private at once`() throws {
        try runScript(
            """
            cd folders
            echo old > a; setfattr -n user.asset.access -v PRIVATE a; echo new > b; as 8 cat b > /dev/null
            mv b a; for n in $(seq 1200); do as 8 cat a 2> /dev/null && sleep 0.01 || break; done; fails as 8 cat a; is "$(stat -c %a a)" 600
            """
        )
    }

    @Test func `what gets a number in a private folder is private, too`() throws {
        try runScript(
            """
            mkdir folders/d; setfattr -n user.policy.overwrite -v false folders/d; setfattr -n user.policy.access -v PRIVATE folders/d
            echo a > folders/d/f; echo b > folders/d/f; is "$(stat -c %a folders/d/f-1)" 600; fails as 8 cat folders/d/f-1
            """
        )
    }

    @Test func `what is hidden is not listed, and there for who knows of it`() throws {
        try runScript(
            """
            cd folders
            echo x > seen; echo y > hid; as 8 ls > /dev/null
            setfattr -n user.asset.access -v HIDDEN_INDEXABLE hid
            is "$(as 8 ls)" seen; is "$(as 8 cat hid)" y; is "$(ls | tr '\\n' ' ')" "hid seen "
            is "$(as 8 find . -type f)" ./seen
            id=$(value id hid); is "$(ls $MOUNT/resources)" "$(value id seen)"; is "$(as 8 cat $MOUNT/resources/$id/hid)" y
            setfattr -x user.asset.access hid; is "$(as 8 ls | tr '\\n' ' ')" "hid seen "
            """
        )
    }

    @Test func `a file goes at its time, for lookups, listings and watchers, and what is open goes on`() throws {
        try runScript(
            """
            cd folders
            echo one > a; echo two > b; echo three > c; ln a also; ls -l > /dev/null
            inotifywait -m -e delete --format %f . > $SCRATCH/heard 2> $SCRATCH/watching & watcher=$!
            trap 'kill -KILL $watcher' EXIT
            for n in $(seq 1200); do grep -q established $SCRATCH/watching && break; sleep 0.01; done
            exec 5< a
            end=$(date -u -d '+2 seconds' +%FT%TZ)
            setfattr -n user.asset.expires -v $end a; setfattr -n user.asset.expires -v $end b
            python3 - "$(date -d $end +%s)" <<'END'
            import os, sys, time
            end = int(sys.argv[1])
            while time.time() < end - 0.05:
                # On a busy machine the end may come while the names are looked up.
                assert os.path.exists("a") and os.path.exists("also") or time.time() >= end
            while time.time() < end: pass
            assert not os.path.exists("a") and not os.path.exists("b") and not os.path.exists("also")
            assert os.listdir(".") == ["c"], os.listdir(".")
            END
            is "$(cat <&5)" one; exec 5<&-
            for n in $(seq 1200); do [ "$(wc -l < $SCRATCH/heard)" = 3 ] && break; sleep 0.05; done
            is "$(sort $SCRATCH/heard | tr '\\n' ' ')" "a also b "
            is "$(ls $MOUNT/trash)" ""
            echo new > a; is "$(cat a)" new
            """
        )
    }

    @Test func `lives are read as periods, and copied as ends`() throws {
        try runScript(
            """
            cd folders
            echo x > a; setfattr -n user.asset.ttl -v P3M a; is "$(value ttl a)" P3M
            cp -a a b; is "$(value expires b)" "$(value expires a)"; fails value ttl b
            rsync -aX a $SCRATCH/copy; rsync -aX $SCRATCH/copy c; is "$(value expires c)" "$(value expires a)"
            fails setfattr -n user.asset.ttl -v P53W a; value error a | grep -q P53W
            setfattr -x user.asset.expires a; fails value expires a
            mkdir t; setfattr -n user.policy.ttl -v P1D t; echo y > t/y; value expires t/y > /dev/null; fails value ttl t/y
            """
        )
    }

    @Test func `without autostore nothing stays but by the word of the folder's owner`() throws {
        try runScript(
            """
            cd folders; mkdir d; chown 7:7 d; chmod 777 d; setfattr -n user.policy.autostore -v false d
            setfattr -n user.policy.store -v 1 d; as 8 cp /etc/hostname d/a; is "$(value stored d/a)" 0; end=$(value expires d/a)
            fails as 8 setfattr -n user.asset.stored -v 1 d/a; value error d/a | grep -q "autostore is disabled here"
            fails as 8 setfattr -n user.asset.ttl -v P3M d/a; value error d/a | grep -q "cannot be beyond $end"
            fails as 8 setfattr -n user.asset.expires -v $(date -u -d '+1 week' +%FT%TZ) d/a
            as 8 setfattr -n user.asset.expires -v $(date -u -d '+1 hour' +%FT%TZ) d/a; is "$(value stored d/a)" 0
            as 8 setfattr -x user.asset.expires d/a; is "$(value expires d/a)" "$end"
            cp /etc/hostname $SCRATCH/late; chown 8:8 $SCRATCH/late; setfattr -n user.asset.expires -v 2100-01-01T00:00:00Z $SCRATCH/late
            as 8 rsync -X $SCRATCH/late d/late; is "$(value stored d/late)" 0; test "$(value expires d/late)" \\< 2100
            as 7 cp /etc/hostname d/own; as 7 setfattr -n user.asset.stored -v 1 d/own; is "$(value stored d/own)" 1; fails value expires d/own
            setfattr -n user.asset.stored -v 1 d/a; as 8 setfattr -n user.asset.stored -v 1 d/a; is "$(value stored d/a)" 1
            fails as 8 setfattr -n user.policy.autostore -v true d; fails as 8 setfattr -x user.policy.autostore d
            as 8 mkdir d/m; as 8 cp /etc/hostname d/m/x; fails as 8 setfattr -n user.asset.stored -v 1 d/m/x
            fails as 8 setfattr -n user.policy.autostore -v true d/m
            as 8 cp /etc/hosts d/s; as 8 ln d/s d/link; as 8 cp /etc/hostname d/.s.tmp; as 8 mv d/.s.tmp d/s; is "$(value stored d/link)$(value stored d/s)" 00
            as 8 mv d/s d/s.bak; as 8 cp /etc/hosts d/s; is "$(value stored d/s.bak)$(value stored d/s)" 00
            as 8 cp /etc/hostname d/t; as 8 rm d/t; as 8 env MOUNT=$MOUNT bash -c 'for f in $MOUNT/trash/*-t; do ! setfattr -n user.asset.stored -v 1 $f; done' 2> /dev/null
            mkdir d/e; setfattr -n user.policy.autostore -v true d/e; echo x > d/e/x; is "$(value stored d/e/x)" 1
            """
        )
    }

    // MARK: Trash

    @Test func `what was removed is in the trash, and comes back by mv or restore`() throws {
        try runScript(
            """
            cd folders
            mkdir -p d/e; echo one > d/e/a.txt; setfattr -n user.asset.caption -v words d/e/a.txt; chown 7:7 d/e/a.txt
            touch -d '2020-02-02 02:02:02 UTC' d/e/a.txt; id=$(value id d/e/a.txt); inode=$(stat -c %i d/e/a.txt)
            rm -r d; cd $MOUNT/trash
            is "$(ls)" $id-a.txt; is "$(cat $id-a.txt)" one; is "$(value path $id-a.txt)" d/e/a.txt; is "$(as 8 ls)" ""
            is "$(as 7 ls)" $id-a.txt
            fails as 8 cat $id-a.txt; fails touch new; fails bash -c "echo x > $id-a.txt"; is "$(cat $id-a.txt)" one
            $ASSETFS trash $MOUNT | grep -q d/e/a.txt
            is "$($ASSETFS restore $id-a.txt)" $MOUNT/folders/d/e/a.txt; cd $MOUNT/folders
            is "$(stat -c '%i %Y %u' d/e/a.txt)" "$inode 1580608922 7"; is "$(value caption d/e/a.txt)" words
            rm d/e/a.txt; echo other > d/e/a.txt; is "$(value id d/e/a.txt)" $id
            rm d/e/a.txt; sleep 0.1; mv $MOUNT/trash/$id-a.txt kept.txt; is "$(value id kept.txt)" $id
            echo other > other; rm kept.txt; fails mv -f $MOUNT/trash/$id-kept.txt other; is "$(cat other)" other
            """
        )
    }

    @Test func `a name that is taken gets a number, and rm in the trash is for good`() throws {
        try runScript(
            """
            cd folders
            echo one > a.txt; id=$(value id a.txt); rm a.txt; mkdir a.txt
            is "$($ASSETFS restore --mount $MOUNT $id)" $MOUNT/folders/a-1.txt; is "$(cat a-1.txt)" one
            rm a-1.txt; rm $MOUNT/trash/$id-a-1.txt; is "$(ls $MOUNT/trash)" ""; fails $ASSETFS restore --mount $MOUNT $id
            $ASSETFS status --json $MOUNT | python3 -c 'import json, sys; i = json.load(sys.stdin); assert i["assets"] == 0 and i["trashed"] == 0, i'
            """
        )
    }

    @Test func `df counts as free what makes room by itself, and a full disk takes it`() throws {
        try withScratch { disk in
            let image = "\(disk)/image"
            try shell(
                "truncate -s 200M \(image); mkfs.ext4 -q -F \(image); mkdir \(disk)/l \(disk)/m; mount -o loop \(image) \(disk)/l"
            ).check()
            defer { _ = try? run("umount", "\(disk)/l") }
            try run(assetfs, "mount", "\(disk)/l", "\(disk)/m").check()
            defer { _ = try? run(assetfs, "umount", "\(disk)/m") }
            try shell(
                """
                set -e; cd \(disk)/m/folders
                head -c 60M /dev/urandom > a; head -c 60M /dev/urandom > b; sync a
                free() { echo $(($(stat -f -c '%a * %S' .) / 1048576)); }
                before=$(free); rm a; after=$(free); [ $((after - before)) -ge 59 ]
                [ "$(ls ../trash | wc -l)" = 1 ]
                # Files that were removed a moment ago are not evicted.
                sleep 16
                head -c 60M /dev/urandom > c || { cat ../../l/assetfs.log; df -m ../../l; ls -l . ../trash; exit 1; } >&2; sync c
                [ "$(ls ../trash | wc -l)" = 0 ]; [ "$(wc -c < c)" = 62914560 ]
                """
            ).check()
        }
    }
}
