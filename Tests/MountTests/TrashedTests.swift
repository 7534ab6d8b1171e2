import TestSupport
import Testing

/// Files in the trash stay unchanged by open descriptors: alice is 5001, bob 5002.
struct TrashedTests {
    private static let prelude = """
        alice() { as 5001 "$@"; }; bob() { as 5002 "$@"; }
        T=$MOUNT/folders/team; mkdir -m 777 $T; cd $T; trap 'touch $T/removed $T/restored' EXIT
        alice sh -c 'umask 0; echo one > s; setfattr -n user.asset.caption -v hers s; setfattr -n user.note -v hers s; umask 077'
        id=$(value id s)
        # Runs Python with `fd`, opened before the file loses its name; the program continues when alice has
        # removed the file.
        before() { bob /usr/bin/python3 -c "
        import os, sys, time
        fd = os.open('s', os.$1)
        open('opened', 'w')
        while not os.path.exists('removed'): time.sleep(0.01)
        $2" & until [ -e opened ]; do sleep 0.01; done; }
        now() { is "$(cat $1) $(value caption $1) $(getfattr --absolute-names --only-values -n user.note $1)" "one hers hers"; is "$(stat -c %Y $1)" "$time"; }
        time=$(stat -c %Y s)

        """

    /// Operations of bob on his descriptor, and their result: his own file remains, without a name.
    static let ways = [
        "caption": (
            "O_RDWR", "os.setxattr(fd, 'user.asset.caption', b'of bob')",
            "os.getxattr(fd, 'user.asset.caption') == b'of bob'"
        ),
        "removed caption": ("O_RDWR", "os.removexattr(fd, 'user.asset.caption')", "os.pread(fd, 9, 0)"),
        "note": (
            "O_RDONLY", "os.setxattr(fd, 'user.note', b'of bob'); os.setxattr(fd, 'user.other', b'x')",
            "os.getxattr(fd, 'user.note') == b'of bob'"
        ),
        "write": ("O_RDWR", "os.write(fd, b'bob')", "os.pread(fd, 9, 0)[:3] == b'bob'"),
        "truncate": ("O_RDWR", "os.ftruncate(fd, 0)", "os.fstat(fd).st_size == 0"),
        "time": ("O_RDWR", "time.sleep(1.1); os.utime(fd)", "os.fstat(fd).st_size == 4"),
        "path": (
            "O_PATH", "os.setxattr('/proc/self/fd/%d' % fd, 'user.asset.caption', b'of bob')",
            "os.fstat(fd).st_nlink == 0"
        ),
    ]

    @Test(arguments: ways.keys.sorted())
    func `a descriptor changes nothing that is in the trash`(_ name: String) throws {
        let (flags, program, check) = try #require(Self.ways[name])
        try runScript(
            Self.prelude + """
                before \(flags) "\(program)
                open('done', 'w')
                while not os.path.exists('restored'): time.sleep(0.01)
                assert \(check)"
                alice rm s; touch removed; until [ -e done ] || ! kill -0 $! 2> /dev/null; do sleep 0.01; done
                now $MOUNT/trash/$id-s
                alice mv $MOUNT/trash/$id-s s; now s; is "$(value id s) $(value versions s)" "$id 1"
                touch restored; wait $!; now s; is "$(value versions s)" 1
                """
        )
    }

    @Test func `a descriptor of a replaced file changes nothing of what has its asset now`() throws {
        try runScript(
            Self.prelude + """
                before O_RDWR "os.setxattr(fd, 'user.asset.caption', b'of bob'); os.setxattr(fd, 'user.asset.title', b'of bob')"
                alice sh -c 'umask 0; echo one > n; setfattr -n user.note -v hers n; mv n s; chmod 600 s'; touch removed; wait $!
                is "$(value id s) $(value caption s)" "$id hers"; fails value title s
                """
        )
    }

    @Test func `its owner and root go on with the file that they have removed`() throws {
        try runScript(
            Self.prelude + """
                alice rm s; alice setfattr -n user.asset.title -v later $MOUNT/trash/$id-s; setfattr -n user.asset.description -v roots $MOUNT/trash/$id-s
                is "$(value title $MOUNT/trash/$id-s) $(value description $MOUNT/trash/$id-s)" "later roots"
                """
        )
    }
}
