import Foundation
import TestSupport
import Testing

/// A former version stays readable for the users with access to it while it was current, and for no others;
/// the rights of its file and folders at its replacement have no effect.
///
/// alice is 5001, bob 5002, carol 5003; all but bob are in group 5100.
struct StandingTests {
    private static let prelude = """
        alice() { setpriv --reuid 5001 --regid 5001 --groups 5100 "$@"; }; bob() { as 5002 "$@"; }
        carol() { setpriv --reuid 5003 --regid 5003 --groups 5100 "$@"; }
        D=$MOUNT/folders/d; mkdir -m 777 $D; cd $D
        secret() { alice sh -c "umask 077; echo secret > $1"; }
        # Prints the former versions that a user can read of a file, or of the asset with that number.
        versions() { $1 sh -c "cd $MOUNT/resources/$(value id $2) && cd versions && for f in *; do echo \\$f: \\$(head -c 6 \\$f 2> /dev/null); done"; }
        closed() { value sha256 $1 > /dev/null; is "$(versions bob $1)" "*:"; is "$(versions alice $1 | grep -c secret)" 1; }
        python() { alice /usr/bin/python3 -c "import os, mmap
        $1"; }

        """

    /// Ways to replace a content and to open the file to all users between its first change and the commit.
    static let ways = [
        "cp -p": """
        secret s; alice sh -c 'echo public > pub; cp -p pub s'
        """,
        "tar": """
        secret s; alice sh -c 'echo public > pub; tar --transform s/pub/s/ -cf - pub | tar --overwrite -xf -'
        """,
        "a verdict that waits": """
        alice sh -c 'umask 077; { echo secret; head -c 2000000 /dev/zero; } > s'
        python 'f = os.open("s", os.O_RDWR); os.pwrite(f, b"p", 1000000); os.pwrite(f, b"public", 0); os.close(f); os.chmod("s", 0o644)'
        """,
        "access": """
        secret s; alice chmod 644 s; alice setfattr -n user.asset.access -v PRIVATE s
        python 'f = os.open("s", os.O_WRONLY | os.O_TRUNC); os.write(f, b"public"); os.removexattr("s", "user.asset.access"); os.close(f)'
        """,
        "an access list": """
        secret s
        python 'import subprocess; f = os.open("s", os.O_WRONLY | os.O_TRUNC); os.write(f, b"public"); subprocess.run(["setfacl", "-m", "u:5002:r", "s"], check=True, pass_fds=[f]); os.close(f)'
        """,
        "another name": """
        alice mkdir -m 700 c; alice sh -c 'echo secret > c/s'
        python 'f = os.open("c/s", os.O_WRONLY | os.O_TRUNC); os.write(f, b"public"); os.rename("c/s", "s"); os.close(f)'
        """,
        "an open folder": """
        alice mkdir -m 700 c; alice sh -c 'echo secret > c/s'
        python 'f = os.open("c/s", os.O_WRONLY | os.O_TRUNC); os.write(f, b"public"); os.chmod("c", 0o755); os.close(f)'
        alice mv c/s s
        """,
        "a new file": """
        secret s
        python 'os.unlink("s"); f = os.open("s", os.O_WRONLY | os.O_CREAT, 0o600); os.write(f, b"public"); os.fchmod(f, 0o644); os.close(f)'
        """,
        "a mapping": """
        secret s
        python 'f = os.open("s", os.O_RDWR); m = mmap.mmap(f, 7); m[0:6] = b"public"; os.fchmod(f, 0o644); m.flush(); m.close(); os.close(f)'
        """,
    ]

    @Test(arguments: ways.keys.sorted())
    func `rights that change between the first change and the verdict show no former content`(_ way: String) throws {
        try runScript(
            Self.prelude + (Self.ways[way] ?? "") + """

                is "$(bob head -c 6 s)" public; closed s
                """
        )
    }

