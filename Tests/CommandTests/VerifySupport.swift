import TestSupport

/// Functions that scripts about checks of libraries share: `make_library` fills `lib`, `verify STATUS …`
/// checks a library and keeps its output in `report`, and `same` compares a mount on `one` with the original
/// files.
private let prelude = """
    set -eu; fails() { if "$@" 2> /dev/null; then echo "this succeeded: $*" >&2; exit 1; fi; }
    is() { [ "$1" = "$2" ] || { echo "line ${BASH_LINENO[0]}: “$1” is not “$2”" >&2; cat report >&2 || true; exit 1; }; }
    says() { grep -q -- "$1" report || { echo "line ${BASH_LINENO[0]}: nothing says “$1”:" >&2; cat report >&2; exit 1; }; }
    silent() { ! grep -q -- "$1" report || { echo "line ${BASH_LINENO[0]}: something says “$1”:" >&2; cat report >&2; exit 1; }; }
    verify() { local s=0; $ASSETFS verify "${@:2}" > report 2>&1 || s=$?; [ $s = $1 ] || { echo "line ${BASH_LINENO[0]}: status $s, not $1" >&2; cat report >&2; exit 1; }; }
    recover() { local s=0; $ASSETFS recover "${@:2}" > report 2>&1 || s=$?; [ $s = $1 ] || { echo "line ${BASH_LINENO[0]}: status $s, not $1" >&2; cat report >&2; exit 1; }; }
    sql() { sqlite3 lib/catalog.sqlite "PRAGMA foreign_keys = OFF; $1"; }
    blob() { local h=$(sha256sum < $1 | cut -c1-64); echo lib/blobs/${h:0:2}/${h:2}; }
    mount_one() { $ASSETFS mount -o policy.versions=all "$@" lib one; }
    umount_one() { $ASSETFS umount one; ! grep error: lib/assetfs.log; }
    make_library() {
        head -c 300000 /dev/urandom > a; for n in b c d e; do head -c 3000 /dev/urandom > $n; done; echo former > f
        mount_one; cd one/folders; mkdir -p trip/day/hour closed gone; chmod 700 closed
        cp ../../a a; cp ../../b trip/b; cp ../../c trip/day/c; cp ../../d trip/day/hour/d; cp ../../e closed/e
        cp ../../f f; echo present > f; ln a trip/link; cp ../../a twin; ln -s a symlink; mkfifo fifo; : > empty
        setfacl -m u:7:r a; setfacl -d -m u:7:rx trip; setfattr -n user.policy.ttl -v P1M closed; setfattr -n user.policy.duplicates -v REJECT trip
        setfattr -n user.asset.title -v Title trip/b; setfattr -n user.free -v x trip/day; setfattr -n user.xdg.tags -v t trip/b
        echo short > short; setfattr -n user.asset.expires -v 2099-01-01 short; setfattr -n user.asset.access -v HIDDEN_PRIVATE trip/day/c
        echo gone > gone/file; rm gone/file; rmdir gone; echo twice > twice; rm twice; echo again > twice; echo temporary > .~lock.x#
        mkdir ../collections/best; ln a ../collections/best/a; ln trip/b ../collections/best/b
        cp ../../b ../resources/1/alternatives/other 2> /dev/null || true
        cd ../..; $ASSETFS create one > /dev/null; $ASSETFS group one/folders/a one/folders/trip/b > /dev/null
        sync one/folders/a; $ASSETFS search --mount one name:trip > /dev/null || true
    }
    same() {
        cmp a one/folders/a; cmp b one/folders/trip/b; cmp c one/folders/trip/day/c; cmp d one/folders/trip/day/hour/d; cmp e one/folders/closed/e
        cmp a one/folders/twin; is "$(cat one/folders/f)" present; cmp f one/resources/$(getfattr --only-values -n user.asset.id one/folders/f)/versions/1-f
    }
    """

/// Runs a script about checks of libraries.
func verifyScript(_ text: String, in path: String) throws {
    try shell("ASSETFS=\(assetfs); " + prelude + "\n" + text, in: path).check()
}
