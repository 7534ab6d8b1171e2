import Foundation
import TestSupport
import Testing

/// Folders of queries stay unchanged while they are open.
@Suite(.serialized)
struct QueryShareTests {
    /// Opens `search/kiwi` as user 5001, lets another user make 10,100 other queries, and then reads the file
    /// that was found.
    private func leave(to other: Int, _ name: String = #function) throws {
        try withMountedLibrary(name, options: ["allow_other"]) { mount in
            try run("chmod", "755", mount.scratch).check()
            let program =
                pythonPrelude + """
                    def become(uid): os.setgroups([]); os.setgid(uid); os.setuid(uid)
                    os.makedirs("folders/a"); os.chown("folders/a", 5001, 5001)
                    def ask():
                        become(\(other))
                        for n in range(10100): os.stat("search/other%d" % n)
                    def look():
                        become(5001); store("folders/a/kiwi.txt", b"ka")
                        folder = os.open("search/kiwi", os.O_RDONLY | os.O_DIRECTORY); names = os.listdir(folder); assert len(names) == 1, names
                        return folder, names[0]
                    ready, done = os.pipe(), os.pipe()
                    def watcher():
                        folder, name = look(); os.write(ready[1], b"1"); os.read(done[0], 1)
                        file = os.open(name, os.O_RDONLY, dir_fd=folder); assert os.read(file, 9) == b"ka"
                        assert os.listdir(folder) == [name]
                    watching = child(watcher); os.read(ready[0], 1); wait(child(ask)); os.write(done[1], b"1"); wait(watching)
                    """
            try run("/usr/bin/python3", "-c", program, in: mount.root).check()
        }
    }

    @Test func `another user's queries take no folder of a query away`() throws { try leave(to: 5002) }

    @Test func `the user's own queries take no open folder of a query away`() throws { try leave(to: 5001) }
}
