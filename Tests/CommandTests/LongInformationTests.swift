import Foundation
import TestSupport
import Testing

/// Files whose metadata is too long for one extended attribute.
@Suite(.serialized)
struct LongInformationTests {
    private let prelude = """
        mkdir folders/b; /usr/bin/python3 - folders/b/long.txt <<'END'
        import os, sys
        open(sys.argv[1], "w").write("tt")
        for n in range(50): os.setxattr(sys.argv[1], "user.asset.meta.k%02d" % n, b"\\x01" * 500)
        END
        echo short > folders/b/short.txt; f=folders/b/long.txt; fails getfattr -n user.asset.info $f

        """

    @Test func `info, search and export have what info.json has`() throws {
        try runScript(
            prelude + """
                $ASSETFS info $f | grep -q '^meta.k49'; $ASSETFS info --json $f > $SCRATCH/info; cmp $SCRATCH/info resources/1/info.json
                is "$($ASSETFS search --json --mount . 'name:long' | /usr/bin/python3 -c 'import json, sys; print(len(json.load(sys.stdin)["metadata"]))')" 50
                setfattr -n user.asset.caption -v seen $f; is "$($ASSETFS export --sidecar $f $SCRATCH/copy.txt)" "1 of 1 file exported."; grep -q seen $SCRATCH/copy.txt.xmp
                """
        )
    }

    @Test func `no file in the trash is left out without a word`() throws {
        try runScript(
            prelude + """
                rm folders/b/*; $ASSETFS trash . > $SCRATCH/out; is "$(wc -l < $SCRATCH/out)" 2; grep -q '^1  *20.* 2 bytes  *b/long.txt$' $SCRATCH/out; grep -q 'b/short.txt$' $SCRATCH/out
                status=0; $ASSETFS trash --json . > $SCRATCH/out 2> $SCRATCH/err || status=$?; is $status 1; grep -q 'long.txt.*left out' $SCRATCH/err
                is "$(/usr/bin/python3 -c 'import json, sys; print(*sorted(json.loads(line)["path"] for line in open(sys.argv[1])))' $SCRATCH/out)" "b/long.txt b/short.txt"
                rm trash/1-*; $ASSETFS trash --json . > /dev/null
                """
        )
    }
}
