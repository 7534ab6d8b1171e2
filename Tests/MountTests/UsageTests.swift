import Foundation
import TestSupport
import Testing

/// The usage of folders that is updated with each change equals the usage that the next mount counts.
struct UsageTests {
    @Test func `what folders hold after many changes is what the next mount counts`() throws {
        try withPlace { place in
            let ask = """
                import os, json
                def ask():
                    for folder, folders, files in sorted(os.walk(".")):
                        try: print(folder, json.dumps(json.loads(os.getxattr(folder, "user.asset.info")).get("quotas")))
                        except OSError as error: print(folder, error.strerror)
                """
            let program =
                ask + """

                    import random, ctypes, shutil, sys
                    seed = random.randrange(1 << 30); print("seed", seed, file=sys.stderr); random.seed(seed)
                    libc = ctypes.CDLL(None, use_errno=True)
                    def exchange(one, other): libc.renameat2(-100, one.encode(), -100, other.encode(), 2)
                    def policy(folder, key, value): os.setxattr(folder, "user.policy." + key, value.encode())
                    os.makedirs("a/b/c"); os.makedirs("d/e"); policy("a", "quota", "1G")
                    def folders(): return [folder for folder, _, _ in os.walk(".")][1:]
                    def files(): return [f"{folder}/{name}" for folder, _, names in os.walk(".") for name in names]
                    number = 0
                    def new():
                        global number
                        number += 1
                        return random.choice(folders()) + f"/{number}"
                    def write(path): open(path, "wb").write(os.urandom(random.randrange(1, 5000)))
                    def either(paths): return random.choice(paths or ["missing"])
                    def forget(folder):
                        for key in ("quota", "versions"):
                            try: os.removexattr(folder, "user.policy." + key)
                            except OSError: pass
                    changes = [
                        lambda: write(new()), lambda: write(new()), lambda: write(either(files())), lambda: write(either(files())),
                        lambda: os.unlink(either(files())), lambda: os.mkdir(new()), lambda: os.rename(either(files()), new()),
                        lambda: os.rename(either(folders()), new()), lambda: os.rename(either(folders()), new()),
                        lambda: exchange(either(folders()), either(folders())), lambda: exchange(either(files()), either(folders())),
                        lambda: os.rename(either(folders()), either(folders())),
                        lambda: os.setxattr(either(files()), "user.asset.caption", b"c" * random.randrange(100)),
                        lambda: os.setxattr(either(folders()), "user.note", b"n" * random.randrange(100)),
                        lambda: policy(either(folders()), "quota", random.choice(["1G", "2G"])),
                        lambda: policy(either(folders()), "versions", random.choice(["all", "2", "P30D"])),
                        lambda: forget(either(folders())), lambda: os.link(either(files()), new()),
                        lambda: shutil.rmtree(either(folders())) if random.random() < 0.2 else None,
                    ]
                    for step in range(250):
                        if len(folders()) < 3: os.makedirs(f"again{step}/more")
                        try: random.choice(changes)()
                        except (OSError, shutil.Error): pass
                    for folder in ("a", "d"):
                        os.makedirs(folder, exist_ok=True); policy(folder, "quota", "1G")
                    policy(".", "quota", "1T")
                    ask()
                    """
            try program.write(toFile: "\(place)/change.py", atomically: false, encoding: .utf8)
            try (ask + "\nask()\n").write(toFile: "\(place)/ask.py", atomically: false, encoding: .utf8)
            try run(
                "bash",
                "-euc",
                """
                \(assetfs) mount lib one
                (cd one/folders; timeout -k 1 100 python3 ../../change.py > ../../summed)
                \(assetfs) umount one; \(assetfs) mount lib one
                (cd one/folders; python3 ../../ask.py > ../../counted)
                \(assetfs) umount one
                grep -q former_contents summed; diff summed counted >&2
                """,
                in: place
            ).check()
        }
    }
}
