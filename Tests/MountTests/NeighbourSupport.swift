import Foundation
import TestSupport

/// Functions for Python programs in which several users work against each other.
///
/// `user(uid, action)` runs an action in a process of its own; `requests()` is the number of requests that
/// the kernel has no answer to yet.
let neighbourPrelude =
    pythonPrelude + """
        import signal, socket
        root = os.environ["MOUNT"]
        device = os.stat(root).st_dev
        if not os.path.ismount("/sys/fs/fuse/connections"):
            subprocess.run(["mount", "-t", "fusectl", "none", "/sys/fs/fuse/connections"], check=True)
        connection = f"/sys/fs/fuse/connections/{os.minor(device) | os.major(device) << 20}"
        def requests(): return int(text(connection + "/waiting"))
        def until(condition):
            while not condition(): time.sleep(0.005)
        def stop(process):
            # When all threads are stopped, none of them can answer a request.
            def state(task):
                try: return text(f"/proc/{process}/task/{task}/stat").rpartition(b")")[2].split()[0]
                except OSError: return b"T"
            os.kill(process, signal.SIGSTOP)
            until(lambda: all(state(task) == b"T" for task in os.listdir(f"/proc/{process}/task")))
        def user(uid, action):
            def body():
                os.setgroups([]); os.setgid(uid); os.setuid(uid); action()
            return child(body)
        def own(folder, uid): os.makedirs(folder, exist_ok=True); os.chown(folder, uid, uid)

        """

/// Runs `body` with a folder for a separate clamd: `clamd.conf`, with the socket `ctl`, and one signature, of
/// forty times Z.
func withClamdFolder(_ name: String, _ body: (_ folder: String) throws -> Void) throws {
    let folder = "/tmp/assetfs-\(name)-\(getpid())"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try makeClamdFolder(folder, signature: "Test:0:*:\(String(repeating: "5a", count: 40))")
    try body(folder)
}

/// Creates a folder with `clamd.conf`, whose socket is `ctl` there, and a database of one signature.
func makeClamdFolder(_ folder: String, signature: String) throws {
    try FileManager.default.createDirectory(atPath: folder + "/db", withIntermediateDirectories: true)
    try "\(signature)\n".write(toFile: folder + "/db/test.ndb", atomically: false, encoding: .utf8)
    try """
    Foreground yes
    LocalSocket \(folder)/ctl
    DatabaseDirectory \(folder)/db
    TemporaryDirectory \(folder)
    User root

    """.write(toFile: folder + "/clamd.conf", atomically: false, encoding: .utf8)
}

/// Runs a Python program in `folders/` of a library whose search index is on a disk of its own, so that it
/// can be frozen.
///
/// `place` contains the empty folder `one` for the mount; `limit` is a command that ends the program if it
/// takes too long.
func runBesideSearchDisk(_ program: String, in place: String, within limit: String = "") throws {
    try program.write(toFile: "\(place)/program.py", atomically: false, encoding: .utf8)
    try run(
        "bash",
        "-euc",
        """
        chmod 755 . one; truncate -s 64M image; mkfs.ext4 -q image; mkdir disk; mount -o loop image disk
        trap 'umount disk' EXIT
        mkdir -m 700 lib; ln -s "$PWD/disk/search.sqlite" lib/search.sqlite
        \(assetfs) mount lib one -o allow_other
        cd one/folders; PLACE=\(place) MOUNT=\(place)/one \(limit) python3 ../../program.py || failed=1
        cd ../..; \(assetfs) umount one; [ -z "${failed-}" ]
        """,
        in: place
    ).check()
}
