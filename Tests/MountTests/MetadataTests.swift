import Foundation
import TestSupport
import Testing

/// Embedded metadata and user-set values, through the mount.
struct MetadataTests {
    /// Runs Python in `folders/`, with `jpeg(path, *tags)`, `field(path, name)` and a few files in `media/`
    /// beside it.
    private func check(_ program: String, _ name: String = #function, options: [String] = []) throws {
        try withMountedLibrary(name, options: options) { mount in
            let media = mount.scratch + "/media"
            try run("mkdir", media).check()
            let files: [(String, [UInt8])] = [
                ("plain.jpg", MediaFile.jpeg(width: 30, height: 20)), ("sound.wav", MediaFile.wav(seconds: 2)),
                ("document.pdf", MediaFile.pdf(pages: 2, title: "On trees")),
            ]
            for (name, bytes) in files {
                _ = FileManager.default.createFile(atPath: "\(media)/\(name)", contents: Data(bytes))
            }
            let tags = [
                "-IFD0:ImageDescription=Embedded", "-IFD0:Orientation=1", "-IFD0:Make=Canon", "-IFD0:Model=R6",
                "-XMP-dc:Subject=oak",
                "-XMP-dc:Subject=elm", "-XMP-dc:Title=Trees", "-ExifIFD:DateTimeOriginal=2024:05:17 14:03:09",
                "-ExifIFD:FNumber=2.8",
            ]
            try run(["exiftool", "-q", "-n", "-o", media + "/tagged.jpg"] + tags + [media + "/plain.jpg"]).check()
            let prelude = """
                import json, shutil, threading
                MEDIA = \(pythonLiteral(media)); UP = \(pythonLiteral(mount.root)) + "/uploads/"
                ASSETFS = \(pythonLiteral(assetfs)); DAEMON = \(mount.daemon)
                def upload(name, source="tagged.jpg"): shutil.copyfile(MEDIA + "/" + source, name); return name
                def field(path, name):
                    try: return attribute(path, name)
                    except OSError as error:
                        if error.errno != errno.ENODATA: raise
                def put(path, name, value): os.setxattr(path, "user.asset." + name, value.encode())
                def listed(path): return {n.removeprefix("user.asset.") for n in os.listxattr(path)}

                """
            try run(["python3", "-c", pythonPrelude + prelude + program], in: mount.folders).check()
        }
    }

    private func pythonLiteral(_ text: String) -> String { "\"\(text)\"" }

    @Test func `a file says itself what nobody has said, and people have the last word`() throws {
        try check(
            """
            upload("a.jpg")
            assert field("a.jpg", "caption") == "Embedded" and field("a.jpg", "keywords") == "oak,elm"
            assert field("a.jpg", "captured_at") == "2024-05-17T14:03:09" and field("a.jpg", "exif.FNumber") == "2.8"
            assert (field("a.jpg", "width"), field("a.jpg", "height"), field("a.jpg", "mime_type")) == ("30", "20", "image/jpeg")
            # Fields that describe the file are listed; technical values, which a copy need not set again, are
            # not.
            assert listed("a.jpg") == {"caption", "title", "keywords"}, listed("a.jpg")
            put("a.jpg", "caption", "Said"); put("a.jpg", "exif.FNumber", "4"); put("a.jpg", "meta.client", "ACME")
            assert listed("a.jpg") == {"caption", "title", "keywords", "exif.FNumber", "meta.client"}
            os.removexattr("a.jpg", "user.asset.title")
            assert field("a.jpg", "title") is None and refused(os.removexattr, "a.jpg", "user.asset.title") == "ENODATA"
            # New content has other embedded values; user-set values and removals stay.
            upload("a.jpg", "plain.jpg")
            assert field("a.jpg", "caption") == "Said" and field("a.jpg", "keywords") is None and field("a.jpg", "exif.FNumber") == "4"
            upload("a.jpg"); assert field("a.jpg", "title") is None and field("a.jpg", "keywords") == "oak,elm"
            # Equal content has equal values.
            upload("b.jpg"); assert field("b.jpg", "title") == "Trees"
            info = json.loads(attribute("a.jpg", "info"))
            assert info["fields"]["caption"] == "Said" and info["metadata"] == {"client": "ACME"} and info["removed_by_person"] == ["title"]
            assert set(info["set_by_person"]) == {"caption", "exif.FNumber"} and info["image_info"]["format"] == "JPEG"
            assert info["content_info"]["mime"] == {"mime": "image/jpeg", "type": "image", "subtype": "jpeg"}
            upload("s.wav", "sound.wav"); upload("d.pdf", "document.pdf"); open("empty", "w").close()
            assert field("s.wav", "duration") == "2" and field("s.wav", "contains_audio") == "1"
            assert field("d.pdf", "pages") == "2" and field("d.pdf", "title") == "On trees"
            assert field("empty", "mime_type") == "inode/x-empty" and field("empty", "status") == "ready"
            assert len(field("a.jpg", "uuid")) == 36 and field("a.jpg", "uuid") != field("b.jpg", "uuid")
            assert field("b.jpg", "duplicates") == field("a.jpg", "id")
            """
        )
    }

