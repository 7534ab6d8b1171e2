import Foundation
import TestSupport
import Testing

/// Attributes that programs set by the desktops' names of fields: kept byte for byte, as other filesystems
/// do, with the field beside them.
@Suite(.serialized)
struct DesktopNameTests {
    private func check(_ program: String, _ options: [String] = [], name: String = #function) throws {
        try withMountedLibrary(name, options: options) { mount in
            let begin = """
                import random, shutil
                outside, root = "\(mount.scratch)/outside", "\(mount.root)"
                def state(path): return sorted((n, os.getxattr(path, n)) for n in os.listxattr(path))
                def attempt(call, *arguments):
                    try: call(*arguments)
                    except OSError as error: return errno.errorcode[error.errno]
                def get(path, name):
                    try: return os.getxattr(path, "user." + name)
                    except OSError as error: return errno.errorcode[error.errno]
                def put(path, name, value): os.setxattr(path, "user." + name, value)
                def remove(path, name): os.removexattr(path, "user." + name)
                tags, subject, rating, keywords, rank = "xdg.tags", "dublincore.subject", "baloo.rating", "asset.keywords", "asset.rank"

                """
            let result = try run(["python3", "-c", pythonPrelude + begin + program], in: mount.folders)
            #expect(result.status == 0, "\(result.output)\(result.errors)")
        }
    }

    @Test func `any sequence of desktops' names and values is kept as on another filesystem`() throws {
        try check(
            """
            values = {"xdg.tags": [b"a,b", b"a , a,", b"\\xff\\xfe", b"a\\0b", b"", b"x" * 3000], "dublincore.subject": [b"a,b", b"c", b"\\xff"],
                "baloo.rating": [b"7", b"11", b"-1", b"", b"x", b"007", b" 7", b"+7"], "dublincore.date": [b"2024-05-17", b"circa 1920", b""],
                "xdg.comment": [b" a \\n", b"\\xe4"], "dublincore.title": [b"t", b"\\0"], "xdg.language": [b"en", b"\\xff"]}
            os.mkdir(outside)
            def change(random, path):
                name = random.choice(list(values))
                value, kind = random.choice(values[name]), random.randrange(6)
                def act(folder):
                    target = os.path.join(folder, path)
                    if kind == 0: return attempt(os.removexattr, target, "user." + name)
                    return attempt(os.setxattr, target, "user." + name, value, {1: os.XATTR_CREATE, 2: os.XATTR_REPLACE}.get(kind, 0))
                return (name, value, kind), act
            for seed in range(4):
                # An asset, a file that is not one yet, a folder, and a file that is being written.
                for folder in (".", outside):
                    for name in ("f", "t.tmp", "u"): store(f"{folder}/{name}{seed}", b"x")
                    os.mkdir(f"{folder}/d{seed}")
                under_way = os.open(f"u{seed}", os.O_WRONLY); os.write(under_way, b"more")
                for name in ("f", "t.tmp", "d", "u"):
                    choice, done = random.Random(f"{seed}{name}"), []
                    for _ in range(120):
                        said, act = change(choice, f"{name}{seed}")
                        done.append(said); one, other = act("."), act(outside)
                        assert one == other, (name, seed, done[-8:], one, other)
                        one, other = state(f"{name}{seed}"), state(f"{outside}/{name}{seed}")
                        assert one == other, (name, seed, done[-8:], one, other)
                os.close(under_way); assert state(f"u{seed}") == state(f"{outside}/u{seed}")
                # It becomes an asset with its attributes, and the sequence continues.
                os.rename(f"t.tmp{seed}", f"t{seed}"); os.rename(f"{outside}/t.tmp{seed}", f"{outside}/t{seed}")
                choice = random.Random(seed)
                for _ in range(60):
                    assert state(f"t{seed}") == state(f"{outside}/t{seed}")
                    said, act = change(choice, f"t{seed}"); assert act(".") == act(outside), said
            """
        )
    }

