import Foundation
import TestSupport
import Testing

/// kill -9 of the daemon while programs save.
@Suite(.serialized)
struct CrashTests {
    /// Saves files in the ways of editors and sync tools until the mount is gone; each file has a caption and
    /// never parts of two contents.
    private let program = """
        import os, random, sys
        chosen = random.Random(int(sys.argv[1]))
        count = 0
        def content(name):
            global count; count += 1
            return f"{name} {count:07}\\n".encode() * chosen.choice([1, 300, 20000, 100000])
        def put(name, data, flags=os.O_TRUNC):
            fd = os.open(name, os.O_WRONLY | os.O_CREAT | flags, 0o644)
            half = len(data) // 2; os.write(fd, data[:half]); os.write(fd, data[half:]); os.close(fd)
        def anew(name, data): os.unlink(name); put(name, data, os.O_EXCL)
        def over(name, data): put(f".{name}.Ab12cd", data); os.rename(f".{name}.Ab12cd", name)
        def aside(name, data): os.rename(name, name + "~"); put(name, data, os.O_EXCL); os.unlink(name + "~")
        def chain(name, data):
            put(name + ".tmp", data); os.rename(name, name + ".bak"); os.rename(name + ".tmp", name); os.unlink(name + ".bak")
        def early(name, data):
            fd = os.open(name + ".part", os.O_WRONLY | os.O_CREAT, 0o644); os.write(fd, data); os.rename(name + ".part", name); os.close(fd)
        names = [f"file-{number}" for number in range(30)]
        for name in names:
            put(name, content(name)); os.setxattr(name, "user.asset.caption", name.encode())
        os.fsync(os.open(".", os.O_RDONLY)); print("ready", flush=True)
        try:
            while True: name = chosen.choice(names); chosen.choice([anew, over, aside, chain, early])(name, content(name))
        except OSError: pass
        """

    @Test(arguments: [1, 2, 3])
    func `captions stay with their names, and contents whole`(seed: Int) throws {
        try withScratch("crash") { scratch in
            let (root, library) = (scratch + "/mount", scratch + "/library")
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            try run(assetfs, "mount", library, root).check()
            try program.write(toFile: scratch + "/saver.py", atomically: false, encoding: .utf8)
            let output = try shell(
                """
                (cd \(root)/folders && exec python3 \(scratch)/saver.py \(seed) > \(scratch)/said) &
                until [ -s \(scratch)/said ]; do sleep 0.05; done; cat \(scratch)/said; sleep \(0.4 + Double(seed) / 5)
                pkill -9 -f "[a]ssetfs mount \(library)"; wait; umount -l \(root)
                """
            ).check().output
            #expect(output == "ready\n")
            let check = """
                import os
                found = [name for name in os.listdir(".") if name.startswith("file-") and name[5:].isdigit()]
                assert len(found) >= 28, found
                for name in found:
                    assert os.getxattr(name, "user.asset.caption") == name.encode(), name
                    data = open(name, "rb").read()
                    # A new file may be found before its bytes were written; it never has bytes of two saves.
                    lines = set(data.splitlines(keepends=True)); whole = {l for l in lines if l.endswith(b"\\n")}
                    assert len(whole) <= 1 and all(l.startswith(f"{name} ".encode()) or not whole for l in whole), (name, list(lines)[:3])
                """
            try remount(library, on: root, scratch: scratch) { mount in
                let result = try run(["python3", "-c", check], in: mount.folders)
                #expect(result.status == 0, "\(result.errors)")
            }
            try checkLibrary(library)
        }
    }

    /// Uploads into folders with policies that reject, number, share and limit, until the mount is gone;
    /// records outside the mount the writes that fsync has acknowledged.
    private let policies = """
        import os, random, sys
        chosen = random.Random(int(sys.argv[1])); noted = open(sys.argv[2], "w")
        for folder, key, value in [("K", "overwrite", "false"), ("J", "duplicates", "REJECT"), ("R", "duplicates", "RETURN_EXISTING"), ("Q", "quota", "1M")]:
            os.mkdir(folder); os.setxattr(folder, "user.policy." + key, value.encode())
            with open(folder + "/keep", "w") as f: f.write("keep")
        os.fsync(os.open(".", os.O_RDONLY)); print("ready", flush=True)
        number = 0
        while True:
            number += 1
            folder = chosen.choice("KJRQ"); name = chosen.choice([f"{folder}/keep" if folder == "K" else f"{folder}/a", f"{folder}/n{number % 40}"])
            text = f"{folder} {chosen.choice([number, number % 7])}"
            try:
                if chosen.random() < 0.3:
                    temporary = f"{folder}/.x.Ab12Cd"
                    with open(temporary, "w") as f: f.write(text)
                    os.rename(temporary, name); continue
                fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
                try:
                    os.write(fd, text.encode() * chosen.choice([1, 5000]))
                    if folder == "K" and chosen.random() < 0.2: os.fsync(fd); noted.write(text + "\\n"); noted.flush()
                finally: os.close(fd)
                if chosen.random() < 0.1: os.unlink(name) if folder != "K" else None
            except FileExistsError: pass
            except OSError as error:
                if error.errno == 107: break
        """

