import Foundation
import TestSupport
import Testing

/// Checks and repairs of libraries.
@Suite(.serialized)
struct VerifyTests {
    @Test func `a sound library has no fault, mounted or not, and a check changes nothing`() throws {
        try withPlace { path in
            try verifyScript(
                """
                make_library; verify 0 one; says '; no faults.$'; silent ': .*\\.'; verify 0 --deep one; says 'read; no faults.$'
                verify 0 --json one; says '"status":"success"'; verify 2 --repair one; says 'unmount it'; verify 2 lib; says 'in use'
                fails grep -q verify <(ls one/uploads/jobs); fails test -e lib/snapshots/verify.sqlite; same; umount_one
                state() { find lib -printf '%p %m %i\\n' | sort; find lib -type f -printf '%p %s %T@\\n' | sort; find lib -type f -exec sha256sum {} + | sort; }
                state > before; verify 0 --deep lib; says '; no faults.$'; is "$(wc -l < report)" 1; verify 0 --repair lib; state > after; cmp before after
                mount_one; echo more > one/folders/more; umount one; verify 0 lib; says '; no faults.$'
                verify 0 --json lib; python3 -c 'import json; assert json.load(open("report"))["faults"] == 0'
                mount_one; same; umount_one; verify 4 nothing; mkdir other; touch other/x; verify 3 other
                """,
                in: path
            )
            try checkLibrary(path + "/lib")
        }
    }

    @Test func `a library that was killed has no fault, and its catalog's log stays as it is`() throws {
        try withPlace { path in
            try verifyScript(
                """
                make_library; exec 5> one/folders/open 6<> one/folders/nameless; echo half >&5; rm one/folders/nameless; sync one/folders/open
                echo unsynced > one/folders/late; kill -9 $(awk '/^running/ { print $2 }' lib/lock)
                for n in $(seq 500); do [ -d one/folders ] || break; sleep 0.02; done; exec 5>&- 6>&- || true; umount -l one
                test -s lib/catalog.sqlite-wal; sha256sum lib/catalog.sqlite* > before; verify 0 --deep lib; says '; no faults.$'
                sha256sum lib/catalog.sqlite* > after; cmp before after; mount_one; same; umount_one; verify 0 --deep lib
                """,
                in: path
            )
            try checkLibrary(path + "/lib")
        }
    }

    @Test func `a mount that is written to has no fault`() throws {
        try withPlace { path in
            try verifyScript(
                """
                make_library
                ( n=0; while [ ! -e stop ]; do n=$((n + 1)); mkdir -p one/folders/w/$((n % 7)); echo $n > one/folders/w/$((n % 7))/$((n % 50)); cp a one/folders/w/a$((n % 9))
                  mv -f one/folders/w/a$((n % 9)) one/folders/w/$((n % 7))/m; rm -f one/folders/w/$(((n + 3) % 7))/m; ln -f one/folders/f one/folders/w/l$((n % 3)); done ) 2> /dev/null & writer=$!
                for n in $(seq 12); do verify 0 $([ $((n % 4)) = 0 ] && echo --deep) one; says '; no faults.$'; done; touch stop; wait $writer; same; umount_one; verify 0 --deep lib
                """,
                in: path
            )
            try checkLibrary(path + "/lib")
        }
    }

