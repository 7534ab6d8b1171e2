import Foundation
import TestSupport
import Testing

/// `assetfs mount --debug` and `uploads/.stats`.
@Suite(.serialized)
struct DebugTests {
    private func script(_ text: String, _ name: String = #function) throws {
        try withPlace(name) { path in
            try shell("ASSETFS=\(assetfs); " + StartTests.prelude + helpers + text, in: path).check()
        }
    }

    /// `debug WORDS…` mounts with them and makes an upload durable; `topics` names the categories of the
    /// log's debug lines, and `as` runs a command as a user.
    private let helpers = """
        topics() { grep -o 'Z debug: [a-z]*' lib/assetfs.log | sort -u | sed 's/.* //' | tr '\\n' ' ' || true; }
        as() { setpriv --reuid $1 --regid $1 --clear-groups "${@:2}"; }
        debug() { rm -rf lib; $ASSETFS mount "$@" $PWD/lib $PWD/one; echo one > one/folders/a; sync one/folders/a; $ASSETFS umount one; }

        """

    @Test func `the log has the debug lines of the categories that were asked for, and no others`() throws {
        try script(
            """
            debug; is "$(grep -c debug: lib/assetfs.log)" 0
            for category in fuse uploads catalog background; do
                debug --debug=$category; is "$(topics)" "$category "; is "$(stat -c %a lib/assetfs.log)" 600
            done
            is "$(debug --debug 2>&1)" ""; is "$(topics)" "background catalog fuse uploads "
            debug -o debug; is "$(topics)" "background catalog fuse uploads "
            debug --debug=fuse,catalog --debug=uploads; is "$(topics)" "catalog fuse uploads "
            debug -o ro,rw,debug=uploads+catalog; is "$(topics)" "catalog uploads "
            # Behind -- it is a name.
            $ASSETFS mount -- --debug one; is "$(grep -c debug: ./--debug/assetfs.log)" 0; $ASSETFS umount one
            for wrong in --debug=fuse,other --debug=other "-o debug=other+fuse"; do
                says 64 'debug: “other” is no category; there are fuse, uploads, catalog, background, all' $ASSETFS mount $wrong lib one
            done
            is "$(mounts one)" 0
            """
        )
    }

    @Test func `an upload has a line for each of its stages, and names in them are escaped`() throws {
        try script(
            """
            stages() { sed -n "s/.* debug: uploads: node $1: //p" lib/assetfs.log | sed 's/SHA-256 .*/SHA-256/'; }
            $ASSETFS mount --debug=uploads -o policy.max_size=100 lib one
            echo hello > "$(printf 'one/folders/e\\033\\nx')"; echo hello >> one/folders/second
            echo part > one/folders/.c.Xy12ab; mv one/folders/.c.Xy12ab one/folders/c
            ! head -c 1000 /dev/zero > one/folders/large 2> /dev/null
            printf more >> one/folders/c; $ASSETFS umount one
            is "$(stages 64)" 'made as e\\x1b\\x0ax in folder 2 by user 0
            sealed, size 6, SHA-256
            its bytes have become a blob
            published as version 1'
            is "$(stages 65)" 'made as second in folder 2 by user 0
            sealed, size 6, SHA-256
            published as version 2'
            is "$(stages 66)" 'made as .c.Xy12ab in folder 2 by user 0
            sealed, size 5, SHA-256
            its bytes have become a blob
            committed, to be published under a final name
            published as version 3 by its new name
            opened for writing by user 0
            sealed, size 9, SHA-256
            its bytes have become a blob
            published as version 4'
            is "$(stages 67)" 'made as large in folder 2 by user 0
            refused: The maximum allowed upload file size is 100.'
            """.replacingOccurrences(of: "\n            ", with: "\n")
        )
    }

    @Test func `each request has a line with its user and its error, however many there are`() throws {
        try script(
            """
            $ASSETFS mount --debug=fuse -o allow_other lib one; echo f > one/folders/f; chown 5001 one/folders/f
            as 5001 /usr/bin/python3 -c '
            import os
            for n in range(150):
                try: os.setxattr("one/folders/f", "user.asset.rank", b"x")
                except OSError: pass'
            $ASSETFS umount one
            request='setxattr on node 64 by user 5001, process [0-9]+, in [0-9]+\\.[0-9]{3} ms: Invalid argument$'
            is "$(grep -cE "Z debug: fuse: $request" lib/assetfs.log)" 150
            grep -qE 'debug: fuse: create on node 2 by user 0, process [0-9]+, in [0-9.]+ ms: done$' lib/assetfs.log
            grep -qE 'debug: fuse: release on node 64 by user 0, process 0, in [0-9.]+ ms: done$' lib/assetfs.log
            """.replacingOccurrences(of: "\n            ", with: "\n")
        )
    }

    @Test func `the counts in uploads/.stats follow requests, uploads and commits`() throws {
        try script(
            """
            $ASSETFS mount -o allow_other,policy.max_size=100 lib one; chmod 1777 one/folders
            count() { sed -n "s/^$1 //p" one/uploads/.stats; }
            before() { cp one/uploads/.stats former; }
            more() { is "$1 $(($(count $1) - $(sed -n "s/^$1 //p" former)))" "$1 $2"; }
            is "$(grep -cvE '^[a-z0-9_]+\\.[a-z0-9_]+ [0-9]+$' one/uploads/.stats)" 0
            is "$(cut -d ' ' -f 1 one/uploads/.stats | sort | uniq -d)" ""
            before; echo a > one/folders/a; echo a > one/folders/b; mkdir one/folders/d; sync one/folders/a
            for n in uploads.begun uploads.committed requests.create; do more $n 2; done; more blobs.adopted 1; more requests.mkdir 1; more uploads.refused 0
            [ $(count catalog.commits) -gt $(sed -n 's/^catalog.commits //p' former) ]; [ $(count catalog.changes) -gt $(count catalog.commits) ]
            before; ! head -c 200 /dev/zero > one/folders/large 2> /dev/null; more uploads.refused 1; more uploads.committed 0; more uploads.begun 1
            exec 9> one/folders/held; is $(count files.open) 1; exec 9>&-
            for n in $(seq 1200); do [ $(count background.sweep) -gt 0 ] && break; sleep .1; done; [ $(count background.sweep) -gt 0 ]
            # It is the mounting user's and root's, as the receipts are.
            is "$(stat -c '%a %u %s' one/uploads/.stats)" "600 $(id -u) 0"; ! as 5001 cat one/uploads/.stats 2> /dev/null
            for command in 'echo x > one/uploads/.stats' 'rm -f one/uploads/.stats' 'mv one/uploads/.stats one/folders/x' 'ln one/uploads/.stats one/folders/x'; do
                ! bash -c "$command" 2> /dev/null
            done
            ls -A one/uploads | grep -qx .stats; [ -z "$(ls one/uploads | grep stats)" ]; $ASSETFS umount one
            """
        )
    }
}
