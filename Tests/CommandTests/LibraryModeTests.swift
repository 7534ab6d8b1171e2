import Foundation
import TestSupport
import Testing

/// The folder of a library is accessible only to its owner.
@Suite(.serialized)
struct LibraryModeTests {
    private func script(_ text: String, _ name: String = #function) throws {
        try withPlace(name) { path in
            try shell("ASSETFS=\(assetfs); " + StartTests.prelude + "chmod 755 .; umask 022\n" + text, in: path).check()
        }
    }

    @Test func `a library that others could enter is closed to them, with all that is in it`() throws {
        try script(
            """
            mkdir -m 755 lib; $ASSETFS mount lib one; head -c 300000 /dev/urandom > one/folders/a; $ASSETFS sign one/folders/a > signed; sync one/folders/a
            is "$(find lib -perm /077)" ""; grep -q 'lib.*mode.*755.*700\\|lib.*755' lib/assetfs.log; $ASSETFS umount one
            # The modes that an older assetfs, or a copy by another program, has left.
            find lib -type d -exec chmod 755 {} +; find lib -type f -exec chmod 644 {} +; touch lib/catalog.sqlite-journal; chmod 644 lib/catalog.sqlite-journal; rm lib/catalog.sqlite-journal
            $ASSETFS mount lib one; is "$(find lib -perm /077)" ""; cmp one/folders/a <(cat one/folders/a); grep -c 'mode 755' lib/assetfs.log; $ASSETFS umount one; is "$(find lib -perm /077)" ""
            # Correct modes are not logged.
            n=$(grep -c 'mode 755' lib/assetfs.log); $ASSETFS mount lib one; $ASSETFS umount one; is "$(grep -c 'mode 755' lib/assetfs.log)" $n
            """
        )
    }

    @Test func `a library of another user is not mounted, and stays as it is`() throws {
        try script(
            """
            mkdir lib; $ASSETFS mount lib one; echo x > one/folders/x; $ASSETFS umount one
            for mode in 755 700; do chmod $mode lib; chown 5001:5001 lib
            says 9 "belongs to user 5001" $ASSETFS mount lib one; grep -q "mode $mode" said; grep -q chown said; is "$(mounts one)" 0; is "$(stat -c '%u %a' lib)" "5001 $mode"; done
            chown 0:0 lib; $ASSETFS mount lib one; is "$(cat one/folders/x)" x; $ASSETFS umount one
            # A folder that is not a library is left unchanged.
            mkdir -m 755 other; touch other/x; says 3 'not an assetfs library' $ASSETFS mount other one; is "$(stat -c %a other)" 755
            """
        )
    }

    @Test func `stores are as closed as the library`() throws {
        try script(
            """
            mkdir -m 755 store theirs; chown 5001 theirs; $ASSETFS mount -o store=cold:$PWD/store lib one; $ASSETFS umount one
            is "$(find store -perm /077)" ""; find store -type d -exec chmod 755 {} +; find store -type f -exec chmod 644 {} +
            $ASSETFS mount lib one; is "$(find store -perm /077)" ""; $ASSETFS umount one
            ! $ASSETFS mount -o store=other:$PWD/theirs lib one 2> said; grep -q 'belongs to user 5001' said; is "$(mounts one)" 0; is "$(stat -c %a theirs)" 755; is "$(ls -A theirs)" ""
            """
        )
    }

    @Test func `a disk that knows no modes is refused unless it closes everything`() throws {
        try script(
            """
            # Simulates chmod(2) on vfat: it succeeds and changes nothing.
            mkdir -m 755 lib; vfat="strace -f -qq -o /dev/null -e trace=fchmod -e inject=fchmod:retval=0"
            says 9 'no modes' $vfat $ASSETFS mount lib one; grep -q 'umask=077' said; is "$(ls -A lib)" ""; is "$(mounts one)" 0
            chmod 700 lib; $vfat $ASSETFS mount --foreground lib one 2> said & while ! mountpoint -q one; do sleep 0.05; done; $ASSETFS umount one; wait
            """
        )
    }

    @Test func `the signing key is in no copy of the catalog, and signed paths outlive the update`() throws {
        try script(
            """
            $ASSETFS mount lib one; echo x > one/folders/x; p=$($ASSETFS sign one/folders/x); is "$(cat $p)" x; is "$(stat -c %a lib/signing.key)" 600; $ASSETFS umount one
            is "$(sqlite3 lib/catalog.sqlite 'SELECT count(*) FROM signing')" 0
            # The key in the catalog, as a former assetfs stores it.
            key=$(od -An -tx1 -v lib/signing.key | tr -d ' \\n'); rm lib/signing.key; sqlite3 lib/catalog.sqlite "INSERT INTO signing VALUES (1, X'$key')"
            $ASSETFS mount lib one; is "$(cat $p)" x; $ASSETFS umount one; is "$(sqlite3 lib/catalog.sqlite 'SELECT count(*) FROM signing')" 0; is "$(stat -c %a lib/signing.key)" 600
            ! od -An -tx1 -v lib/catalog.sqlite | tr -d ' \\n' | grep -q $key
            # Another key invalidates the paths, also after a remount; an invalid key file is not accepted.
            $ASSETFS mount lib one; $ASSETFS sign --revoke-all one; ! cat $p 2> /dev/null; q=$($ASSETFS sign one/folders/x); $ASSETFS umount one
            $ASSETFS mount lib one; ! cat $p 2> /dev/null; is "$(cat $q)" x; $ASSETFS umount one; is "$(ls lib | grep -c key)" 1
            : > lib/signing.key; $ASSETFS mount lib one; ! cat $q 2> /dev/null; ! $ASSETFS sign one/folders/x 2> said; $ASSETFS sign --revoke-all one; is "$(cat $($ASSETFS sign one/folders/x))" x; $ASSETFS umount one
            """
        )
    }
}