    /// Damages to a library that no process has open, and the rules that each breaks.
    private static let damages: [(name: String, damage: String, rules: [String])] = [
        (
            "a name that leads to nothing",
            "sql \"INSERT INTO entry (parent, name, node, place) VALUES (2, X'67', 999999, 77)\"",
            ["entry-without-node"]
        ),
        (
            "wrong counts",
            "sql \"UPDATE blob SET uses = uses + 5, shown = 0 WHERE id = 2; UPDATE space SET reclaimable = 12345; UPDATE attribute_share SET bytes = 1; UPDATE node SET links = 7 WHERE id IN (SELECT node FROM entry WHERE name IN (CAST('b' AS BLOB), CAST('trip' AS BLOB)))\"",
            ["content-uses", "space", "attribute-shares", "file-names", "folder-links"]
        ),
        (
            "a folder that is missing",
            "sql \"DELETE FROM node WHERE id = (SELECT node FROM entry WHERE name = CAST('day' AS BLOB))\"",
            ["entry-without-node", "entry-without-folder", "extended_attribute-orphan"]
        ),
        (
            "folders that are in each other",
            "sql \"UPDATE entry SET parent = (SELECT node FROM entry WHERE name = CAST('hour' AS BLOB)) WHERE name = CAST('trip' AS BLOB)\"",
            ["folder-unreached"]
        ),
        (
            "names that are missing",
            "sql \"DELETE FROM entry WHERE name IN (CAST('twin' AS BLOB), CAST('closed' AS BLOB))\"",
            ["file-without-name", "folder-without-name"]
        ),
        (
            "a file that is missing",
            "sql \"DELETE FROM node WHERE id = (SELECT node FROM entry WHERE name = CAST('e' AS BLOB))\"",
            ["entry-without-node", "asset-without-file"]
        ),
        (
            "an asset that is missing",
            "sql \"DELETE FROM asset WHERE id = (SELECT asset FROM node JOIN entry e ON e.node = node.id WHERE e.name = CAST('d' AS BLOB))\"",
            ["version-without-asset", "file-without-asset"]
        ),
        (
            "a history that makes no sense",
            "sql \"UPDATE version SET superseded = NULL; UPDATE version SET superseded = 5, size = 1 WHERE id = 1; UPDATE node SET size = 3 WHERE blob = 2\"",
            ["present-content", "version-size", "file-size"]
        ),
        (
            "access that is not the asset's",
            "sql \"UPDATE node SET access = 3, expires = 5 WHERE id = (SELECT node FROM entry WHERE name = CAST('b' AS BLOB)); DELETE FROM special_folder; UPDATE asset SET trashed = 5, trashed_until = 9 WHERE id = 1\"",
            ["access", "special-folders", "trash-shown"]
        ),
        (
            "records that hang on nothing",
            """
            sql "INSERT INTO extended_attribute (node, name, value) VALUES (999999, X'75', X'75'); INSERT INTO policy (node, key, value) VALUES (999999, 'ttl', 'x');
            INSERT INTO field (asset, name, value, source) VALUES (999999, 'title', 'x', 'person'); INSERT INTO extraction (blob, state, updated) VALUES (999999, 'ready', 1);
            INSERT INTO member VALUES (999999, 0, 1); INSERT INTO lost_node VALUES (999999); INSERT INTO store_due VALUES (999999, 1, NULL)"
            """,
            [
                "extended_attribute-orphan", "policy-orphan", "field-orphan", "extraction-orphan", "member-orphan",
                "lost-nodes", "store_due-orphan",
            ]
        ),
        (
            "a trash that is miscounted", "sql \"UPDATE removed_folder SET assets = 9; UPDATE space SET masked = 7\"",
            ["removed-folders", "space"]
        ),
        (
            "a hole in the receipts",
            "sql \"DELETE FROM receipt WHERE end = (SELECT end FROM receipt ORDER BY end LIMIT 1 OFFSET 2)\"",
            ["receipt-gap"]
        ),
        (
            "an index that makes no sense",
            "head -c 20000 /dev/urandom | dd of=lib/search.sqlite conv=notrunc bs=4096 2> /dev/null", ["search"]
        ),
        ("an index that lacks assets", "sqlite3 lib/search.sqlite 'DELETE FROM document WHERE asset = 1'", ["search"]),
        (
            "bytes of an upload that are missing",
            "sql \"INSERT INTO staged (node, file) SELECT DISTINCT node, 'missing' FROM entry WHERE name = CAST('b' AS BLOB)\"",
            ["staged"]
        ),
        ("a library that is open to others", "chmod 755 lib; chmod 644 lib/catalog.sqlite", ["mode"]),
        (
            "files of the library that are another user's, or open to others",
            "chown 4711 lib/catalog.sqlite lib/blobs/ab; chmod 640 lib/assetfs.log; cp lib/catalog.sqlite lib/snapshots/catalog-20990101.sqlite; chmod 604 lib/snapshots/catalog-20990101.sqlite",
            ["owner", "mode"]
        ),
        (
            "a snapshot that cannot be read",
            "head -c 20000 /dev/urandom > lib/snapshots/catalog-20990101.sqlite; chmod 600 lib/snapshots/catalog-20990101.sqlite",
            ["snapshot"]
        ),
        (
            "an index that has an asset that is no more",
            "sqlite3 lib/search.sqlite \"INSERT INTO document SELECT 777777, kind, type, extension, size, width, height, duration, pages, rank, date, uploaded, access, expires, blob, latitude, longitude, uploader, owner, shared FROM document LIMIT 1\"",
            ["search"]
        ),
        (
            "an index that has another size of an asset",
            "sqlite3 lib/search.sqlite 'UPDATE document SET size = size + 1 WHERE asset = 2'", ["search"]
        ),
        (
            "an index that has a folder too many", "sqlite3 lib/search.sqlite 'INSERT INTO place VALUES (1, 2)'",
            ["search"]
        ),
        (
            "an index whose words are other words",
            "sqlite3 lib/search.sqlite \"UPDATE words_content SET c0 = 'other' WHERE id = 2\"", ["search"]
        ),
        (
            "an index whose words lead to nothing",
            "sqlite3 lib/search.sqlite 'DELETE FROM words_idx; DELETE FROM words_data WHERE id > 10'", ["search"]
        ),
        (
            "an index of the catalog that lacks a row",
            "PAGE=$(sql \"SELECT rootpage FROM sqlite_master WHERE name = 'asset_expires'\"); sqlite3 lib/catalog.sqlite \"PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = 'CREATE INDEX asset_expires ON asset (expires) WHERE expires IS NULL' WHERE name = 'asset_expires'\"; sqlite3 lib/catalog.sqlite REINDEX; sqlite3 lib/catalog.sqlite \"PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = 'CREATE INDEX asset_expires ON asset (expires) WHERE expires IS NOT NULL' WHERE name = 'asset_expires'\"",
            ["catalog"]
        ),
    ]