    @Test func `going back to what the file says forgets what people have said, and nothing else`() throws {
        try check(
            """
            upload("a.jpg"); assert field("a.jpg", "caption") == "Embedded"
            for name, value in (("caption", "Said"), ("exif.FNumber", "4"), ("meta.client", "ACME"), ("category", "trees")): put("a.jpg", name, value)
            os.removexattr("a.jpg", "user.asset.title")
            assert refused(put, "a.jpg", "reprocess", "2") == "EINVAL"
            put("a.jpg", "reprocess", "1")
            assert field("a.jpg", "caption") == "Embedded" and field("a.jpg", "title") == "Trees"
            assert field("a.jpg", "exif.FNumber") == "2.8"
            assert field("a.jpg", "meta.client") == "ACME" and field("a.jpg", "category") == "trees"
            assert text("a.jpg") == text(MEDIA + "/tagged.jpg")
            # Fields that the file does not contain stay, and so do fields that are set during the extraction.
            put("a.jpg", "alternative_text", "Two trees"); put("a.jpg", "reprocess", "1"); put("a.jpg", "caption", "Said later")
            assert field("a.jpg", "width") == "30" and field("a.jpg", "caption") == "Said later" and field("a.jpg", "alternative_text") == "Two trees"
            put("a.jpg", "no_exif", "1"); assert refused(put, "a.jpg", "reprocess", "1") == "EINVAL" and "no_exif" in attribute("a.jpg", "error")
            assert field("a.jpg", "caption") == "Said later"
            """
        )
    }

    @Test func `what is said or removed before anybody has looked counts as afterwards`() throws {
        try check(
            """
            upload("a.jpg"); put("a.jpg", "title", "mine"); os.removexattr("a.jpg", "user.asset.title")
            assert field("a.jpg", "width") == "30" and field("a.jpg", "title") is None and field("a.jpg", "caption") == "Embedded"
            """
        )
    }

    @Test func `embedded metadata is left alone where that is asked for`() throws {
        for options in [[], ["policy.no_exif=true"]] {
            try check(
                """
                isMount = \(options.isEmpty ? "False" : "True")
                if not isMount: say("x", no_exif="true")
                os.makedirs("x", exist_ok=True)
                upload("x/a.jpg"); assert field("x/a.jpg", "width") == "30" and field("x/a.jpg", "caption") is None
                assert listed("x/a.jpg") == set() and field("x/a.jpg", "exif.FNumber") is None and field("x/a.jpg", "no_exif") == "1"
                assert "tags" not in json.loads(attribute("x/a.jpg", "info"))
                put("x/a.jpg", "no_exif", "0"); assert field("x/a.jpg", "caption") == "Embedded"
                upload("b.jpg"); put("b.jpg", "no_exif", "1"); assert field("b.jpg", "caption") is None
                """,
                options: options
            )
        }
    }

