import Foundation
import TestSupport
import Testing

/// Features of Linux beyond POSIX, as far as the kernel passes them on.
@Suite(.serialized)
struct LinuxTests {
    @Test func `a file without a name becomes an upload when it is linked`() throws {
        try withMountedLibrary { mount in
            let program = """
                import ctypes
                libc = ctypes.CDLL(None, use_errno=True)
                def link(fd, name, how):
                    # AT_EMPTY_PATH, or AT_SYMLINK_FOLLOW with the path of the descriptor in /proc.
                    source, flag = (b"", 0x1000) if how == "empty" else (f"/proc/self/fd/{fd}".encode(), 0x400)
                    if libc.linkat(fd if how == "empty" else -100, source, -100, name.encode(), flag): return errno.errorcode[ctypes.get_errno()]
                def make(data, folder=".", flags=os.O_RDWR, mode=0o640):
                    fd = os.open(folder, os.O_TMPFILE | flags, mode); os.write(fd, data); return fd
                for how in ("empty", "proc"):
                    for name in (how, how + ".part"):
                        before = len(os.listdir("."))
                        fd = make(b"first"); assert os.fstat(fd).st_nlink == 0 and len(os.listdir(".")) == before
                        os.fsync(fd); os.setxattr(fd, "user.asset.caption", b"c")
                        assert link(fd, name, how) is None and text(name) == b"first" and os.stat(name).st_nlink == 1
                        assert os.stat(name).st_ino == os.fstat(fd).st_ino and os.stat(name).st_mode == 0o100640
                        os.write(fd, b", more"); os.close(fd); assert text(name) == b"first, more"
                        assert attribute(name, "caption") == "c"
                    assert refused(attribute, how + ".part", "id") and attribute(how, "id").isdigit()
                assert '"name":"empty"' in text("../uploads/receipts.jsonl").decode()
                # A file that is closed, but still referenced by an O_PATH descriptor.
                fd = make(b"kept"); path = os.open(f"/proc/self/fd/{fd}", os.O_PATH); os.close(fd)
                assert text(f"/proc/self/fd/{path}") == b"kept" and link(path, "late", "empty") is None and text("late") == b"kept"
                os.close(path)
                os.mkdir("../collections/c"); fd = make(b"x"); assert link(fd, "../collections/c/x", "empty") == "EPERM"; os.close(fd)
                fd = make(b"x"); assert link(fd, "late", "empty") == "EEXIST" and link(fd, "other", "empty") is None; os.close(fd)
                fd = make(b"x", flags=os.O_RDWR | os.O_EXCL); assert link(fd, "excluded", "empty") == "ENOENT"; os.close(fd)
                # A removed file cannot be linked again.
                fd = os.open("late", os.O_RDWR); os.unlink("late"); assert link(fd, "late", "empty") == "ENOENT"; os.close(fd)
                # The policies of the folder apply at the link.
                say("r", duplicates="REJECT"); store("r/one", b"same"); fd = make(b"same", "r")
                assert link(fd, "r/two", "empty") == "EEXIST" and os.listdir("r") == ["one"]
                os.pwrite(fd, b"else", 0); assert link(fd, "r/two", "empty") is None and text("r/two") == b"else"; os.close(fd)
                say("t", forbidden_types="zip"); fd = make(b"PK\\3\\4" + b"x" * 100, "t"); assert link(fd, "t/a.zip", "proc") == "EPERM"; os.close(fd)
                assert os.listdir("t") == []
                assert refused(os.open, "../trash", os.O_TMPFILE | os.O_RDWR) == "ENOTSUP"
                """
            let result = try run(["python3", "-c", pythonPrelude + program], in: mount.folders)
            #expect(result.status == 0, "\(result.errors)")
        }
    }

    @Test func `statx knows when a file came to be`() throws {
        try runScript(
            """
            cd folders; before=$(date +%s.%N); echo x > f; mkdir d; ln -s f l; after=$(date +%s.%N)
            for name in f d l; do
                python3 -c "import sys; assert $before - 0.1 <= float(sys.argv[1]) <= $after + 0.1, sys.argv" $(stat -c %.W $name)
            done
            born=$(stat -c %.W f); touch -d 2001-01-01 f; echo y > f; mv f g; is "$(stat -c %.W g)" $born; is "$(stat -c %s g)" 2
            is "$(stat -c '%F %a' l)" "symbolic link 777"
            """
        )
    }