    @Test func `what is damaged in a catalog is named and mended, and the mount has all contents`() throws {
        try withPlace { path in
            try verifyScript(
                "make_library; umount_one; mkdir -p -m 700 lib/snapshots; verify 0 --deep lib; cp -a lib sound",
                in: path
            )
            for (name, damage, rules) in Self.damages {
                let expected = rules.map { "says '\"rule\":\"\($0)\"'" }.joined(separator: "; ")
                do {
                    try verifyScript(
                        """
                        rm -rf lib; cp -a sound lib; \(damage)
                        sha256sum lib/catalog.sqlite > before; verify 11 --deep --json lib; \(expected); sha256sum lib/catalog.sqlite > after; cmp before after
                        verify 0 --deep --repair lib; says 'Mended'; says 'no faults left'; verify 0 --deep lib; says '; no faults.$'
                        find lib/blobs -type f | sort > blobs; (cd sound && find blobs -type f) | sort | sed 's:^:lib/:' > sound.blobs; cmp blobs sound.blobs
                        mount_one; find one/folders -type f -exec sha256sum {} + | cut -c1-64 | sort -u > found
                        for n in a b c d e; do grep -q $(sha256sum < $n | cut -c1-64) found; done
                        $ASSETFS search --mount one name:twin > found; test -s found; echo new > one/folders/new; umount_one; verify 0 --deep lib; is "$(stat -c %a lib)" 700
                        """,
                        in: path
                    )
                    try checkLibrary(path + "/lib")
                } catch {
                    Issue.record("\(name): \(error)")
                }
            }
        }
    }

    @Test func `what root mends stays its owner's, and nothing comes into a folder of others`() throws {
        try withPlace { path in
            try verifyScript(
                """
                make_library; mkdir -m 777 one/folders/lost+found; umount_one; sql "DELETE FROM entry WHERE name = CAST('twin' AS BLOB)"; rm lib/search.sqlite; chmod 755 . lib; chown -R 1234:1235 lib
                verify 0 --repair lib; says 'Mended'; is "$(find lib ! -uid 1234 -o ! -gid 1235 | wc -l)" 0; test -s lib/catalog.before-repair.sqlite
                is "$(sql "SELECT uid || ' ' || gid || ' ' || (mode & 511) FROM node WHERE id = (SELECT node FROM entry WHERE name = CAST('lost+found-2' AS BLOB))")" '1234 1235 448'
                is "$(sqlite3 lib/catalog.before-repair.sqlite "SELECT count(*) FROM entry WHERE name = CAST('lost+found-2' AS BLOB)")" 0
                rm lib/catalog.sqlite; recover 0 lib; is "$(find lib ! -uid 1234 -o ! -gid 1235 | wc -l)" 0
                """,
                in: path
            )
        }
    }

