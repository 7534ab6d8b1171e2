import Foundation
import TestSupport
import Testing

/// A signal that does not end a process interrupts none of its requests: no program expects EINTR from
/// close(2) or unlink(2), and Go's runtime constantly sends SIGURG to its threads.
@Suite(.serialized)
struct InterruptionTests {
    private let prelude =
        neighbourPrelude + """
            import ctypes
            # The program that runs the tests may block signals.
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            # … and ignore SIGHUP, as below nohup, or SIGQUIT, as in the background of a shell script.
            for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGINT): signal.signal(number, signal.SIG_DFL)
            libc = ctypes.CDLL(None, use_errno=True)
            def handled():
                for number in (signal.SIGURG, signal.SIGTERM): signal.signal(number, lambda *_: None)
            # Returns the error of a libc call; Python itself would retry the call.
            def answer(call, *arguments): return errno.errorcode.get(ctypes.get_errno()) if call(*arguments) < 0 else None
            # Runs an action while signals arrive.
            def pelted(uid, action):
                ready = os.pipe()
                def body(): handled(); os.write(ready[1], b"1"); action()
                pid = user(uid, body); os.read(ready[0], 1)
                while True:
                    done, status = os.waitpid(pid, os.WNOHANG)
                    if done: break
                    os.kill(pid, signal.SIGURG); time.sleep(0.0005)
                assert status == 0
            def dense(path, size):
                fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
                os.posix_fallocate(fd, 0, size); os.pwrite(fd, path.encode(), size - 99)
                return fd
            say("b", duplicates="REJECT"); own("b", 5002); own("c", 5002)

            """

    private func runProgram(_ program: String, _ name: String = #function) throws {
        try withMountedLibrary(name, options: ["allow_other"]) { mount in
            try run("chmod", "755", mount.scratch).check()
            let result = try run(
                ["env", "MOUNT=\(mount.root)", "PLACE=\(mount.scratch)", "python3", "-c", prelude + program],
                in: mount.folders
            )
            #expect(result.status == 0, "\(result.output.suffix(1000))\(result.errors.suffix(2000))")
        }
    }

    @Test func `close that waits for its verdict is not interrupted by a signal that is handled`() throws {
        try runProgram(
            """
            def bob():
                fd = dense("b/big.bin", 256 << 20)
                found = answer(libc.close, fd); assert found is None, found
                assert attribute("b/big.bin", "versions") == "1"
            pelted(5002, bob)
            """
        )
    }

    @Test func `opening, reading an attribute and listing go on when a signal is handled that asks for no end`() throws
    {
        try runProgram(
            """
            os.close(dense("c/big.bin", 256 << 20)); os.chown("c/big.bin", 5002, 5002)
            def bob():
                buffer = ctypes.create_string_buffer(100)
                found = answer(libc.getxattr, b"c/big.bin", b"user.asset.sha256", buffer, 100); assert found is None, found
                fd = dense("c/big2.bin", 256 << 20); os.close(fd)
                found = answer(libc.open, b"c/big2.bin", os.O_WRONLY | os.O_TRUNC); assert found is None, found
            pelted(5002, bob)
            """
        )
    }

    @Test func `a process that waits is killed, also after a signal that it has handled`() throws {
        try runProgram(
            """
            def bob():
                handled(); fd = os.open("b/" + name, os.O_RDWR | os.O_CREAT, 0o644)
                os.ftruncate(fd, 15 << 40); os.pwrite(fd, b"z", 1 << 40); os.write(ready[1], b"1"); libc.close(fd)
            ready = os.pipe()
            for name, number in (("killed", signal.SIGKILL), ("quit", signal.SIGQUIT), ("hung", signal.SIGHUP)):
                pid = user(5002, bob)
                # From here the process only waits in close(2).
                os.read(ready[0], 1)
                until(lambda: requests() >= 1); os.kill(pid, signal.SIGURG); os.kill(pid, signal.SIGTERM)
                # The kernel sends the interruption before this request.
                assert refused(os.stat, "nothing" + name) == "ENOENT"
                os.kill(pid, number)
                assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == number
                os.unlink("b/" + name)
            """
        )
    }

    // 16 threads on eight processors serve files, of which one user gets half; the other requests of this
    // user wait.
    @Test func `requests that wait for their turn are not interrupted by a signal that is handled`() throws {
        try runProgram(
            """
            for n in range(200): own(f"c/{n}", 5002); store(f"c/{n}/f", b"f")
            def command(p):
                try: return text(f"/proc/{p}/cmdline")
                except OSError: return b""
            process = next(int(p) for p in os.listdir("/proc") if p.isdigit() and b"assetfs\\0mount\\0" in command(p)
                and os.environ["PLACE"].encode() in command(p))
            stop(process)
            def remove(n):
                handled(); found = answer(libc.unlink, b"c/%d/f" % n); assert found is None, found
            try:
                crowd = [user(5002, lambda n=n: remove(n)) for n in range(200)]
                until(lambda: requests() >= 200)
                for pid in crowd: os.kill(pid, signal.SIGURG)
            finally: os.kill(process, signal.SIGCONT)
            for pid in crowd: wait(pid)
            assert not any(os.listdir(f"c/{n}") for n in range(200))
            """
        )
    }
}
