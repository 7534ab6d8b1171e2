import TestSupport
import Testing

/// Libraries that share their files with a copy made of hard links.
struct HardLinkTests {
    @Test func `what is done in a copy of hard links does not come to the original, and not back`() throws {
        try withPlace { path in
            try verifyScript(
                """
                mount_one; echo early > one/folders/early; umount_one
                cp -al lib copy; before=$(sha256sum lib/catalog.sqlite* lib/search.sqlite* lib/lock lib/FORMAT); logged=$(sha256sum lib/assetfs.log)
                $ASSETFS mount copy two > log 2>&1; echo there > two/folders/there; setfattr -n user.asset.title -v there two/folders/early
                is "$(sha256sum lib/catalog.sqlite* lib/search.sqlite* lib/lock lib/FORMAT)" "$before"
                is "$(sha256sum lib/assetfs.log)" "$logged"; grep -q Mounted copy/assetfs.log
                mount_one; echo here > one/folders/here; is "$(ls one/folders two/folders | tr '\\n' ' ')" 'one/folders: early here  two/folders: early there '
                fails getfattr -n user.asset.title one/folders/early
                umount_one; $ASSETFS umount two; verify 0 --deep lib; verify 0 --deep copy
                # A repair of the copy leaves the original unchanged, too.
                rm -r copy; sql "UPDATE blob SET size = size + 1"; cp -al lib copy; before=$(sha256sum lib/catalog.sqlite* lib/search.sqlite*)
                $ASSETFS verify --repair copy > log 2>&1 || true; is "$(sha256sum lib/catalog.sqlite* lib/search.sqlite*)" "$before"; fails cmp lib/catalog.sqlite copy/catalog.sqlite
                """,
                in: path
            )
        }
    }

    @Test func `where there is no room for the files of its own a copy of hard links is not mounted`() throws {
        try withPlace { path in
            try verifyScript(
                """
                mkdir small; mount -t tmpfs -o size=8M,mode=700 none small; trap 'umount -l one 2> /dev/null || true; umount -l two 2> /dev/null || true; umount small || true' EXIT
                mkdir -m 700 small/lib; ln -s small/lib lib; mount_one; echo early > one/folders/early; umount_one
                cp -al small/lib small/copy; head -c 16M /dev/zero > small/fill 2> /dev/null || true; sums() { sha256sum small/lib/*.sqlite* small/lib/lock; }; before=$(sums)
                s=0; $ASSETFS mount small/copy two > report 2>&1 || s=$?; is $s 1; says 'a copy of it has the same files by hard links.*No space left'
                is "$(sums)" "$before"; rm small/fill
                $ASSETFS mount small/copy two > log 2>&1; mount_one; echo more > two/folders/more; is "$(ls one/folders)" early; is "$(cat two/folders/early)" early; $ASSETFS umount two; umount_one
                verify 0 --deep lib; verify 0 --deep small/copy; is "$(ls small/copy/staging | wc -l)" 0
                """,
                in: path
            )
        }
    }
}
