import Foundation
import TestSupport
import Testing

/// `watch(folder, action, *expected)` runs an action and returns when a watcher of the folder has received
/// the expected events; apart from the sentinel's, it must have received no other event of a created or
/// removed name.
let watchPrelude =
    pythonPrelude + """
        import ctypes, select, struct, time
        libc = ctypes.CDLL(None, use_errno=True)
        CREATE, DELETE, MOVED_FROM, MOVED_TO, MODIFY = 0x100, 0x200, 0x40, 0x80, 0x02
        KINDS = {CREATE: "CREATE", DELETE: "DELETE", MOVED_FROM: "MOVED_FROM", MOVED_TO: "MOVED_TO", MODIFY: "MODIFY"}
        def heard(descriptor, wanted):
            events, end = [], time.monotonic() + 30
            while not all(event in events for event in wanted):
                left = end - time.monotonic()
                if left < 0 or not select.select([descriptor], [], [], left)[0]: break
                data = os.read(descriptor, 65536)
                while data:
                    mask, length = struct.unpack_from("4xI4xI", data)
                    name, data = data[16:16 + length].rstrip(b"\\0").decode(), data[16 + length:]
                    events += [f"{kind} {name}" for bit, kind in KINDS.items() if mask & bit]
            return events
        def watch(folder, action, *expected, mask=CREATE | DELETE | MOVED_FROM | MOVED_TO, sentinel=True):
            descriptor = libc.inotify_init()
            assert libc.inotify_add_watch(descriptor, folder.encode(), mask) > 0
            action()
            events = heard(descriptor, expected)
            if sentinel:
                open(folder + "/sentinel", "w").close(); os.unlink(folder + "/sentinel")
                events += heard(descriptor, ["DELETE sentinel"])
            os.close(descriptor)
            events = [event for event in events if "sentinel" not in event]
            assert sorted(events) == sorted(expected), (folder, events, expected)
        def make(name, text="x"): store(name, text.encode())
        def identifier(path): return attribute(path, "id")

        """

/// Runs a Python program with this prelude in `folders/` of a new mount; `ASSETFS` and `MOUNT` are paths.
func checkWatching(_ program: String, options: [String] = [], _ name: String = #function) throws {
    try withMountedLibrary(name, options: options) { mount in
        let text = "ASSETFS, MOUNT = \"\(assetfs)\", \"\(mount.root)\"\n" + watchPrelude + program
        let result = try run(["python3", "-c", text], in: mount.folders)
        #expect(result.status == 0, "\(result.errors)")
    }
}