    @Test func `desktops see fields under their names, and set them`() throws {
        try check(
            """
            upload("a.jpg"); field("a.jpg", "width")
            def get(name): return os.getxattr("a.jpg", "user." + name).decode()
            aliases = {"xdg.comment": "caption", "xdg.tags": "keywords", "dublincore.title": "title", "dublincore.creator": "photographer",
                "dublincore.rights": "copyright_notice", "dublincore.description": "description", "xdg.origin.url": "source_url"}
            assert get("xdg.comment") == "Embedded" and get("xdg.tags") == "oak,elm" and get("mime_type") == "image/jpeg"
            assert get("dublincore.description") == "Embedded"
            for number, (alias, name) in enumerate(aliases.items()):
                os.setxattr("a.jpg", "user." + alias, b"value %d" % number); assert field("a.jpg", name) == f"value {number}" == get(alias)
                put("a.jpg", name, f"back {number}"); assert get(alias) == f"back {number}"
            assert not any(n.startswith("user.xdg") or n.startswith("user.dublin") for n in os.listxattr("a.jpg"))
            os.removexattr("a.jpg", "user.xdg.tags"); assert field("a.jpg", "keywords") is None
            os.setxattr("a.jpg", "user.baloo.rating", b"7"); assert field("a.jpg", "rank") == "7"
            put("a.jpg", "rank", "11"); assert refused(os.getxattr, "a.jpg", "user.baloo.rating") == "ENODATA"
            for value in (b"11", b"-1", b"x"):
                os.setxattr("a.jpg", "user.baloo.rating", value); assert get("baloo.rating") == value.decode() and field("a.jpg", "rank") == "11"
            # The type that curl --xattr stores from a server is kept, without an error.
            os.setxattr("a.jpg", "user.mime_type", b"image/pjpeg"); assert get("mime_type") == "image/pjpeg"
            assert field("a.jpg", "mime_type") == "image/jpeg" and "user.mime_type" in os.listxattr("a.jpg")
            os.mkdir("d"); os.setxattr("d", "user.xdg.tags", b"folder"); assert os.getxattr("d", "user.asset.keywords") == b"folder"
            """
        )
    }

    @Test func `values that cannot be are refused, with words`() throws {
        try check(
            """
            upload("a.jpg"); field("a.jpg", "width")
            cases = [("caption", b"\\xff", "EINVAL", "UTF-8"), ("caption", b"a\\0b", "EINVAL", "NUL"), ("rank", b"best", "EINVAL", "whole number"),
                ("rank", b"99999999999", "ERANGE", "2147483647"), ("captured_at", b"2024-02-30", "EINVAL", "2024-05-17"), ("gps", b"here", "EINVAL", "48.1374"),
                ("gps", b"91,0", "ERANGE", "-90 to 90"), ("f_number", b"x", "EINVAL", "number"), ("iso", b"0", "ERANGE", "beyond"),
                ("meta.a b", b"x", "EINVAL", "no such key"), ("meta.", b"x", "EINVAL", "no such key"), ("meta." + "k" * 65, b"x", "EINVAL", "no such key"), ("meta.a", b"", "EINVAL", "empty"), ("meta.a", b"x" * 513, "E2BIG", "512"),
                ("captoin", b"x", "EINVAL", "no such key"), ("exif.", b"x", "EINVAL", "no such key"), ("rotate_degrees", b"45", "EINVAL", "0, 90, 180 or 270")]
            for name, value, number, words in cases:
                assert refused(os.setxattr, "a.jpg", "user.asset." + name, value) == number, name
                assert words in attribute("a.jpg", "error"), attribute("a.jpg", "error")
            # A computed value may be set to itself, and to no other value.
            for name in ("width", "id", "sha256", "mime_type"): put("a.jpg", name, attribute("a.jpg", name)); assert refused(put, "a.jpg", name, "7") == "ENOTSUP"
            assert "user.asset.mime_type is computed" in attribute("a.jpg", "error")
            put("a.jpg", "caption", "fine"); assert field("a.jpg", "error") is None
            for number in range(50): put("a.jpg", f"meta.k{number}", "v")
            assert refused(put, "a.jpg", "meta.more", "v") == "E2BIG" and "50" in attribute("a.jpg", "error")
            put("a.jpg", "meta.k7", "w"); os.removexattr("a.jpg", "user.asset.meta.k7"); put("a.jpg", "meta.more", "v")
            assert refused(os.setxattr, "a.jpg", "user.asset.caption", b"x", os.XATTR_CREATE) == "EEXIST"
            assert refused(os.setxattr, "a.jpg", "user.asset.category", b"x", os.XATTR_REPLACE) == "ENODATA"
            """
        )
    }

