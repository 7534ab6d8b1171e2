import TestSupport
import Testing

#if DEBUG
/// Blobs without rows in `blobs/`, left by a crash before their rows were committed or before their files
/// were removed.
@Suite(.serialized)
struct LeftoverTests {
    /// `begin POINT` mounts `lib` on `one` until its daemon reaches a kill point; `end` waits until it has
    /// died, and removes the mount.
    private let prelude = """
        begin() { : > log; ASSETFS_KILL_AT=$1 $ASSETFS mount -f lib one > log 2>&1 & daemon=$!; until grep -q Mounted log || ! kill -0 $daemon 2> /dev/null; do sleep 0.01; done; }
        end() { local s=0; wait $daemon || s=$?; is $s 137; umount -l one || true; }
        hash() { sha256sum < $1 | cut -c1-64; }
        head -c 70000 /dev/urandom > late
        """

    private func script(_ text: String, isFull: Bool = true) throws {
        let library =
            isFull ? "make_library; $ASSETFS umount one" : "mount_one; echo early > one/folders/early; umount_one"
        try withPlace { path in try verifyScript("\(prelude)\n\(library)\n\(text)", in: path) }
    }

    @Test func `a content whose upload a kill kept from its row is set aside, and gone after a week`() throws {
        try script(
            """
            begin blob-named; cp late one/folders/late 2> /dev/null || true; end blob-named; cmp late $(blob late); verify 0 lib; says 'of no content'
            mount_one; fails test -e $(blob late); cmp late lib/leftover/$(hash late); cmp b one/folders/trip/b; same; umount_one; verify 0 --deep lib; says 'Contents .*leftover/.*: 1'; silent 'of no content'
            mount_one; umount_one; cmp late lib/leftover/$(hash late); touch -d '8 days ago' lib/leftover/*
            mount_one; until [ ! -e lib/leftover ]; do sleep 0.01; done; cp late one/folders/late; umount_one; cmp late $(blob late); verify 0 --deep lib
            """
        )
    }

    @Test func `a content whose row was removed before the kill is set aside`() throws {
        try script(
            """
            mount_one; cp late one/folders/late; rm one/folders/late; rm one/trash/*late; umount_one; sql "UPDATE blob SET created = created - 3600000000000, unused = unused - 3600000000000"
            begin rows-collected; end rows-collected; cmp late $(blob late)
            mount_one; fails test -e $(blob late); cmp late lib/leftover/$(hash late); same; umount_one; verify 0 --deep lib
            """
        )
    }

    @Test func `a content stays that an older catalog does not know`() throws {
        for restore in [
            "cp older lib/catalog.sqlite; rm lib/catalog.sqlite-wal",
            "cp older new; mv new lib/catalog.sqlite; rm lib/catalog.sqlite-wal",
            "cp older new; mv new lib/catalog.sqlite; : > lib/catalog.sqlite-wal",
            "cp older lib/catalog.sqlite; rm lib/catalog.sqlite-wal; cp -a lib copied; rm -r lib; mv copied lib",
            // A restored library gets the inode numbers of the removed one.
            "cp -a lib copied; cp older copied/catalog.sqlite; : > copied/catalog.sqlite-wal; rm -r lib; cp -a copied lib; rm -r copied",
            "sed -i 's/^boot .*/boot another/' lib/lock; cp older lib/catalog.sqlite; rm lib/catalog.sqlite-wal",
        ] {
            try script(
                """
                cp lib/catalog.sqlite older; begin none; cp late one/folders/late; sync one/folders/late; kill -9 $daemon; wait $daemon || true; umount -l one; \(restore)
                mount_one; umount_one; cmp late $(blob late); fails test -e lib/leftover; verify 0 --deep lib; says 'of no content'
                # Another crash proves nothing about the file, although its inode was changed in the meantime.
                begin none; chmod 600 $(blob late); chmod 700 $(dirname $(blob late)); kill -9 $daemon; wait $daemon || true; umount -l one
                mount_one; umount_one; cmp late $(blob late); fails test -e lib/leftover
                """,
                isFull: false
            )
        }
    }

