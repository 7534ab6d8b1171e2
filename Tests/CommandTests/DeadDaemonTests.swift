import Foundation
import TestSupport
import Testing

/// A daemon that was killed, and the processes that wait for it.
@Suite(.serialized)
struct DeadDaemonTests {
    /// Serves a mount in place of the daemon until one of its own threads waits for an answer that never
    /// comes: SIGKILL cannot end it.
    private let stuck = """
        import ctypes, fcntl, os, struct, sys, threading, time
        libc = ctypes.CDLL(None, use_errno=True)
        mountpoint, library = sys.argv[1:]
        lock = os.open(library + "/lock", os.O_RDWR | os.O_CREAT, 0o600); fcntl.flock(lock, fcntl.LOCK_EX)
        open("/proc/self/comm", "w").write("assetfs")
        device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
        assert libc.mount(library.encode(), mountpoint.encode(), b"fuse.assetfs", 0, options.encode()) == 0
        unique = struct.unpack_from("<IIQ", os.read(device, 1 << 21))[2]
        body = struct.pack("<IIIIHHII", 7, 31, 1 << 17, 0, 12, 9, 1 << 17, 1).ljust(64, b"\\0")
        os.write(device, struct.pack("<IiQ", 16 + 64, 0, unique) + body)
        threading.Thread(target=lambda: os.listdir(mountpoint), daemon=True).start()
        os.read(device, 1 << 21)
        print("stuck", flush=True)
        time.sleep(600)
        """

    /// Runs `body` with the folder of a mount whose daemon was killed and does not exit.
    private func withStuckDaemon(
        _ name: String = #function,
        _ body: (_ root: String, _ library: String) throws -> Void
    ) throws {
        try withPlace(name) { place in
            let (root, library) = (place + "/one", place + "/library")
            try run(assetfs, "mount", library, root).check()
            try run(assetfs, "umount", root).check()
            let (process, output) = (Process(), Pipe())
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["python3", "-c", stuck, root, library]
            process.standardOutput = output
            try process.run()
            #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self).hasPrefix("stuck"))
            let connection = try run(
                "bash",
                "-c",
                "awk -v p='\(root)' '$5 == p { split($3, a, \":\"); print a[2] }' /proc/self/mountinfo"
            )
            let number = connection.output.trimmingCharacters(in: .whitespacesAndNewlines)
            // The process ends with the test in any case. Afterwards another mount may have the number of the
            // connection.
            defer {
                if process.isRunning {
                    try? "1".write(
                        toFile: "/sys/fs/fuse/connections/\(number)/abort",
                        atomically: false,
                        encoding: .utf8
                    )
                }
                process.waitUntilExit()
            }
            kill(process.processIdentifier, SIGKILL)
            try body(root, library)
            // The process has exited without further help.
            process.waitUntilExit()
        }
    }

    @Test func `umount ends the mount of a killed daemon that does not end`() throws {
        try withStuckDaemon { root, _ in
            let result = try run("timeout", "-s", "KILL", "60", assetfs, "umount", root)
            #expect(result.status == 0, "\(result.errors)")
        }
    }

    @Test func `mount takes the place of a killed daemon that does not end`() throws {
        try withStuckDaemon { root, library in
            let result = try run("timeout", "-s", "KILL", "60", assetfs, "mount", library, root)
            #expect(result.status == 0, "\(result.errors)")
            #expect(try run("ls", root + "/folders").status == 0)
            try run(assetfs, "umount", root).check()
        }
    }

    @Test func `mount elsewhere takes the library of a killed daemon that does not end`() throws {
        try withStuckDaemon { root, library in
            let other = root.dropLast(3) + "two"
            let result = try run("timeout", "-s", "KILL", "60", assetfs, "mount", library, String(other))
            #expect(result.status == 0, "\(result.errors)")
            try run(assetfs, "umount", String(other)).check()
        }
    }

    @Test func `another agent is started where one was killed, and none stays behind`() throws {
        try runScript(
            """
            daemon=$(pgrep -f "assetfs mount --foreground $SCRATCH/library")
            agent() { pgrep -P $daemon -f "assetfs-worker names"; }
            mkdir folders/d; setfattr -n user.policy.overwrite -v false folders/d; echo 1 > folders/d/a
            first=$(agent); is "$(ls -l /proc/$first/fd | grep -c -e fuse -e "$MOUNT")" 0
            kill -9 $first
            echo 2 > folders/d/a; is "$(cat folders/d/a-1)" 2
            for n in $(seq 500); do second=$(agent | grep -v "^$first$" || true); [ -n "$second" ] && break; sleep 0.02; done
            [ -n "$second" ] && [ "$second" != "$first" ]
            for n in $(seq 500); do grep -q "^SigIgn:.*4003$" /proc/$second/status && break; sleep 0.02; done
            # A signal that a terminal sends to the whole group must not end the agent before the daemon.
            kill -TERM $second; kill -INT $second; echo 3 > folders/d/a; is "$(cat folders/d/a-2)" 3; is "$(agent)" "$second"
            """
        )
    }

    #if DEBUG
    /// Kills a daemon before its mount is ready: the readiness check must not run on a thread of the daemon,
    /// which would wait for itself.
    @Test func `a daemon that is killed before its mount has answered ends`() throws {
        try withPlace { path in
            try verifyScript(
                """
                mkdir -p one; ASSETFS_KILL_AT=statistics-asked $ASSETFS mount -f lib one > log 2>&1 & daemon=$!
                for n in $(seq 1500); do kill -0 $daemon 2> /dev/null || break; sleep 0.02; done
                kill -0 $daemon 2> /dev/null && hangs=1 || hangs=0
                minor=$(sed -n "s,^[0-9]* [0-9]* 0:\\([0-9]*\\) / $PWD/one .*,\\1,p" /proc/self/mountinfo)
                [ $hangs = 0 ] || echo 1 > /sys/fs/fuse/connections/$minor/abort
                [ -z "$minor" ] || umount -l one
                is $hangs 0; s=0; wait $daemon || s=$?; is $s 137; mount_one; echo a > one/folders/a; umount_one
                """,
                in: path
            )
        }
    }
    #endif
}
