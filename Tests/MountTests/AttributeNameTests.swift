import Foundation
import TestSupport
import Testing

/// Names of extended attributes: the listed ones, and their maximum number.
@Suite(.serialized)
struct AttributeNameTests {
    @Test func `a field is listed under the name by which it was last set`() throws {
        try runScript(
            """
            cd folders; listed() { getfattr -d -m- "$1" 2> /dev/null | grep -v '^#\\|^$' | sort | tr '\\n' ' '; }
            is_listed() { is "$(listed $1)" "$2"; }
            # f is an asset, t.tmp is not one yet.
            for f in f t.tmp; do
                echo x > $f; for name in xdg.tags asset.keywords dublincore.subject asset.keywords xdg.tags; do
                    setfattr -n user.$name -v "red, blue" $f; is_listed $f "user.$name=\\"red, blue\\" "
                    for other in xdg.tags dublincore.subject asset.keywords; do is "$(getfattr --only-values -n user.$other $f)" "red, blue"; done
                done
                setfattr -n user.baloo.rating -v 7 $f; is "$(value rank $f)" 7; setfattr -n user.xdg.comment -v c $f
                setfattr -n user.dublincore.title -v t $f
                is_listed $f 'user.baloo.rating="7" user.dublincore.title="t" user.xdg.comment="c" user.xdg.tags="red, blue" '
                setfattr -x user.asset.rank $f; setfattr -x user.xdg.comment $f; fails getfattr -n user.asset.caption $f
                is_listed $f 'user.dublincore.title="t" user.xdg.tags="red, blue" '
                fails setfattr -x user.asset.caption $f
            done
            # The values are kept by a rename that makes the file an asset, by new content, and by a rename to
            # a backup name.
            mv t.tmp t; is_listed t "$(listed f)"; echo y > t; is_listed t "$(listed f)"
            cp t t.bak; mv t t~; echo z > t; is_listed t "$(listed f)"; is_listed t~ "$(listed f)"
            $ASSETFS describe --title other t; is "$(listed t)" 'user.asset.title="other" user.xdg.tags="red, blue" '
            """
        )
    }

    @Test func `rsync, cp and tar bring desktops' names in and out, and a second run has nothing to do`() throws {
        try runScript(
            """
            mkdir $SCRATCH/s; cd $SCRATCH/s; echo x > f; mkdir d; echo y > d/g
            for f in f d/g; do
                setfattr -n user.xdg.tags -v red,blue $f; setfattr -n user.xdg.comment -v "a comment" $f; setfattr -n user.baloo.rating -v 8 $f
                for n in title creator rights description; do setfattr -n user.dublincore.$n -v "$n" $f; done
                setfattr -n user.dublincore.date -v 2024-05-17 $f
                setfattr -n user.xdg.origin.url -v https://example.com/x $f; setfattr -n user.mime_type -v text/plain $f
                setfattr -n user.charset -v utf-8 $f; setfattr -n user.xdg.language -v en $f
            done
            attributes() { (cd $1; getfattr -R -d -m- . | sort); }
            expected=$(attributes .)
            for copy in "rsync -aX" "cp -a" tar; do
                mkdir $MOUNT/folders/t $SCRATCH/o
                copies() { if [ "$copy" = tar ]; then tar --xattrs -C $1 -cf - . | tar --xattrs -C $2 -xf -; else $copy $1/. $2/; fi; }
                copies $SCRATCH/s $MOUNT/folders/t; is "$(attributes $MOUNT/folders/t)" "$expected"
                is "$(rsync -aXi $SCRATCH/s/ $MOUNT/folders/t/ | grep -v '^\\.d')" ""; is "$(attributes $MOUNT/folders/t)" "$expected"
                copies $MOUNT/folders/t $SCRATCH/o; is "$(attributes $SCRATCH/o)" "$expected"
                is "$(rsync -aXi $MOUNT/folders/t/ $SCRATCH/o/ | grep -v '^\\.d')" ""
                # A value that has another name in the library is set again, and not removed with that name.
                setfattr -n user.asset.keywords -v other $MOUNT/folders/t/f; setfattr -n user.asset.caption -v other $MOUNT/folders/t/f
                rsync -aX $SCRATCH/s/ $MOUNT/folders/t/; is "$(attributes $MOUNT/folders/t)" "$expected"
                rm -r $MOUNT/folders/t $SCRATCH/o
            done
            """
        )
    }

    @Test func `there are never more names than a list can hold`() throws {
        try withMountedLibrary { mount in
            let program = """
                def fill(path, prefix):
                    for i in range(1000):
                        error = refused(os.setxattr, path, f"{prefix}{i:04}." + "n" * (250 - len(prefix)), b"v")
                        if error: return i, error
                store("f", b"x"); os.mkdir("d"); store("t.tmp", b"x"); store("g", b"x")
                for path in ("f", "d", "t.tmp"):
                    count, error = fill(path, "user.")
                    assert error == "ENOSPC" and 230 < count < 258, (path, count, error)
                    names = os.listxattr(path); assert len(names) == count
                    # An existing attribute can be changed, and a removed one makes room.
                    os.setxattr(path, names[0], b"other"); assert os.getxattr(path, names[0]) == b"other"
                    for name in names[:2]: os.removexattr(path, name)
                    assert fill(path, "user.more.") == (2, "ENOSPC") and len(os.listxattr(path)) == count
                # Fields and policies count as well.
                for i in range(1000):
                    error = refused(os.setxattr, "g", f"user.asset.exif.T{i:04}" + "n" * 90, b"v")
                    if error: break
                assert error == "ENOSPC" and 500 < i < 700, (i, error)
                assert len(os.listxattr("g")) == i
                assert refused(os.setxattr, "g", "user." + "n" * 250, b"v") == "ENOSPC"
                assert refused(os.setxattr, "g", "user.x", b"v" * 65537) == "E2BIG"
                """
            let result = try run(["python3", "-c", pythonPrelude + program], in: mount.folders)
            #expect(result.status == 0, "\(result.errors)")
        }
    }
}