    @Test func `a field has the value that was set last, and what is no value leaves it as it is`() throws {
        try check(
            """
            # f is an asset, t.tmp is not one yet, and d never is.
            store("f", b"x"); store("t.tmp", b"x"); os.mkdir("d")
            for f in ("f", "t.tmp", "d"):
                put(f, rating, b"5"); put(f, rating, b"11"); assert get(f, rating) == b"11"
                # On a file or folder without an asset only the names of a field have a value.
                assert get(f, rank) == (b"5" if f == "f" else "ENODATA"), f
                remove(f, rating); assert get(f, rank) == "ENODATA" == get(f, rating) and state(f) == [], (f, state(f))
                put(f, rank, b"3"); put(f, rating, b"high"); assert get(f, rank) == b"3" and get(f, rating) == b"high"
                remove(f, rating); assert get(f, rank) == b"3" == get(f, rating)
                # Setting the field by its own name replaces the values that were set by desktop names.
                put(f, rating, b"11"); put(f, rank, b"4"); assert get(f, rating) == b"4" and state(f) == [("user.asset.rank", b"4")]
                put(f, rating, b"12"); remove(f, rank); assert get(f, rank) == "ENODATA"
                # Bytes that were never a valid value of the field are kept when the field is removed.
                assert state(f) == [("user.baloo.rating", b"12")]; remove(f, rating)
                # Two names of one field: each keeps its own bytes, and the field has the last value.
                put(f, tags, b"a"); put(f, subject, b"b"); assert (get(f, tags), get(f, subject), get(f, keywords)) == (b"a", b"b", b"b")
                assert [n for n, _ in state(f)] == ["user.dublincore.subject", "user.xdg.tags"]
                remove(f, subject); assert get(f, keywords) == b"a" == get(f, subject)
                assert attempt(remove, f, subject) == "ENODATA" and get(f, tags) == b"a"
                put(f, subject, b"c"); remove(f, tags); assert get(f, keywords) == b"c" == get(f, tags)
                put(f, tags, b"\\xff"); assert get(f, keywords) == b"c" and get(f, tags) == b"\\xff"
                put(f, keywords, b"d"); assert (get(f, tags), get(f, subject)) == (b"d", b"d") and len(state(f)) == 1
                # A field that was set by its own name is shown by a desktop name, and removed by it.
                remove(f, tags); assert get(f, keywords) == "ENODATA" and state(f) == []
            # Search reads only the field.
            put("f", tags, b"findme"); put("f", tags, b"\\xffother")
            found = lambda word: os.listdir(root + "/search/keywords:" + word)
            assert len(found("findme")) == 1 and found("other") == [], (found("findme"), found("other"))
            describe = lambda *a: subprocess.run(["\(assetfs)", "describe", *a, "f"], check=True)
            describe("--keywords", "told"); assert get("f", tags) == b"told"
            put("f", rating, b"11"); describe("--rank", "2"); assert get("f", rating) == b"2"
            """
        )
    }