    @Test func `fields have the types and values that their folder permits`() throws {
        try runScript(
            """
            cd folders; mkdir -p d/e free; echo x > d/a; echo x > d/e/b; echo x > free/c
            setfattr -n user.asset.category -v old d/a
            setfattr -n user.policy.field.category -v 'one:interior|exterior' d
            $ASSETFS policy d 'field.keywords=many:red|deep blue' field.meta.shot=integer:1..999 > $SCRATCH/policy
            grep -q 'field.meta.shot *integer:1..999 */d' $SCRATCH/policy
            is "$(value category d/a)" old; is "$(cat $MOUNT/folders/d/a)" x
            fails setfattr -n user.asset.category -v aerial d/e/b; fails value category d/e/b
            value error d/e/b | grep -q 'category cannot be “aerial”: it is not one of “interior”, “exterior”.'
            setfattr -n user.asset.category -v exterior d/e/b; setfattr -n user.asset.category -v aerial free/c
            fails setfattr -n user.xdg.tags -v 'red,green' d/a; setfattr -n user.xdg.tags -v 'deep blue, red' d/a
            python3 -c 'import errno, os
            for value, number in ((b"x", errno.EINVAL), (b"1000", errno.ERANGE)):
                try: os.setxattr("d/a", "user.asset.meta.shot", value); raise SystemExit("taken: %r" % value)
                except OSError as error: assert error.errno == number, error
            os.setxattr("d/a", "user.asset.meta.shot", b"999")'
            setfattr -n user.policy.field.category -v any d/e; setfattr -n user.asset.category -v aerial d/e/b
            fails setfattr -n user.policy.field.category -v 'one:a|a' d; fails setfattr -n user.policy.field.nothing -v date d
            $ASSETFS explain d | grep -q '^category *one of “interior”, “exterior”; other values are refused (EINVAL)  .*/d'
            cp -a free/c d/c; fails value category d/c; touch d/.c.AbC123; fails setfattr -n user.asset.category -v x d/.c.AbC123
            setfattr -n user.policy.overwrite -v false d; cp d/c $SCRATCH/c; setfattr -n user.asset.category -v aerial $SCRATCH/c
            echo other >> $SCRATCH/c; cp -a $SCRATCH/c d/c; test -e d/c-1; fails value category d/c-1; setfattr -x user.policy.overwrite d
            cp -a d/a free/moved; mv free/moved d/moved; is "$(value category d/moved)" old
            setfattr -x user.policy.field.category d; setfattr -n user.asset.category -v aerial d/a
            """
        )
    }

