import TestSupport
import Testing

/// Background work has a lower priority than uploads and reads, as other programs observe it.
@Suite(.serialized)
struct BackgroundTests {
    /// `workers CLASS` counts the daemon's processes of one scheduling class.
    private static let prelude = """
        set -eu; is() { [ "$1" = "$2" ] || { echo "line ${BASH_LINENO[0]}: “$1” is not “$2”" >&2; exit 1; }; }
        daemon() { sed -n '1s/running //p' lib/lock | tr -d '\\0'; }
        looking() { pgrep -P $(daemon) -f 'worker probe|perl'; }
        workers() { for p in $(looking); do chrt -p $p 2> /dev/null || true; done | grep -c "$1" || true; }
        blob() { h=$(sha256sum < $1 | cut -c1-64); echo lib/blobs/${h:0:2}/${h:2}; }

        """

    private func script(_ text: String, _ name: String = #function) throws {
        try withPlace(name) { path in
            try shell("ASSETFS=\(assetfs); " + Self.prelude + text, in: path).check()
        }
    }

    @Test
    func
        `what is looked into by itself has the processor and the disk that no other wants, and what a user asks for its share`()
        throws
    {
        try script(
            """
            $ASSETFS mount lib one; picture() { python3 -c "import sys; w = $1; sys.stdout.buffer.write(b'GIF89a' + bytes([w, 0, 1, 0, 128, 0, 0, 0, 0, 0, 255, 255, 255, 44, 0, 0, 0, 0, w, 0, 1, 0, 0, 2, 2, 12, 10, 0, 59]))"; }
            picture 2 > a.gif; picture 1 > b.gif
            cp a.gif one/folders; $ASSETFS jobs --wait one; is "$(getfattr --only-values -n user.asset.width one/folders/a.gif)" 2
            is $(workers SCHED_OTHER) 0; [ $(workers SCHED_IDLE) -ge 1 ]
            for p in $(looking); do is "$(ionice -p $p)" idle; done
            cp b.gif one/folders; is "$(getfattr --only-values -n user.asset.width one/folders/b.gif)" 1
            [ $(workers SCHED_OTHER) -ge 1 ]; $ASSETFS umount one
            """
        )
    }

    @Test func `a comparison of all contents reads the disk, and leaves the page cache to readers`() throws {
        try script(
            """
            cached() { fincore --bytes --noheadings --output RES $(blob a) | tr -d ' '; }
            head -c 1000000 /dev/urandom > a; $ASSETFS mount lib one; cp a one/folders; sync one/folders/a
            cat one/folders/a > /dev/null; before=$(cached); [ $before -gt 900000 ]
            $ASSETFS scrub one | grep -q '^1 content, .*; 0 damaged.$'; is $(cached) $before
            # A scrub compares the bytes of the disk, and not cached pages: changes a page of the disk behind
            # the cache.
            python3 - $(blob a) <<'END'
            import os, sys
            fd = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT); import mmap
            page = mmap.mmap(-1, 4096); page.write(b"X" * 4096); os.pwritev(fd, [page], 4096)
            END
            ! $ASSETFS scrub one > report; grep -q '; 1 damaged.$' report; $ASSETFS umount one
            """
        )
    }
}