    @Test func `overlayfs has the mount above and below`() throws {
        try runScript(
            """
            mkdir folders/up folders/work folders/low $SCRATCH/low $SCRATCH/up $SCRATCH/work $SCRATCH/both
            for low in $SCRATCH/low folders/low; do echo low > $low/a; mkdir $low/d; echo x > $low/d/x; done
            use() {
                cd $SCRATCH/both; echo more >> a; is "$(cat a | tr '\\n' ' ')" "low more "; rm -r d; mkdir d; is "$(ls d)" ""; mv a b; echo n > n; ln n m; rm n
                setfattr -n user.x -v 1 m; mv d e; touch e/f; sync m; is "$(ls -R | tr '\\n' ' ')" ".: b e m  ./e: f "; cd $MOUNT
            }
            try() {
                mount -t overlay overlay -o lowerdir=$1,upperdir=$2,workdir=$3 $SCRATCH/both; use; umount $SCRATCH/both
                mount -t overlay overlay -o lowerdir=$1,upperdir=$2,workdir=$3 $SCRATCH/both
                is "$(cat $SCRATCH/both/b | tr '\\n' ' ')" "low more "; is "$(ls $SCRATCH/both | tr '\\n' ' ')" "b e m "; umount $SCRATCH/both
            }
            try $SCRATCH/low $MOUNT/folders/up $MOUNT/folders/work; is "$(stat -c '%F %t,%T' folders/up/a)" "character special file 0,0"
            getfattr -m trusted.overlay -d folders/up | grep -q impure
            try $MOUNT/folders/low $SCRATCH/up $SCRATCH/work; is "$(cat folders/low/a)" low; is "$(ls folders/low/d)" x
            """
        )
    }

    @Test func `what chattr has set holds by any way, and after a remount`() throws {
        try withScratch { scratch in
            let (root, library) = ("\(scratch)/mount", "\(scratch)/library")
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            try remount(library, on: root, scratch: scratch) { mount in
                try run(
                    "bash",
                    "-c",
                    scriptPrelude(mount) + """
                        cd folders; echo first > f; id=$(value id f); echo x > log; mkdir d
                        setfattr -n user.asset.expires -v $(date -u -d '+2 seconds' +%FT%TZ) f
                        echo y > w; setfattr -n user.asset.expires -v $(date -u -d '+3 seconds' +%FT%TZ) w
                        chattr +A f; chattr +i f; chattr +a log; chattr +d d
                        """
                ).check()
            }
            try remount(library, on: root, scratch: scratch) { mount in
                try run(
                    "bash",
                    "-c",
                    scriptPrelude(mount) + """
                        cd folders; id=$(value id f); is "$(lsattr -d f log d | tr -d e- | tr '\\n' ' ')" "iA f a log d d "
                        for command in "cp log ../resources/$id/new.txt" "cp log ../resources/$id/f" "rm ../resources/$id/f" "setfattr -n user.asset.caption -v c f" \\
                            "setfattr -n user.asset.rotate_degrees -v 90 f" "$ASSETFS describe --title t f" "ln f ../collections/x" "truncate -s 0 log" "cp f log" \\
                            "chattr +u f" "chattr +S f" "chattr -p 7 f" "setfattr -n assetfs.flags -v 0 f"; do fails $command; done
                        echo y >> log; is "$(cat f log | tr '\\n' ' ')" "first x y "; is "$(getfattr -d -m- f | grep -c flags)" 0 || true
                        # w expires and is removed; f has expired earlier, but is immutable.
                        for i in $(seq 300); do [ -e w ] || break; sleep 0.1; done; fails cat w; is "$(cat f)" first
                        chattr -i f; for i in $(seq 100); do [ -e f ] || break; sleep 0.1; done; fails cat f
                        chattr -a log; echo z > log; is "$(cat log)" z
                        """
                ).check()
            }
            try checkLibrary(library)
        }
    }
}