    @Test func `a picture is turned without a loss, as often as one likes`() throws {
        try check(
            """
            first = text(MEDIA + "/tagged.jpg")
            upload("a.jpg"); before = attribute("a.jpg", "md5_now"); put("a.jpg", "caption", "Said")
            reader = os.open("a.jpg", os.O_RDONLY); mapped = mmap.mmap(reader, 0, prot=mmap.PROT_READ); mapped[:]
            for turn, (shown, orientation) in enumerate((("20", "6"), ("30", "3"), ("20", "8"), ("30", "1")), 1):
                put("a.jpg", "rotate_degrees", "90")
                assert field("a.jpg", "width") == shown and field("a.jpg", "orientation") == orientation
                assert field("a.jpg", "rotation_since_upload") == str(turn * 90 % 360) and int(field("a.jpg", "versions")) == turn + 1
                now = text("a.jpg"); assert len(now) == len(first) and sum(a != b for a, b in zip(now, first)) == (turn != 4)
                assert os.pread(reader, 1 << 20, 0) == now == mapped[:]
                assert (attribute("a.jpg", "md5_now") == before) == (turn == 4) and attribute("a.jpg", "md5_at_upload") == before
            assert field("a.jpg", "caption") == "Said"
            put("a.jpg", "rotate_degrees", "180"); put("a.jpg", "rotate_degrees", "0"); assert field("a.jpg", "rotation_since_upload") == "180"
            upload("a.jpg", "plain.jpg"); assert field("a.jpg", "rotation_since_upload") == "0"
            # A missing orientation tag is added, and the pixels stay.
            os.close(reader); put("a.jpg", "rotate_degrees", "270"); assert field("a.jpg", "width") == "20" and field("a.jpg", "orientation") == "8"
            assert text("a.jpg").endswith(text(MEDIA + "/plain.jpg")[2:])
            # XMP has an orientation as well, and both are rotated.
            subprocess.run(["exiftool", "-q", "-n", "-o", MEDIA + "/xmp.jpg", "-XMP-tiff:Orientation=6", MEDIA + "/plain.jpg"], check=True)
            upload("x.jpg", "xmp.jpg"); assert field("x.jpg", "width") == "20"; put("x.jpg", "rotate_degrees", "90")
            assert field("x.jpg", "width") == "30" and field("x.jpg", "orientation") == "3" and field("x.jpg", "xmp.Orientation") == "3"
            upload("t.txt", "sound.wav"); assert refused(put, "t.txt", "rotate_degrees", "90") == "ENOTSUP" and "audio/wav" in attribute("t.txt", "error")
            writer = os.open("a.jpg", os.O_RDWR); assert refused(put, "a.jpg", "rotate_degrees", "90") == "EBUSY"; os.close(writer)
            """
        )
    }

    @Test func `turning is no upload: policies do not apply, and what is shared stays the others'`() throws {
        try check(
            """
            say("k", overwrite="false", duplicates="REJECT", scope="ENTIRE_PORTAL")
            upload("k/a.jpg"); upload("r.jpg"); put("r.jpg", "rotate_degrees", "90")
            put("k/a.jpg", "rotate_degrees", "90")
            assert os.listdir("k") == ["a.jpg"] and text("k/a.jpg") == text("r.jpg") and field("k/a.jpg", "versions") == "2"
            say("e", duplicates="RETURN_EXISTING", scope="ENTIRE_PORTAL"); upload("o.jpg", "plain.jpg"); upload("e/o.jpg", "plain.jpg")
            assert field("e/o.jpg", "id") == field("o.jpg", "id")
            put("e/o.jpg", "rotate_degrees", "90")
            assert field("e/o.jpg", "id") != field("o.jpg", "id") and text("o.jpg") == text(MEDIA + "/plain.jpg")
            os.link("r.jpg", "l.jpg"); put("l.jpg", "rotate_degrees", "90"); assert text("l.jpg") == text("r.jpg") and field("r.jpg", "orientation") == "3"
            """
        )
    }

    @Test func `who waits for a value waits without a thread, and comes first`() throws {
        try check(
            """
            # More readers than the mount has threads, of files that are not extracted yet.
            for number in range(40): shutil.copyfile(MEDIA + "/tagged.jpg", f"{number}.jpg"); open(f"{number}.jpg", "ab").write(b"%d" % number)
            found = []
            def read(number): found.append(attribute(f"{number}.jpg", "width"))
            readers = [threading.Thread(target=read, args=(n,)) for n in range(40)]
            for reader in readers: reader.start()
            start = time.monotonic(); open("other", "w").write("x"); assert text("other") == b"x"; os.listdir(".")
            for reader in readers: reader.join()
            assert found == ["30"] * 40
            jobs = os.listdir(UP + "jobs"); assert all(n.startswith("extraction-") for n in jobs)
            token = attribute("0.jpg", "job"); job = json.loads(text(UP + f"jobs/{token}.json"))
            assert job["status"] == "success" and job["filename"] == "0.jpg" and job["token"] == token
            assert refused(os.stat, UP + "jobs/extraction-99999.json") == "ENOENT" == refused(os.stat, UP + "jobs/x")
            # A file that is removed while a request waits for its values.
            upload("gone.jpg"); waiting = threading.Thread(target=lambda: refused(attribute, "gone.jpg", "height")); waiting.start(); os.unlink("gone.jpg"); waiting.join()
            """
        )
    }