    @Test(arguments: [
        "cp -a backup/. lib/", "cp -r backup/. lib/", "rsync -a backup/ lib/", "rsync -a --inplace backup/ lib/",
        "cp -a backup/. lib/; chown -R 0:0 lib", "chown -R 0:0 lib", "touch lib/lock",
        "cp -a lib/lock kept; cp kept lib/lock",
    ])
    func `a content stays that a library which was put back in place does not know`(restore: String) throws {
        try script(
            """
            begin none; echo other > one/folders/other; sync one/folders/other; cp -a lib backup; cp late one/folders/late; sync one/folders/late; kill -9 $daemon; wait $daemon || true; umount -l one
            \(restore)
            # The catalog has no row for the blob.
            mount_one; umount_one; test -e lib/leftover && exit 1; cmp late $(blob late); verify 0 --deep lib
            """,
            isFull: false
        )
    }

    @Test func `a full disk keeps no library from being mounted in which a content is to be set aside`() throws {
        try withPlace { path in
            try verifyScript(
                """
                \(prelude)
                mkdir small; truncate -s 64M image; mkfs.ext4 -q -b 4096 -m 0 image; mount -o loop image small; trap 'umount -l one 2> /dev/null || true; umount small || true' EXIT; mkdir -m 700 small/lib; ln -s small/lib lib; mount_one; echo early > one/folders/early; umount_one
                begin blob-named; cp late one/folders/late 2> /dev/null || true; end blob-named; dd if=/dev/zero of=small/fill bs=4k count=20000 2> /dev/null || true; is "$(df --output=avail small | tail -n 1 | tr -d ' ')" 0
                mount_one; is "$(cat one/folders/early)" early; $ASSETFS umount one; rm small/fill; mount_one; echo more > one/folders/more; umount_one; verify 0 --deep lib
                """,
                in: path
            )
        }
    }

    @Test func `a content in an alternate store stays, and a recovery takes back what was set aside there`() throws {
        try withPlace { path in
            try verifyScript(
                """
                \(prelude)
                mkdir store; chmod 700 store; $ASSETFS mount -o store=deep:$PWD/store lib one; echo early > one/folders/early; cp late one/folders/late; setfattr -n user.asset.alternate_store_id -v deep one/folders/late
                until [ "$(find store -name "$(hash late | cut -c3-)")" ]; do sleep 0.05; done; $ASSETFS umount one; file=$(find store -name "$(hash late | cut -c3-)")
                begin() { : > log; $ASSETFS mount -f -o store=deep:$PWD/store lib one > log 2>&1 & daemon=$!; until grep -q Mounted log; do sleep 0.01; done; }
                # A younger file in the store without a row: it belongs to a session that the catalog does not
                # know.
                begin; echo unknown > content; h=$(hash content); mkdir -p -m 700 store/blobs/${h:0:2}; cp content store/blobs/${h:0:2}/${h:2}; chmod 600 store/blobs/${h:0:2}/${h:2}; kill -9 $daemon; wait $daemon || true; umount -l one
                begin; $ASSETFS umount one; wait $daemon; cmp content store/blobs/${h:0:2}/${h:2}; rm store/blobs/${h:0:2}/${h:2}
                touch -d '3 days ago' lib/FORMAT; begin; $ASSETFS umount one; wait $daemon; mkdir -m 700 store/leftover; mv $file store/leftover/$(hash late); rm lib/catalog.sqlite
                recover 0 lib; cmp late $file; fails test -e store/leftover; verify 0 --deep lib
                """,
                in: path
            )
        }
    }

    @Test func `a recovered catalog gets back what was set aside`() throws {
        try script(
            """
            begin blob-named; cp late one/folders/late 2> /dev/null || true; end blob-named; mount_one; umount_one; cmp late lib/leftover/$(hash late)
            rm lib/catalog.sqlite; recover 0 lib; fails test -e lib/leftover; mount_one; cmp late one/folders/lost+found/$(hash late | cut -c1-16); umount_one; verify 0 --deep lib
            """
        )
    }
}
#endif
