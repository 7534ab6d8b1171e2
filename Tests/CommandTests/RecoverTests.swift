import Foundation
import TestSupport
import Testing

/// Catalogs that are rebuilt from snapshots and blobs.
@Suite(.serialized)
struct RecoverTests {
    /// Ways to make the catalog of `lib` unusable, and the expected message of mount(1).
    private static let damages = [
        ("no catalog", "rm lib/catalog.sqlite", "has no catalog.sqlite"),
        ("an empty one", ": > lib/catalog.sqlite", "has no catalog.sqlite"),
        (
            "a page of zeros", "dd if=/dev/zero of=lib/catalog.sqlite bs=4096 count=1 conv=notrunc 2> /dev/null",
            "is damaged"
        ),
        (
            "a page of a table that is zeros",
            "dd if=/dev/zero of=lib/catalog.sqlite bs=4096 count=1 conv=notrunc seek=$(($(sql \"SELECT rootpage FROM sqlite_master WHERE name = 'node'\") - 1)) 2> /dev/null",
            "is damaged"
        ),
        ("the beginning of one", "truncate -s 40960 lib/catalog.sqlite", "is damaged"),
        ("other bytes", "head -c 300000 /dev/urandom > lib/catalog.sqlite", "is damaged"),
    ]

    @Test func `a catalog that is lost is made from the newest snapshot and the contents`() throws {
        try withPlace { path in
            try verifyScript(
                """
                make_library; umount_one; touch -d '3 days ago' lib/FORMAT; mount_one; umount_one; is "$(ls lib/snapshots | wc -l)" 1
                recover 1 lib; says 'nothing has to be recovered'; mount_one; printf '\\211PNG later' > later; cp later one/folders/later; rm one/folders/twin; cp b one/folders/f; umount_one
                (umask 077; head -c 999 /dev/urandom > lib/blobs/ab/$(printf '%062d' 1)); cp -a lib sound
                """,
                in: path
            )
            for (name, damage, sentence) in Self.damages {
                do {
                    try verifyScript(
                        """
                        rm -rf lib; cp -a sound lib; find lib/blobs -type f | sort > before
                        \(damage); verify 11 lib; says recover; s=0; $ASSETFS mount lib one > report 2>&1 || s=$?; is $s 11; says '\(sentence)'; says 'assetfs recover'
                        recover 0 lib; says 'The catalog is that of snapshots/catalog-'; says '^folders/lost+found/.*\\.png$'; says '1 content has a name'; says '1 file in blobs/ is not whole'
                        find lib/blobs -type f | sort > after; cmp before after; \(name == "no catalog" ? "" : "test -e lib/catalog.damaged.sqlite")
                        verify 0 --deep lib; mount_one; same; cmp later one/folders/lost+found/*.png; cmp a one/folders/twin; is "$(getfattr --only-values -n user.asset.title one/folders/trip/b)" Title
                        echo new > one/folders/new; test $(getfattr --only-values -n user.asset.id one/folders/new) -gt 1000000; $ASSETFS search --mount one name:twin > found; test -s found
                        umount_one; verify 0 --deep lib
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

    @Test func `without a snapshot each content is a file, and what is missing is named`() throws {
        try withPlace { path in
            try verifyScript(
                """
                make_library; umount_one; cp -a lib sound; rm lib/catalog.sqlite; recover 0 lib; says 'There is no snapshot'
                mount_one; for n in a b c d e f; do cmp $n one/folders/lost+found/$(sha256sum < $n | cut -c1-16)*; done; is "$(stat -c %a one/folders/lost+found)" 700; umount_one; verify 0 --deep lib
                rm -rf lib; cp -a sound lib; touch -d '3 days ago' lib/FORMAT; mount_one; umount_one; rm $(blob b) lib/catalog.sqlite
                recover 11 lib; says '^folders/trip/b: Its file is missing'; mount_one; fails cat one/folders/trip/b; cmp c one/folders/trip/day/c; $ASSETFS umount one
                """,
                in: path
            )
        }
    }

    @Test func `a damaged snapshot is passed over`() throws {
        try withPlace { path in
            try verifyScript(
                """
                make_library; umount_one; touch -d '3 days ago' lib/FORMAT; mount_one; umount_one; good=$(ls lib/snapshots); umask 077
                head -c 9000 /dev/urandom > lib/snapshots/catalog-29990101.sqlite; cp lib/snapshots/$good lib/snapshots/catalog-29990102.sqlite; truncate -s 40960 lib/snapshots/catalog-29990102.sqlite
                rm lib/catalog.sqlite; recover 0 lib; says "snapshots/$good"; says "catalog-29990101.sqlite is damaged"; says "catalog-29990102.sqlite is damaged"; is "$(ls lib/snapshots | tail -n 2 | tr '\n' ' ')" "catalog-29990101.sqlite.damaged catalog-29990102.sqlite.damaged "; mount_one; same; umount_one
                """,
                in: path
            )
        }
    }

    @Test func `a snapshot that cannot be taken for other reasons than damage is not passed over in silence`() throws {
        try withPlace { path in
            try verifyScript(
                """
                make_library; umount_one; touch -d '3 days ago' lib/FORMAT; mount_one; umount_one; good=lib/snapshots/$(ls lib/snapshots); rm lib/catalog.sqlite; cp -a lib sound; umask 077
                # A snapshot of a newer assetfs.
                sqlite3 $good "INSERT INTO grdb_migrations VALUES ('999 of the next version')"; recover 1 lib; says "$(basename $good) cannot be taken.*newer"; fails test -e lib/catalog.sqlite
                # A snapshot that the disk cannot read, first alone, and then with an older one.
                rm -rf lib; cp -a sound lib; s=0; strace -f -qq -o /dev/null -P $good -e trace=read -e inject=read:error=EIO $ASSETFS recover lib > report 2>&1 || s=$?; is $s 1; says 'No snapshot could be read'; fails test -e lib/catalog.sqlite
                older=lib/snapshots/catalog-20200101.sqlite; cp $good $older; s=0; strace -f -qq -o /dev/null -P $good -e trace=read -e inject=read:error=EIO $ASSETFS recover lib > report 2>&1 || s=$?
                is $s 0; says 'A snapshot was passed over'; says "catalog is that of $(basename $(dirname $older))/$(basename $older)"; test -e $good; mount_one; same; umount_one
                # No space for the bytes that opening the copy writes.
                mkdir small; mount -t tmpfs -o size=$(($(du -sk sound | cut -f1) + $(stat -c %s ${good/lib/sound}) / 1024 + 8))k none small; trap 'umount -l small' EXIT
                cp -a sound small/lib; good=$(ls -d small/lib/snapshots/*); dd if=/dev/zero of=small/fill bs=4k count=20000 2> /dev/null || true; truncate -s -$((($(stat -c %s $good) + 4095) / 4096 * 4096)) small/fill
                recover 1 small/lib; says 'cannot be taken\\|cannot be copied'; fails test -e small/lib/catalog.sqlite; rm small/fill; umount small; trap - EXIT
                """,
                in: path
            )
        }
    }

    @Test func `a catalog without tables is damaged, and none is made in its place`() throws {
        try withPlace { path in
            try verifyScript(
                """
                make_library; umount_one; touch -d '3 days ago' lib/FORMAT; mount_one; umount_one; cp -a lib sound
                for other in 'sqlite3 lib/catalog.sqlite "VACUUM"' 'cp sound/search.sqlite lib/catalog.sqlite'; do
                    rm lib/catalog.sqlite; eval "$other"; verify 11 lib; says recover; s=0; $ASSETFS mount lib one > report 2>&1 || s=$?; is $s 11; says 'assetfs recover'
                    recover 0 lib; mount_one; same; umount_one; rm -rf lib; cp -a sound lib
                done
                # A copy without the log of a new library before its first checkpoint.
                rm -rf lib; $ASSETFS mount -f lib one & until [ -e one/folders ]; do sleep 0.01; done; echo 1 > one/folders/f; sync one/folders/f; rm -rf copy; cp -a lib copy; rm -f copy/*-wal; kill -9 $!; wait || true; umount -l one
                s=0; $ASSETFS mount copy one > report 2>&1 || s=$?; is $s 11; says 'assetfs recover'
                """,
                in: path
            )
        }
    }

    @Test func `a pipe in place of one of a library's files holds no command up`() throws {
        try withPlace { path in
            try verifyScript(
                """
                mount_one; umount_one; rm lib/catalog.sqlite; mkdir -p -m 700 lib/snapshots; cp -a lib sound
                for name in FORMAT lock snapshots/catalog-20260101.sqlite; do
                    rm -rf lib; cp -a sound lib; rm -f lib/$name; mkfifo -m 600 lib/$name
                    for command in "verify lib" "recover lib" "mount lib one"; do
                        s=0; timeout -s KILL 60 $ASSETFS $command > report 2>&1 || s=$?; [ $s -lt 128 ] || { echo "$command: no end with the pipe $name" >&2; exit 1; }; umount one 2> /dev/null || true
                    done
                done
                """,
                in: path
            )
        }
    }
}