    @Test func `files that stay open keep no other from being looked into`() throws {
        try check(
            """
            held = []
            for number in range(30):
                name = f"{number}.log"; held.append(os.open(name, os.O_WRONLY | os.O_CREAT)); os.write(held[-1], b"%d" % number); os.close(os.dup(held[-1]))
            upload("a.jpg"); end = time.monotonic() + 600
            while field("a.jpg", "status") != "ready": assert time.monotonic() < end; time.sleep(0.05)
            assert field("0.log", "status") == "processing"
            # Nor do they keep the daemon busy.
            def ticks():
                with open(f"/proc/{DAEMON}/stat") as status: numbers = status.read().rsplit(")", 1)[1].split()
                return int(numbers[11]) + int(numbers[12])
            before = ticks(); time.sleep(3); used = ticks() - before; assert used < 50, used
            for fd in held: os.close(fd)
            while any(field(f"{n}.log", "status") != "ready" for n in range(30)): assert time.monotonic() < end; time.sleep(0.05)
            """
        )
    }

    @Test func `a folder says why the last thing was refused, whatever that was`() throws {
        try check(
            """
            say("r", duplicates="REJECT"); upload("r/a", "plain.jpg")
            assert refused(os.setxattr, "r", "user.policy.max_size", b"5X") == "EINVAL" and "5X" in attribute("r", "error")
            assert refused(upload, "r/b", "plain.jpg") == "EEXIST" and "matches resources" in attribute("r", "error")
            """
        )
    }

    @Test func `described files lose nothing by cp, rsync and tar, through the disk and back`() throws {
        try check(
            """
            upload("a.jpg"); field("a.jpg", "width"); put("a.jpg", "caption", "Grüße\\nan alle"); put("a.jpg", "meta.k", "v"); put("a.jpg", "rank", "3")
            upload("b.wav", "sound.wav"); put("b.wav", "title", "Silence"); put("b.wav", "gps", "48.2,16.3"); put("b.wav", "exif.Artist", "Me")
            disk = MEDIA + "/disk"; os.makedirs(disk); os.mkdir("src"); os.rename("a.jpg", "src/a.jpg"); os.rename("b.wav", "src/b.wav")
            def values(folder): return {(n, x): os.getxattr(folder + "/" + n, x) for n in os.listdir(folder) for x in os.listxattr(folder + "/" + n)}
            want = values("src"); assert len(want) == 5 + 3, want
            def quiet(*command):
                done = subprocess.run(command, capture_output=True, text=True); assert done.returncode == 0 and not done.stderr, (command, done)
            quiet("cp", "-a", "src", disk + "/cp"); quiet("cp", "-a", disk + "/cp", "cp"); assert values("cp") == want
            quiet("rsync", "-aX", "src/", disk + "/rsync"); quiet("rsync", "-aX", disk + "/rsync/", "rsync"); assert values("rsync") == want
            quiet("tar", "--xattrs", "--xattrs-include=user.*", "-C", "src", "-cf", MEDIA + "/t.tar", "."); os.mkdir("tar")
            quiet("tar", "--xattrs", "--xattrs-include=user.*", "-C", "tar", "-xf", MEDIA + "/t.tar"); assert values("tar") == want
            quiet("cp", "-a", "src", "inside"); assert values("inside") == want
            """
        )
    }