    @Test(arguments: [1, 2, 3])
    func `names that stay do, what fsync acknowledged is there, and nothing is left behind`(seed: Int) throws {
        try withScratch("crash-policies") { scratch in
            let (root, library) = (scratch + "/mount", scratch + "/library")
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            try run(assetfs, "mount", library, root).check()
            try policies.write(toFile: scratch + "/uploader.py", atomically: false, encoding: .utf8)
            let output = try shell(
                """
                : > \(scratch)/noted
                (cd \(root)/folders && exec python3 \(scratch)/uploader.py \(seed) \(scratch)/noted) &
                until [ $(wc -l < \(scratch)/noted) -gt 5 ]; do sleep 0.05; done; sleep \(Double(seed) / 5)
                pkill -9 -f "[a]ssetfs mount \(library)"; wait; umount -l \(root)
                """
            ).check().output
            #expect(output == "ready\n")
            let check = """
                import os
                assert open("K/keep").read() == "keep"
                found = {open("K/" + name).read() for name in os.listdir("K") if not name.startswith(".")}
                noted = open("\(scratch)/noted").read().splitlines()
                lost = [line for line in noted if not any(text.startswith(line) and text == line * (len(text) // len(line)) for text in found)]
                assert not lost and len(noted) > 5, (lost, len(noted))
                assert sum(os.stat("Q/" + name).st_size for name in os.listdir("Q")) <= 1 << 20
                """
            try remount(library, on: root, scratch: scratch) { mount in
                try run(["python3", "-c", check], in: mount.folders).check()
            }
            try checkLibrary(library)
        }
    }

    /// Removes, restores, purges, replaces by number, links, seals and lets files expire, until the mount is
    /// gone.
    private let lives = """
        import os, random, sys, time
        chosen = random.Random(int(sys.argv[1]))
        def put(path, data):
            with open(path, "wb") as f: f.write(data)
        def number(path): return os.getxattr(path, "user.asset.id").decode()
        for count in range(20): put(f"folders/{count}", b"first %d" % count)
        put("folders/keep", b"keep"); os.setxattr("folders/keep", "user.asset.caption", b"kept"); kept = number("folders/keep")
        put("folders/gone", b"gone"); gone = number("folders/gone"); os.unlink("folders/gone"); os.mkdir("folders/gone")
        os.fsync(os.open("folders", os.O_RDONLY)); print("ready", kept, gone, flush=True)
        turn = 0
        def is_there():
            # statvfs is the only request that the kernel never answers from its caches.
            try: return os.statvfs(".")
            except OSError: return None
        while is_there():
            turn += 1; name = str(chosen.randrange(20)); path = "folders/" + name
            try:
                match chosen.randrange(8):
                    case 0: os.unlink(path)
                    case 1:
                        found = [entry for entry in os.listdir("trash") if not entry.startswith(gone + "-")]
                        if found: entry = chosen.choice(found); os.rename("trash/" + entry, "folders/" + entry.split("-")[1])
                    case 2:
                        found = [entry for entry in os.listdir("trash") if not entry.startswith(gone + "-")]
                        if found: os.unlink("trash/" + chosen.choice(found))
                    case 3: put(f"resources/{number(path)}/other-{turn}", b"replaced %d" % turn)
                    case 4: put(f"resources/{number(path)}/alternatives/a", b"alternative %d" % turn)
                    case 5:
                        folder = f"collections/{turn}"; os.mkdir(folder); os.link(path, folder + "/m"); os.link("folders/keep", folder + "/k")
                        if turn % 2: os.chmod(folder, 0o555)
                        elif turn % 3: os.unlink(folder + "/m")
                    case 6: os.setxattr(path, "user.asset.expires", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2)).encode())
                    case 7: put(path, b"anew %d" % turn)
            except OSError: pass
        """

    @Test(arguments: [1, 2, 3])
    func `what is removed, restored, replaced and sealed is whole`(seed: Int) throws {
        try withScratch("crash") { scratch in
            let (root, library) = (scratch + "/mount", scratch + "/library")
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            try run(assetfs, "mount", "-o", "policy.versions=all", library, root).check()
            try lives.write(toFile: scratch + "/lives.py", atomically: false, encoding: .utf8)
            let output = try shell(
                """
                (cd \(root) && exec python3 \(scratch)/lives.py \(seed)) & sleep \(1.6 + Double(seed) / 3)
                pkill -9 -f "[a]ssetfs mount .*\(library)"; wait; umount -l \(root)
                """
            ).check().output
            let words = output.split(separator: " ").map { $0.trimmingCharacters(in: .whitespacesAndNewlines) }
            #expect(words.count == 3 && words[0] == "ready")
            try remount(library, on: root, scratch: scratch) { mount in
                // The acknowledged state: a file with its caption, by its name and its number, and one in the
                // trash.
                let caption = try mount.attribute("user.asset.caption", of: "keep")
                #expect(caption == "kept")
                let files = ["resources/\(words[1])/keep", "trash/\(words[2])-gone"].map { "\(root)/\($0)" }
                #expect(try run(["cat"] + files).check().output == "keepgone")
            }
            try checkLibrary(library)
        }
    }
}