    @Test func `what a desktop's name keeps goes where the asset goes`() throws {
        try check(
            """
            bad = [("user.baloo.rating", b"11"), ("user.dublincore.date", b"circa 1920"), ("user.dublincore.subject", b"b"), ("user.xdg.tags", b"a\\xff")]
            def say_all(path):
                for name, value in bad: os.setxattr(path, name, value)
            store("f", b"one"); say_all("f"); assert state("f") == bad
            # New content, a hard link, another name and another folder.
            store("f", b"two"); assert state("f") == bad
            os.link("f", "l"); assert state("l") == bad; os.unlink("l"); os.mkdir("d"); os.rename("f", "d/f"); assert state("d/f") == bad
            # A save through another file, with and without a backup; values set on that file win.
            store("d/f.tmp", b"three"); os.rename("d/f.tmp", "d/f"); assert state("d/f") == bad
            os.rename("d/f", "d/f~"); store("d/f", b"four"); assert state("d/f") == bad and state("d/f~") == bad, state("d/f~")
            store("d/f.tmp", b"five"); put("d/f.tmp", rating, b"-1"); put("d/f.tmp", tags, b"new"); os.rename("d/f.tmp", "d/f")
            assert state("d/f") == [("user.baloo.rating", b"-1"), bad[1], ("user.xdg.tags", b"new")], state("d/f")
            # A file without an asset is replaced by another.
            store("p.part", b"x"); say_all("p.part"); store("q.part", b"y"); os.rename("q.part", "p.part"); assert state("p.part") == bad
            os.rename("p.part", "p"); assert state("p") == bad and get("p", keywords) == b"b"
            # A move to the trash, and a restore.
            id = get("p", "asset.id").decode(); os.unlink("p")
            subprocess.run(["\(assetfs)", "restore", "--mount", root, id], check=True); assert state("p") == bad
            # Attributes through a descriptor after the name was given to another file, or the file was moved
            # to the trash.
            fd = os.open("p", os.O_RDWR); store("r", b"other"); os.rename("r", "p"); assert state(fd) == bad == state("p"); os.close(fd)
            read = os.open("p", os.O_RDONLY); os.unlink("p")
            fd = os.open(f"/proc/self/fd/{read}", os.O_WRONLY); os.write(fd, b"more"); assert state(fd) == bad and get(fd, keywords) == b"b"
            os.close(fd); os.close(read); subprocess.run(["\(assetfs)", "restore", "--mount", root, id], check=True); assert state("p") == bad
            # Before and after a commit, by descriptor.
            fd = os.open("v", os.O_WRONLY | os.O_CREAT); os.write(fd, b"v"); say_all(fd); assert state(fd) == bad
            os.close(fd); assert state("v") == bad
            fd = os.open("v", os.O_WRONLY); os.write(fd, b"w"); put(fd, rating, b"99"); os.close(fd); assert get("v", rating) == b"99"
            subprocess.run(["cp", "-a", "v", "w"], check=True); assert state("w") == state("v")
            subprocess.run(["cp", "-a", "--reflink=auto", "v", outside], check=True); assert state(outside) == state("v")
            # An upload of existing content shows the asset of that content, and sets attributes on it where
            # the user may.
            say("e", duplicates="RETURN_EXISTING"); store("e/1", b"same"); say_all("e/1"); store("e/2", b"same"); assert state("e/2") == bad
            store("e/2", b"same no more"); assert state("e/2") == bad == state("e/1")
            # Attributes that are set before the content is known belong to the file itself.
            store("e/3", b"other"); fd = os.open("e/4", os.O_WRONLY | os.O_CREAT); os.write(fd, b"other"); say_all(fd); os.close(fd)
            assert state("e/4") == bad and state("e/3") == [] and get("e/4", "asset.id") == get("e/3", "asset.id")
            for name, _ in bad: os.removexattr("e/4", name)
            assert state("e/4") == [] and get("e/4", keywords) == "ENODATA"
            """
        )
    }

    @Test func `a folder that permits certain values goes on refusing others`() throws {
        try check(
            """
            say("d", **{"field.rank": "integer:0..5", "field.keywords": "many:a|b"}); store("d/f", b"x"); store("g", b"x")
            put("g", rating, b"11"); put("g", tags, b"c")
            for path in ("d/f", "d/t.tmp"):
                store(path, b"x"); put(path, rating, b"5"); put(path, tags, b"a"); before = state(path)
                for name, value, number in ((rating, b"6", "ERANGE"), (rating, b"11", "ERANGE"), (rating, b"x", "EINVAL"), (tags, b"c", "EINVAL"),
                        (tags, b"\\xff", "EINVAL"), (subject, b"c", "EINVAL")):
                    assert attempt(put, path, name, value) == number, (path, name, value)
                    assert "user." + name in get(path, "asset.error").decode() and state(path) == before
                # Invalid values of other fields are kept too, and values that were set under another name
                # stay.
                put(path, "dublincore.date", b"circa"); assert get(path, "dublincore.date") == b"circa"
            os.rename("g", "d/g"); assert get("d/g", rating) == b"11" and get("d/g", tags) == b"c"
            """
        )
    }

    @Test func `a namespace alone is no name`() throws {
        try check(
            """
            store("f", b"x"); store(outside, b"x"); os.mkdir("d")
            for name in ("user.", "trusted.", "security."):
                for call in (lambda p: os.setxattr(p, name, b"v"), lambda p: os.getxattr(p, name), lambda p: os.removexattr(p, name)):
                    assert attempt(call, "f") == attempt(call, outside) == attempt(call, "d") == "EINVAL", name
            assert "nothing follows" in get("f", "asset.error").decode() and os.listxattr("f") == []
            """
        )
    }