    @Test func `drafts of a closed folder stay closed when the file is moved out of it`() throws {
        try runScript(
            Self.prelude + """
                alice sh -c 'mkdir -m 700 c; echo secret > c/layoffs.txt; echo public > c/layoffs.txt; mv c/layoffs.txt news.txt'
                is "$(bob cat news.txt)" public; closed news.txt
                # By a rename over it, and with a folder further up.
                alice sh -c 'mkdir -p c/e; echo secret > c/e/a; echo public > c/e/a.tmp; mv c/e/a.tmp c/e/a; mv c/e/a a'
                is "$(bob cat a)" public; closed a
                # The folder is opened, too, before the name is used again.
                alice sh -c 'echo secret > c/b; rm c/b; chmod 755 c; echo public > c/b; mv c/b b; chmod 700 c'
                is "$(bob cat b)" public; closed b
                # A folder that a group may enter.
                mkdir -m 750 g; chown 5001:5100 g; alice sh -c 'echo secret > g/s; echo public > g/s; mv g/s s'
                closed s; is "$(versions carol s)" "1-s: secret"
                alice mkdir -m 700 l; alice setfacl -m u:5003:x l; alice sh -c 'echo secret > l/t; echo public > l/t; mv l/t t'
                closed t; is "$(versions carol t)" "1-t: secret"
                # A version in a folder that all users could enter stays open to all.
                alice sh -c 'mkdir o; echo one > o/u; echo two > o/u; mv o/u u'; is "$(versions bob u)" "1-u: one"
                """
        )
    }

    @Test func `alternative files that were replaced are for those who could read the asset`() throws {
        try runScript(
            Self.prelude + """
                alice sh -c 'mkdir -m 700 c; echo x > c/f'; r=$MOUNT/resources/$(value id c/f)/alternatives
                alice sh -c "echo secret > $r/s; echo public > $r/s"; ID=$(value id $r/s); alice mv c/f f
                is "$(bob cat $r/s)" public; is "$(bob ls $MOUNT/resources/$ID/versions)" ""
                is "$(alice cat $MOUNT/resources/$ID/versions/1-s)" secret
                """
        )
    }

    @Test func `a name in a closed folder is told to nobody with a content that was shown elsewhere`() throws {
        try runScript(
            Self.prelude + """
                cd $MOUNT; mkdir -m 755 collections/k; alice sh -c 'mkdir -m 700 folders/d/c; echo one > folders/d/c/layoffs'
                ln folders/d/c/layoffs collections/k/news; alice sh -c 'echo two > folders/d/c/layoffs'
                is "$(bob cat collections/k/news)" two
                is "$(versions bob collections/k/news)" "1-news: one"
                is "$(versions alice collections/k/news)" "1-layoffs: one"
                """
        )
    }

    @Test func `a content that is written again is for those who may read it now`() throws {
        try runScript(
            Self.prelude + """
                secret s; python 'f = os.open("s", os.O_WRONLY | os.O_TRUNC); os.write(f, b"secret\\n"); os.fchmod(f, 0o644); os.close(f)'
                is "$(bob cat s)" secret; is "$(value versions s)" 1; alice sh -c 'echo two > s'
                is "$(versions bob s)" "1-s: secret"
                """
        )
    }

    @Test func `a private file that is replaced by its number shows its former content to nobody later`() throws {
        try runScript(
            Self.prelude + """
                alice sh -c 'echo secret > s'; alice setfattr -n user.asset.access -v PRIVATE s
                alice sh -c "umask 022; echo public > $MOUNT/resources/$(value id s)/x"; alice setfattr -x user.asset.access s
                is "$(bob cat s)" public; closed s
                """
        )
    }

    @Test func `a backup that took another's place keeps its own former contents closed`() throws {
        try runScript(
            Self.prelude + """
                secret s.bak; alice sh -c 'echo public > s; mv s s.bak; echo new > s'
                is "$(bob cat s.bak)" public; ID=$(value id s.bak)
                is "$(bob ls $MOUNT/resources/$ID/versions)" ""
                """
        )
    }

    @Test func `what is recorded of an interrupted upload survives a crash`() throws {
        try withScratch("standing") { scratch in
            let (root, library) = (scratch + "/mount", scratch + "/library")
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            try run(assetfs, "mount", "-o", "allow_other,policy.versions=all", library, root).check()
            try shell(
                """
                chmod 755 \(scratch); umask 077; echo secret > \(root)/folders/s
                python3 -c 'import os
                f = os.open("\(root)/folders/s", os.O_WRONLY | os.O_TRUNC); os.write(f, b"public"); os.fchmod(f, 0o644); os.fsync(f)
                os.system("pkill -9 -f \\"[a]ssetfs mount .*\(library) \\"")'
                umount -l \(root)
                """
            ).check()
            try remount(library, on: root, scratch: scratch, options: ["allow_other"]) { mount in
                let script = """
                    is "$(as 5002 cat folders/s)" public; is "$(value versions folders/s)" 2
                    is "$(as 5002 ls resources/1/versions)" ""; is "$(cat resources/1/versions/1-s)" secret
                    """
                try run("bash", "-c", scriptPrelude(mount) + script).check()
            }
            try checkLibrary(library)
        }
    }
}
