import Foundation
import TestSupport
import Testing

/// Names that users choose, on the terminals and in the logs of other users.
@Suite(.serialized)
struct ShownCommandTests {
    /// Files whose names contain control sequences of terminals, and `clean COMMAND`, which fails if one of
    /// them is printed unescaped.
    private let names = #"""
        export LC_ALL=C.UTF-8; A="as 5001"; F=$MOUNT/folders; chmod 1777 $F
        n=$(printf 'e\033]0;PWN\007\033[2Jz\nFAKE LINE\302\23331m\342\200\256\342\200\213.txt'); g=$(printf 't\033[31m\nx.txt')
        $A sh -c 'echo kiwi > "$1"; echo gone > "$2"; mkdir "$3"' - "$F/$n" "$F/$g" "$F/$(printf 'd\033[7m\n')"
        $A setfattr -n user.asset.title -v "$(printf 'kiwi\033[1m\302\233\ntwo')" "$F/$n"; gone=$(value id "$F/$g"); $A rm "$F/$g"
        ! $A setfattr -n user.asset.rank -v "$(printf '\033[5mbad\nsecond\342\200\256')" "$F/$n" 2> /dev/null
        clean() { local out=$SCRATCH/shown; "$@" > $out 2>&1 < /dev/null || true; [ -s $out ] || { echo "says nothing: $*" >&2; exit 1; }
            if grep -aqP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8b-\x8f\xa8-\xae]' < <(LC_ALL=C cat $out) || LC_ALL=C grep -aq '^FAKE' $out; then
                echo "raw: $*" >&2; cat -v $out >&2; exit 1; fi; }

        """#

    @Test func `no command prints what a terminal obeys`() throws {
        try runScript(
            names + #"""
                for c in receipts events trash jobs status scrub; do clean $ASSETFS $c $MOUNT; done
                for c in receipts events trash status scrub; do clean $ASSETFS $c --json $MOUNT; done
                clean $ASSETFS search --mount $MOUNT kiwi; clean $ASSETFS search --mount $MOUNT --json kiwi
                clean $ASSETFS info "$F/$n"; clean $ASSETFS info --json "$F/$n"; clean $ASSETFS info --tags "$F/$n"
                clean $ASSETFS explain "$F/$n"; clean $ASSETFS policy "$F/$(printf 'd\033[7m\n')"; clean $ASSETFS explain "$F/$(printf 'd\033[7m\n')/$g"
                clean $ASSETFS export "$F/$n" $MOUNT/nowhere/; clean $ASSETFS export "$F/$n" $SCRATCH; clean $ASSETFS export "$F/$n" $SCRATCH
                clean $ASSETFS describe --rank x "$F/$n"; clean $ASSETFS describe --rank 3 "$F/$n"; clean $ASSETFS describe "$F/$n" "$F/$g" --caption x
                clean $ASSETFS sign "$F/$n"; clean $ASSETFS group "$F/$n"; clean $ASSETFS group "$F/$g"; clean $ASSETFS info "$F/$g"
                clean $ASSETFS policy $MOUNT/folders "$n"; clean $ASSETFS policy "$MOUNT/folders" --remove "$n"; clean $ASSETFS "$n"; clean $ASSETFS info "--$n"
                clean $ASSETFS fetch http://x/ "$F/$n"; clean $ASSETFS umount "$F/$n"; clean $ASSETFS mount $SCRATCH/l2 "$F/$n"
                clean $ASSETFS restore --mount $MOUNT $gone; clean $ASSETFS restore "$F/$n"
                """#
        )
    }

    @Test func `names are printed as they are with -0, and can be had back without`() throws {
        try runScript(
            names + #"""
                $ASSETFS search -0 --mount $MOUNT kiwi > $SCRATCH/raw; printf '%s\0' "$F/$n" | cmp - $SCRATCH/raw
                printf '%b\n' "$($ASSETFS search --mount $MOUNT kiwi)" > $SCRATCH/back; echo "$F/$n" | cmp - $SCRATCH/back
                $ASSETFS restore -0 --mount $MOUNT $gone > $SCRATCH/raw; printf '%s\0' "$F/$g" | cmp - $SCRATCH/raw
                $A rm "$F/$g"; $ASSETFS trash -0 $MOUNT | tail -c $((${#g} + 1)) > $SCRATCH/raw; printf '%s\0' "$g" | cmp - $SCRATCH/raw
                for c in receipts events; do $ASSETFS $c -0 $MOUNT | grep -qzF "$n"; done
                b='a\x1b.txt'; echo x > "$F/$b"; setfattr -n user.asset.title -v backslash "$F/$b"; $ASSETFS search --mount $MOUNT backslash > $SCRATCH/out; is "$(cat $SCRATCH/out)" "$F/a\\\\x1b.txt"
                """#
        )
    }

    @Test func `jobs are shown with names that can be had back`() throws {
        try runScript(
            #"""
            # A picture that crashes the worker.
            /usr/bin/python3 - $MOUNT/folders << 'END'
            import os, struct, sys, zlib
            def chunk(kind, data): return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            # After Z_FULL_FLUSH a block can be repeated; the last number is Adler-32 of zeros.
            raw = zlib.compressobj(1, wbits=-15); block = raw.compress(bytes(1_000_000)) + raw.flush(zlib.Z_FULL_FLUSH)
            bomb = b"\x78\x01" + block * 1500 + raw.flush() + struct.pack(">I", 1_500_000_000 % 65521 << 16 | 1)
            head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 2, 8, 2, 0, 0, 0))
            with open(os.fsencode(sys.argv[1]) + b"/b\xff\\.png", "wb") as file: file.write(head + chunk(b"zTXt", b"Comment\0\0" + bomb) + chunk(b"IEND", b""))
            END
            $ASSETFS jobs --wait $MOUNT > $SCRATCH/jobs; grep -F 'b\xff\\.png' $SCRATCH/jobs
            $ASSETFS jobs -0 $MOUNT > $SCRATCH/raw; LC_ALL=C grep -azF "$(printf 'b\377\\.png')" $SCRATCH/raw > /dev/null
            """#
        )
    }

    @Test func `a log has one line for a message, and nothing that a terminal obeys`() throws {
        try withPlace { path in
            let line = #"""
                $ASSETFS mount lib one; printf x > one/folders/x; for v in 'a\nINJECTED' 'b\033[5m' 'c\302\233' 'd\342\200\256'; do setfattr -n user.asset.rank -v "$(printf "$v")" one/folders/x 2> /dev/null && exit 1; done
                LC_ALL=C; ! grep -aP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8b-\x8f\xa8-\xae]|^INJECTED' lib/assetfs.log
                grep -aqF 'b\x1b[5m' lib/assetfs.log; grep -aqF 'c\xc2\x9b' lib/assetfs.log; grep -aqF 'a\x0aINJECTED' lib/assetfs.log; grep -aqF 'd\xe2\x80\xae' lib/assetfs.log
                setfattr -n user.asset.rank -v "$(printf 'a\033[5m\nb')" one/folders/x 2> /dev/null || true
                ! getfattr --only-values -n user.asset.error one/folders/x | grep -aP '[\x00-\x1f]'; is "$(getfattr --only-values -n user.asset.error one/folders/x | grep -acF 'a\x1b[5m\x0ab')" 1
                $ASSETFS umount one
                """#
            try shell("ASSETFS=\(assetfs); set -e; is() { [ \"$1\" = \"$2\" ]; }; " + line, in: path).check()
        }
    }
}
