@testable import LibraryRules
import TestSupport
import Testing

/// The notification agent exits or does not answer: no notification is lost.
struct AgentTests {
    private let prelude = """
        import random, signal, threading
        device = os.stat(MOUNT).st_dev
        def agent():
            for pid in os.listdir("/proc"):
                try: line = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\\0") if pid.isdigit() else []
                except OSError: continue
                if f"{os.major(device)}:{os.minor(device)}".encode() in line and b"names" in line: return int(pid)
        def end(pid, how=signal.SIGKILL):
            try: os.kill(pid, how)
            except ProcessLookupError: pass
        def await_agent():
            while (pid := agent()) is None: time.sleep(0.01)
            return pid
        own = lambda path: f"{MOUNT}/resources/{identifier(path)}/"

        """

    @Test func `every name is heard once though the process is killed again and again`() throws {
        try checkWatching(
            prelude + """
                say("d", overwrite="false"); make("d/a.txt", "one"); say("e", duplicates="REJECT"); make("e/a", "a")
                over, kills = threading.Event(), 0
                def killer():
                    global kills
                    while not over.is_set():
                        if pid := agent(): end(pid); kills += 1
                        time.sleep(random.uniform(0, 0.2))
                thread = threading.Thread(target=killer, daemon=True); thread.start()
                next = 1
                while kills < 10:
                    numbers = range(next, next := next + 20)
                    def numbered():
                        for number in numbers: make("d/a.txt", f"another {number}")
                    watch("d", numbered, *[f"CREATE a-{number}.txt" for number in numbers], sentinel=False)
                for number in range(10): watch("e", lambda: refused(make, f"e/r{number}", "a"), f"CREATE r{number}", f"DELETE r{number}", sentinel=False)
                os.mkdir("f"); make("f/r.txt", "r"); path = own("f/r.txt")
                watch("f", lambda: make(path + "other", "two"), "DELETE r.txt", "CREATE r.txt", sentinel=False)
                over.set(); thread.join()
                assert text("f/r.txt") == b"two" and len(os.listdir("d")) == next
                """
        )
    }

    @Test func `a process that does not answer is replaced, and what it was to tell is told`() throws {
        try checkWatching(
            prelude + """
                say("d", overwrite="false"); make("d/a.txt", "one"); os.mkdir("e"); make("e/r.txt", "r"); os.stat("e/r.txt"); path = own("e/r.txt")
                descriptor = libc.inotify_init(); assert libc.inotify_add_watch(descriptor, b"e", CREATE | DELETE) > 0
                end(await_agent(), signal.SIGSTOP)
                # A lookup returns the new file at once, although the kernel was not notified yet.
                os.stat("e/r.txt"); make(path + "other", "other one"); assert text("e/r.txt") == b"other one" and os.stat("e/r.txt").st_size == 9
                def more():
                    for number in range(3): make("d/a.txt", f"another {number}")
                watch("d", more, "CREATE a-1.txt", "CREATE a-2.txt", "CREATE a-3.txt")
                assert heard(descriptor, ["DELETE r.txt", "CREATE r.txt"]) == ["DELETE r.txt", "CREATE r.txt"]
                assert text("e/r.txt") == b"other one"
                """
        )
    }
    @Test func `the process has loaded none of the libraries that parse files`() throws {
        try checkWatching(
            prelude + """
                say("d", overwrite="false"); make("d/a.txt", "one")
                # After this it has done some work, and so has loaded all its libraries.
                watch("d", lambda: make("d/a.txt", "another"), "CREATE a-1.txt")
                with open(f"/proc/{await_agent()}/maps") as maps: loaded = maps.read()
                assert "/libc.so" in loaded and "/libavformat" not in loaded and "/libavcodec" not in loaded, loaded
                """
        )
    }
}