    @Test func `tools bring in and out what is no value of a field, and a second run has nothing to do`() throws {
        try runScript(
            """
            mkdir $SCRATCH/s; cd $SCRATCH/s; echo x > f; mkdir d; echo y > d/g; echo z > empty
            for f in f d d/g; do
                setfattr -n user.xdg.tags -v 'red , blue,red,' $f; setfattr -n user.dublincore.subject -v "green" $f
                setfattr -n user.dublincore.date -v "circa 1920" $f; setfattr -n user.xdg.comment -v 0xe4ff00 $f; setfattr -n user.xdg.language $f
            done
            setfattr -n user.baloo.rating -v 11 f; setfattr -n user.baloo.rating -v -1 d/g; setfattr -n user.baloo.rating empty
            attributes() { (cd $1; getfattr -R -d -m- . | sort); }
            expected=$(attributes .)
            export RESTIC_PASSWORD=x RESTIC_REPOSITORY=$SCRATCH/restic HOME=$SCRATCH; restic --no-cache -q init
            for copy in "rsync -aX" "cp -a" tar restic; do
                mkdir $MOUNT/folders/t $SCRATCH/o
                copies() {
                    case $copy in
                    tar) tar --xattrs -C $1 -cf - . | tar --xattrs -C $2 -xf - ;;
                    restic) (cd $1; restic --no-cache -q backup .); restic --no-cache -q restore latest --target $2 ;;
                    *) $copy $1/. $2/ ;;
                    esac
                }
                for times in 1 2; do
                    copies $SCRATCH/s $MOUNT/folders/t; is "$(attributes $MOUNT/folders/t)" "$expected"
                    is "$(rsync -aXi $SCRATCH/s/ $MOUNT/folders/t/ | grep -v '^\\.d\\.\\.t')" ""; is "$(attributes $MOUNT/folders/t)" "$expected"
                done
                # A field that was set meanwhile is replaced, and a further run finds no difference.
                setfattr -n user.asset.rank -v 3 $MOUNT/folders/t/f; setfattr -n user.asset.keywords -v other $MOUNT/folders/t/f
                for times in 1 2; do rsync -aX $SCRATCH/s/ $MOUNT/folders/t/; is "$(attributes $MOUNT/folders/t)" "$expected"; done
                fails value rank $MOUNT/folders/t/f
                for times in 1 2; do copies $MOUNT/folders/t $SCRATCH/o; is "$(attributes $SCRATCH/o)" "$expected"; done
                is "$(rsync -aXi $MOUNT/folders/t/ $SCRATCH/o/ | grep -v '^\\.d\\.\\.t')" ""
                rm -r $MOUNT/folders/t $SCRATCH/o
            done
            # From another disk, and back to it.
            mkdir $MOUNT/folders/m; cp -a . $SCRATCH/m; mv $SCRATCH/m/* $MOUNT/folders/m/; is "$(attributes $MOUNT/folders/m)" "$expected"
            mkdir $SCRATCH/n; mv $MOUNT/folders/m/* $SCRATCH/n/; is "$(attributes $SCRATCH/n)" "$expected"
            """
        )
    }

    @Test func `what a desktop's name keeps is there after a remount`() throws {
        try withScratch { (scratch: String) in
            let (root, library) = ("\(scratch)/mount", "\(scratch)/library")
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            func script(_ text: String) throws {
                try remount(library, on: root, scratch: scratch) { mount in
                    try run("bash", "-c", scriptPrelude(mount) + "cd folders\n" + text).check()
                }
            }
            try script(
                """
                echo x > f; echo x > t.tmp
                for f in f t.tmp; do
                    setfattr -n user.baloo.rating -v 11 $f; setfattr -n user.xdg.tags -v a $f; setfattr -n user.dublincore.subject -v b $f
                done
                """
            )
            try script(
                """
                mv t.tmp t
                for f in f t; do
                    is "$(getfattr --only-values -n user.baloo.rating $f)" 11; is "$(getfattr --only-values -n user.xdg.tags $f)" a
                    is "$(value keywords $f)" b; fails value rank $f
                done
                """
            )
        }
    }
}