    @Test func `a file that ends its worker is stored and says so, and the next is none the worse`() throws {
        try check(
            """
            import struct, zlib
            def chunk(kind, data): return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            # After Z_FULL_FLUSH a block can be repeated; the last number is Adler-32 of zeros.
            raw = zlib.compressobj(1, wbits=-15); block = raw.compress(bytes(1_000_000)) + raw.flush(zlib.Z_FULL_FLUSH)
            bomb = b"\\x78\\x01" + block * 1500 + raw.flush() + struct.pack(">I", 1_500_000_000 % 65521 << 16 | 1)
            head = b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 2, 8, 2, 0, 0, 0))
            content = head + chunk(b"zTXt", b"Comment\\0\\0" + bomb) + chunk(b"IEND", b"")
            store("bomb.png", content); upload("next.jpg")
            assert field("next.jpg", "caption") == "Embedded"
            assert field("bomb.png", "caption") is None and field("bomb.png", "status") == "failed" and "ended the worker" in field("bomb.png", "error")
            assert field("bomb.png", "mime_type") == "image/png" and text("bomb.png") == content
            job = json.loads(text(UP + "jobs/" + field("bomb.png", "job") + ".json")); assert job["status"] == "error" and job["retry"]
            put("bomb.png", "caption", "Said"); put("bomb.png", "reprocess", "1"); time.sleep(0.1)
            field("bomb.png", "width"); assert field("bomb.png", "caption") == "Said", "a failure loses nothing"
            """
        )
    }

    @Test func `a signal ends the mount while pictures are turned and read`() throws {
        // Invalidating a page waits for its readers, and they wait for the daemon.
        let program = """
            import os, sys, threading, time
            fd = os.open("a.png", os.O_RDONLY)
            def read():
                while True:
                    try: os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED); os.pread(fd, 20000, 0)
                    except OSError: return
            def turn():
                while True:
                    try: os.setxattr("a.png", "user.asset.rotate_degrees", b"90")
                    except OSError as error:
                        if error.errno != 16: return
            for task in (read, read, turn, turn): threading.Thread(target=task, daemon=True).start()
            time.sleep(0.6); os.kill(int(sys.argv[1]), 15); time.sleep(0.5); os._exit(0)
            """
        try withScratch("signal") { scratch in
            let (root, library) = (scratch + "/mount", scratch + "/library")
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            for _ in 0..<6 {
                try run(assetfs, "mount", library, root).check()
                let daemon = try run("pgrep", "-f", "assetfs mount \(library)").check().output.trimmingCharacters(
                    in: .whitespacesAndNewlines
                )
                try run(
                    "python3",
                    "-c",
                    """
                    import struct, zlib
                    def chunk(kind, data): return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
                    rows = b"".join(b"\\0" + bytes((x * y) % 251 for x in range(120)) for y in range(150))
                    open("a.png", "wb").write(b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 120, 150, 8, 0, 0, 0, 0))
                        + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b""))
                    """,
                    in: root + "/folders"
                ).check()
                _ = try run("python3", "-c", program, daemon, in: root + "/folders")
                for _ in 0..<200 where try run("pgrep", "-f", "assetfs mount \(library)").status == 0 { usleep(50_000) }
                let isOver = try run("pgrep", "-f", "assetfs mount \(library)").status == 1
                if !isOver { try run("umount", "-f", "-l", "-i", root).check() }
                try #require(isOver)
            }
            try checkLibrary(library)
        }
    }

    @Test func `what was to be looked into is looked into after kill -9`() throws {
        try withScratch("kill") { scratch in
            let (root, library) = (scratch + "/mount", scratch + "/library")
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            _ = FileManager.default.createFile(
                atPath: scratch + "/p.jpg",
                contents: Data(MediaFile.jpeg(width: 9, height: 8))
            )
            try run(assetfs, "mount", library, root).check()
            try shell(
                "for n in 1 2 3 4 5 6 7 8 9; do cp ../../p.jpg $n.jpg; echo $n >> $n.jpg; done; sync *.jpg",
                in: root + "/folders"
            )
            .check()
            try run("pkill", "-9", "-f", "assetfs mount \(library)").check()
            while try run("pgrep", "-f", "assetfs mount \(library)").status == 0 { usleep(10_000) }
            try remount(library, on: root, scratch: scratch) { mount in
                try run(assetfs, "jobs", "--wait", root).check()
                for number in 1...9 { #expect(try mount.attribute("user.asset.width", of: "\(number).jpg") == "9") }
            }
            try checkLibrary(library)
        }
    }
}
