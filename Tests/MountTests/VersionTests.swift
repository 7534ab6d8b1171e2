import Foundation
import TestSupport
import Testing

/// Former versions that the default policy keeps.
struct VersionTests {
    /// Runs a script in `folders/` of a mount without options.
    private func script(_ script: String, _ name: String = #function) throws {
        try withPlace(name) { path in
            let prelude = """
                set -eu; cd \(path); \(assetfs) mount lib one; trap 'cd \(path); \(assetfs) umount one' EXIT; MOUNT=\(path)/one; cd one/folders
                value() { getfattr --only-values -n user.asset.$1 "$2" 2> /dev/null; }
                is() { [ "$1" = "$2" ] || { echo "line ${BASH_LINENO[0]}: “$1” is not “$2”" >&2; exit 1; }; }
                # Prints the former versions of a file, the oldest first.
                former() { local id; id=$(value id $1); (cd $MOUNT/resources/$id/versions; ls | sort -n | xargs -r cat | tr '\n' ' '); }

                """
            try shell(prelude + script).check()
        }
    }

    @Test func `the first content is kept, however soon it is replaced`() throws {
        try script(
            """
            echo original > a; echo small > a; echo smaller > a; is "$(former a)" "original "
            # By a program that creates the file before it has data to write.
            touch b; echo original > b; echo small > b; echo smaller > b; is "$(former b)" "original "
            # By rename, before and afterwards.
            echo original > .c.AbCdEf; mv .c.AbCdEf c; echo small > c; is "$(former c)" "original "
            echo original > d; echo small > d.tmp; mv d.tmp d; echo smaller > .d.AbCdEf; mv .d.AbCdEf d; is "$(former d)" "original "
            # While another program has it open.
            echo original > e; exec 7< e; echo small > e; echo smaller > e; exec 7<&-; is "$(former e)" "original "
            # While another program that has written it has it open; and where the replaced file continues
            # under another name.
            exec 8> h; echo original >&8; cat h > /dev/null; (exec 9>&8); echo small > h; exec 8>&-; is "$(former h)" "original "
            echo target > i; echo original > j; echo small > j; id=$(value id j); mv j i
            is "$(former i)" "target "; mv $MOUNT/trash/$id-j k; is "$(former k)" "original "; is "$(cat k)" small
            # A copy by several descriptors is one upload.
            { echo part; (echo more); echo last; } > f; is "$(former f)" ""
            # A large file that was not written from start to end is not committed yet when it is replaced.
            python3 -c 'import os; f = os.open("g", os.O_CREAT | os.O_RDWR); [os.pwrite(f, b"o" * 1048576, n << 20) for n in (1, 0)]'
            echo small > g; is "$(former g | head -c 2)" oo
            """
        )
    }

    @Test func `what is replaced through an asset's directory is kept`() throws {
        try script(
            """
            other() { echo $MOUNT/resources/$(value id $1)/$2; }
            echo 1 > a; echo 2 > a; echo 3 > $(other a a); echo 4 > $(other a other.txt); is "$(former a)" "1 2 3 "
            echo 5 > a; is "$(former a)" "1 2 3 "; is "$(cat a)" 5
            echo 1 > b; echo 2 > b; echo 3 > $(other b .b.AbCdEf); mv $(other b .b.AbCdEf) $(other b b); is "$(former b)" "1 2 "
            echo 1 > c; echo 2 > c; truncate -s 1 $(other c c); is "$(former c)" "1 2 "
            """
        )
    }

    @Test func `a policy says how many are kept besides the first`() throws {
        try script(
            """
            mkdir two none; setfattr -n user.policy.versions -v 2,P30D,PT0S two; setfattr -n user.policy.versions -v 0 none
            for n in 1 2 3 4 5; do echo $n > two/a; echo $n > none/a; done
            is "$(former two/a)" "1 3 4 "; is "$(former none/a)" ""
            """
        )
    }
}
