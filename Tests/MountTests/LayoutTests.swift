import TestSupport
import Testing

/// Holes and blocks of a file are those of its own upload, also if other files have the same content: alice
/// is 5001, bob 5002.
struct LayoutTests {
    private static let program = """
        import shutil
        size = 1 << 20
        def as_user(uid, action):
            def body(): os.setgroups([]); os.setgid(uid); os.setuid(uid); action()
            wait(child(body))
        for uid in (5001, 5002): os.makedirs(f"{uid}"); os.chown(f"{uid}", uid, uid)
        def sparse():
            os.umask(0o077); fd = os.open("5001/secret", os.O_WRONLY | os.O_CREAT); os.pwrite(fd, b"4711", 0); os.ftruncate(fd, size); os.close(fd)
        content = b"4711" + bytes(size - 4)
        def dense(path): store(path, content)
        def layout(path):
            fd = os.open(path, os.O_RDONLY)
            try: return shape(fd)
            finally: os.close(fd)
        def shape(fd):
            found, at, end = [], 0, os.fstat(fd).st_size
            while at < end:
                try: start = os.lseek(fd, at, os.SEEK_DATA)
                except OSError: break
                at = os.lseek(fd, start, os.SEEK_HOLE); found.append((start, at))
            return found, os.fstat(fd).st_blocks * 512 >= end
        as_user(5001, sparse)
        full = ([(0, size)], True)

        """

    private func runProgram(_ program: String, _ name: String = #function) throws {
        try withMountedLibrary(name, options: ["allow_other"]) { mount in
            let result = try run(["python3", "-c", pythonPrelude + Self.program + program], in: mount.folders)
            #expect(result.status == 0, "\(result.errors)\(result.output)")
        }
    }

    @Test func `copies of a copy lie as that does, and not as a content that may not be read`() throws {
        try runProgram(
            """
            def bob():
                dense("5002/one"); assert layout("5002/one") == full, layout("5002/one")
                # Another upload of the content, while the first file exists and after it is gone.
                dense("5002/two"); assert layout("5002/two") == full, layout("5002/two")
                source = os.open("5002/two", os.O_RDONLY); target = os.open("5002/three", os.O_RDWR | os.O_CREAT)
                assert os.copy_file_range(source, target, size) == size
                assert shape(target) == full, shape(target)
                os.close(target); assert layout("5002/three") == full, layout("5002/three")
                # A file that is copied before its first change, and a part of it.
                with open("5002/one", "ab") as file: file.write(b"x")
                found = layout("5002/one"); assert found == ([(0, size + 1)], True), found
                target = os.open("5002/four", os.O_RDWR | os.O_CREAT)
                assert os.copy_file_range(source, target, size - 4096, 0) == size - 4096; os.close(target)
                assert layout("5002/four")[0] == [(0, size - 4096)], layout("5002/four")
                os.unlink("5002/one"); dense("5002/five"); assert layout("5002/five") == full, layout("5002/five")
            as_user(5002, bob)
            # The layout also stays when the other file is gone.
            os.unlink("5001/secret"); as_user(5002, lambda: dense("5002/six")); assert layout("5002/six") == full, layout("5002/six")
            # A file that is restored from the trash.
            os.unlink("5002/six"); name = [name for name in os.listdir("../trash") if name.endswith("-six")][0]
            os.rename("../trash/" + name, "5002/six"); assert layout("5002/six") == full
            """
        )
    }

    @Test func `holes of a user's own are holes in its copies`() throws {
        try runProgram(
            """
            os.setxattr("5001", "user.policy.access", b"PRIVATE"); as_user(5001, lambda: dense("5001/full"))
            def bob():
                os.umask(0o077); fd = os.open("5002/one", os.O_WRONLY | os.O_CREAT); os.pwrite(fd, b"4711", 0); os.ftruncate(fd, size); os.close(fd)
                before = layout("5002/one"); assert before[0] and before[0][-1][1] < size and not before[1], before
                with open("5002/one", "r+b") as file: file.write(b"4712")
                after = layout("5002/one"); assert after[0][-1][1] < size and not after[1], after
            as_user(5002, bob); assert text("5002/one") == b"4712" + bytes(size - 4)
            """
        )
    }

    /// Changes a file while a reader has it open: the kernel reads the blob itself, which becomes the private
    /// file after the change.
    @Test func `a file that is changed while a reader has it open does not get the holes of another content`() throws {
        try runProgram(
            """
            def bob():
                dense("5002/one"); source = os.open("5002/one", os.O_RDONLY); os.read(source, 4)
                with open("5002/one", "ab") as file: file.write(b"x")
                assert shape(source) == ([(0, size + 1)], True), shape(source)
                os.close(source); assert layout("5002/one") == ([(0, size + 1)], True), layout("5002/one")
                dense("5002/two"); source = os.open("5002/two", os.O_RDONLY); target = os.open("5002/two", os.O_RDWR)
                with mmap.mmap(target, size) as pages:
                    pages[size - 1] = 1; pages.flush()
                    assert shape(target) == full, shape(target)
                os.close(source); os.close(target); assert layout("5002/two") == full, layout("5002/two")
            as_user(5002, bob)
            """
        )
    }
}