    @Test func `contents that are missing or changed are named with their files, and files of others with their paths`()
        throws
    {
        try withPlace { path in
            try verifyScript(
                """
                make_library; umount_one; cp -a lib sound; rm $(blob b) $(blob f); printf X | dd of=$(blob c) bs=1 seek=5 conv=notrunc 2> /dev/null; truncate -s 5 $(blob d)
                head -c 999 /dev/urandom > lib/blobs/ab/$(printf '%062d' 1); echo x > lib/blobs/ab/foreign; echo y > lib/blobs/zz
                verify 11 lib; says '^folders/trip/b: Its file is missing. Copy'; says '^folders/f: Its file is missing. It is the former content 1.'
                says '^folders/trip/day/hour/d: Its file has 5 bytes instead of'; silent 'trip/day/c:'; says 'blobs/ab/foreign is none of'; says 'blobs/zz is none of'; says '1 file in blobs/'
                verify 11 --deep lib; says '^folders/trip/day/c: Its bytes have the SHA-256'; verify 11 --deep --repair lib; says 'trip/day/c: Its bytes'
                mount_one; verify 11 one; says '^folders/trip/b: Its file is missing'; silent 'trip/day/c:'; verify 11 --deep one; says 'trip/day/c: Its bytes'
                fails cat one/folders/trip/b; cp b one/folders/b2; cmp b one/folders/trip/b; verify 11 one; silent 'folders/trip/b:'; $ASSETFS umount one
                """,
                in: path
            )
        }
    }

    @Test func `a mount names what is damaged beside its catalog`() throws {
        try withPlace { path in
            try verifyScript(
                """
                make_library; verify 0 --deep one; says '; no faults.$'; umount_one; cp -a lib sound
                sqlite3 lib/search.sqlite 'UPDATE document SET size = size + 1 WHERE asset = 2; DELETE FROM document WHERE asset = 1'
                mount_one; verify 11 one; says 'search.sqlite lacks 1 asset. Unmount'; silent 'other words'; verify 11 --deep one; says 'other words or values of 1 asset'
                umount one; verify 0 --repair --deep lib; says 'no faults left'; mount_one; $ASSETFS search --mount one name:twin > found; test -s found; verify 0 --deep one
                mkdir -p -m 700 lib/snapshots; head -c 9000 /dev/urandom > lib/snapshots/catalog-20990101.sqlite; chmod 644 lib/snapshots/catalog-20990101.sqlite
                verify 11 one; says 'catalog-20990101.sqlite has mode 644'; says '^snapshots/catalog-20990101.sqlite: This copy'; rm lib/snapshots/catalog-20990101.sqlite
                chown 4711 lib/signing.key lib/catalog.sqlite 2> /dev/null || true; verify 11 one; says '^catalog.sqlite: It belongs to user 4711'; chown 0 lib/*; verify 0 one
                echo x > lib/staging/foreign; verify 11 one; says 'staging/foreign belongs to no upload'; mkdir lib/staging/folder; verify 11 one; says 'staging/folder is none of'
                exec 5> one/folders/open; echo half >&5; rm lib/staging/foreign; rmdir lib/staging/folder; verify 0 one; sync one/folders/open; verify 0 one; exec 5>&-; verify 0 one
                """,
                in: path
            )
        }
    }

    @Test func `a folder in staging is named, and no reason not to mount`() throws {
        try withPlace { path in
            try verifyScript(
                """
                make_library; umount_one; mkdir -m 700 lib/staging/folder; verify 11 lib; says 'staging/folder is none of'
                verify 11 --repair lib; says 'Take it out'; ! test -e lib/catalog.before-repair.sqlite; mount_one; same; umount_one; rmdir lib/staging/folder; verify 0 lib
                """,
                in: path
            )
        }
    }

    @Test func `a newest snapshot that is older than the catalog's changes is told`() throws {
        try withPlace { path in
            try verifyScript(
                """
                make_library; umount_one; mkdir -p -m 700 lib/snapshots; cp lib/catalog.sqlite lib/snapshots/catalog-20200101.sqlite; chmod 600 lib/snapshots/*
                verify 0 lib; silent 'newest copy'; touch -d 2020-01-01 lib/snapshots/*; verify 0 lib; says 'newest copy of the catalog is of 2020-01-01'
                """,
                in: path
            )
        }
    }
}
