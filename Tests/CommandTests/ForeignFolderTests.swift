import Foundation
import TestSupport
import Testing

/// No other user can replace the folder of a library or store.
@Suite(.serialized)
struct ForeignFolderTests {
    private func script(_ text: String, _ name: String = #function) throws {
        try withPlace(name) { path in
            try shell("ASSETFS=\(assetfs); " + StartTests.prelude + "chmod 755 .; umask 022\n" + text, in: path).check()
        }
    }

    @Test func `a library below a folder that another user can change is refused, with what to do`() throws {
        try script(
            """
            mkdir home home/in; $ASSETFS mount home/in/lib one; echo x > one/folders/x; $ASSETFS umount one
            refused() { says 9 "$1" $ASSETFS mount home/in/lib one; grep -q 'Choose a folder' said; is "$(mounts one)" 0; says 9 "$1" $ASSETFS mount home/in/new one; [ ! -e home/in/new ]; }
            chown 5003 home; refused "home, which belongs to user 5003"; chown 0 home; chown 5003 home/in; refused "home/in, which belongs to user 5003"; chown 0 home/in
            chmod 777 home; refused "home, which all users may write to"; chmod 775 home; chgrp 5003 home; refused "home, which group 5003 may write to"
            # Sticky folders, in which users own their names, and a group that only the mounting user belongs
            # to.
            chmod 1777 home; $ASSETFS mount home/in/lib one; is "$(cat one/folders/x)" x; $ASSETFS umount one
            chgrp 0 home; chmod 775 home; $ASSETFS mount home/in/lib one; $ASSETFS umount one
            chmod 1777 home; chown 5003 home; refused "home, which belongs to user 5003"; chown 0 home; chmod 755 home
            $ASSETFS mount home/in/lib one; is "$(cat one/folders/x)" x; $ASSETFS umount one
            """
        )
    }

    @Test func `a link in another user's folder leads to no library`() throws {
        try script(
            """
            mkdir home; $ASSETFS mount lib one; $ASSETFS umount one; ln -s ../lib home/link; ln -s lib link; chown 5003 home
            says 9 "home, which belongs to user 5003" $ASSETFS mount home/link one; is "$(mounts one)" 0; $ASSETFS mount link one; $ASSETFS umount one
            """
        )
    }

    @Test func `stores are refused in the same way`() throws {
        try script(
            """
            mkdir home; chown 5003 home; says 9 "The store .*home, which belongs to user 5003" $ASSETFS mount -o store=cold:$PWD/home/store lib one; is "$(mounts one)" 0; [ ! -e home/store ]
            chown 0 home; mkdir home/store; $ASSETFS mount -o store=cold:$PWD/home/store lib one; $ASSETFS umount one
            # A store that the library remembers is checked, too.
            chown 5003 home; says 9 "The store .*home, which belongs to user 5003" $ASSETFS mount lib one; is "$(mounts one)" 0; chown 0 home; $ASSETFS mount lib one; $ASSETFS umount one
            """
        )
    }

    @Test func `a user's library is where the user may write`() throws {
        try script(
            """
            mkdir home; chown 1000:1000 home one; chmod 700 home
            cat > theirs.sh <<'END'
            # With /dev/fuse accessible to all users.
            mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/zero c 1 5; mknod -m 666 /dev/urandom c 1 9; mknod -m 666 /dev/fuse c 10 229
            user() { timeout 60 setpriv --reuid 1000 --regid 1000 --clear-groups "$@"; }
            user $ASSETFS mount $PWD/home/lib one; user sh -c "echo x > one/folders/x"; is "$(user cat one/folders/x)" x; user $ASSETFS umount one
            # The user could change the library of a mount by root.
            says 9 "belongs to user 1000" $ASSETFS mount home/lib two; is "$(mounts two)" 0
            END
            { echo "ASSETFS=$ASSETFS"; declare -f is says mounts; echo 'set -eu'; cat theirs.sh; } > all.sh; unshare -m --propagation private bash all.sh
            """
        )
    }

    @Test func `the key of signed paths is written to the library that is mounted, whatever its path leads to`() throws
    {
        try script(
            """
            $ASSETFS mount other two; echo o > two/folders/f; good=$($ASSETFS sign two/folders/f); $ASSETFS umount two; key=$(sha256sum < other/signing.key)
            $ASSETFS mount lib one; echo s > one/folders/f; old=$($ASSETFS sign one/folders/f); is "$(cat $old)" s
            mv lib away; ln -s other lib; $ASSETFS sign --revoke-all one; is "$(sha256sum < other/signing.key)" "$key"; $ASSETFS umount one
            rm lib; mv away lib; $ASSETFS mount lib one; ! cat $old 2> /dev/null; is "$(ls lib | grep -c key)" 1; $ASSETFS umount one
            $ASSETFS mount other two; is "$(cat $good)" o; $ASSETFS umount two
            """
        )
    }
}
