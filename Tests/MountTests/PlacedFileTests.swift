import TestSupport
import Testing

/// Files of other users that a user moves into a folder: the policies of that folder expire neither the files
/// nor their versions.
///
/// alice is 5001, bob 5002 a stranger. In `$T` all users may create, move and remove names; `own` belongs to
/// bob.
struct PlacedFileTests {
    private static let prelude = """
        alice() { as 5001 "$@"; }; bob() { as 5002 "$@"; }; root() { "$@"; }
        T=$MOUNT/folders/team; mkdir -m 777 $T; cd $T
        bob sh -c "umask 0; mkdir own; setfattr -n user.policy.trash -v none own; setfattr -n user.policy.versions -v 0 own"
        # The number of files in the trash with a name, of any owner.
        trashed() { find $MOUNT/trash -name "*-$1" | wc -l; }
        cat > $SCRATCH/swap.py <<'P'
        import ctypes, os, sys
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2) == 0, os.strerror(ctypes.get_errno())
        P

        """

    @Test(arguments: [
        "mv a own/a", "ln a own/a; rm a", "echo x > own/a; /usr/bin/python3 $SCRATCH/swap.py a own/a; rm a",
        "mv f own/f; mv own/f/a own/a",
        "echo x > own/a; mv -f a own/a", "mkdir own/way; mv a own/way/b; mv own/way/b own/way/a; mv own/way/a own/a",
        "mv a own/.a.part; mv own/.a.part own/a",
    ])
    func `what a user has moved is in its owner's trash, with its former contents`(_ way: String) throws {
        try runScript(
            Self.prelude + """
                alice sh -c "umask 0; mkdir f; echo one > f/a; ln f/a a"; ID=$(value id a); export SCRATCH
                case "\(way)" in mv\\ f*) rm a;; *) rm f/a;; esac
                bob sh -c "\(way)"; is "$(value id own/a)" $ID
                bob sh -c "echo two > own/a; echo three > own/a"; is "$(cat $MOUNT/resources/$ID/versions/* | tr '\\n' ' ')" "one two "
                bob rm own/a; LEFT=$(alice find $MOUNT/trash -name "$ID-a"); is "$(alice cat $LEFT)" three
                alice mv $LEFT back; is "$(alice sh -c "cat $MOUNT/resources/$ID/versions/*" | tr '\\n' ' ')" "one two "
                """
        )
    }

    @Test func `the folder holds for what its owner has put there, or root`() throws {
        try runScript(
            Self.prelude + """
                # Files of the user: created there, moved there, and moved back from where another user has
                # put them.
                bob sh -c "echo x > own/b; rm own/b"; alice sh -c "echo x > own/c; rm own/c; echo x > d; mv d own/d; rm own/d"; is "$(trashed b) $(trashed c) $(trashed d)" "0 0 0"
                alice sh -c "echo x > e"; bob mv e own/e; alice sh -c "mv own/e e; mv e own/e; rm own/e"; is "$(trashed e)" 0
                alice sh -c "echo x > g"; mv g own/g; bob rm own/g; is "$(trashed g)" 0
                # A name that another user has created is recorded until it is gone.
                alice sh -c "umask 0; echo x > h"; bob ln h own/h; alice sh -c "mv h h2; rm h2"; bob rm own/h; is "$(trashed h)" 1
                # By moving a folder: the policies of the moved folder itself all apply.
                alice sh -c "umask 0; mkdir i; setfattr -n user.policy.trash -v none i; mkdir j; echo x > i/k; echo x > j/l"
                bob sh -c "mv i own/i; mv j own/j; rm own/i/k own/j/l"; is "$(trashed k) $(trashed l)" "0 1"
                alice sh -c "mv own/j j; mv j own/j; echo x > own/j/m; rm own/j/m"; is "$(trashed m)" 0
                # Replaced by another user: the file of the former owner goes to the trash.
                alice sh -c "echo x > n"; bob sh -c "mv n own/n; echo y > own/.n.part; mv -f own/.n.part own/n"; is "$(alice find $MOUNT/trash -name '*-n' | wc -l)" 1
                # A folder that keeps files longer than the default keeps those of all users longer.
                bob sh -c "umask 0; mkdir long; setfattr -n user.policy.trash -v P30D long"; alice sh -c "echo x > o"; bob sh -c "mv o long/o; rm long/o"
                is "$(($(date +%s -d "$(getfattr --only-values -n user.asset.trashed_until $MOUNT/trash/*-o)") > $(date +%s) + 86400 * 29))" 1
                """
        )
    }

    @Test(arguments: [("ttl", "P1D"), ("store", "0")])
    func `an upload that another user gives its name does not end by what the folder says`(
        _ policy: (key: String, value: String)
    ) throws {
        try runScript(
            Self.prelude + """
                bob sh -c "umask 0; mkdir short; setfattr -n user.policy.\(policy.key) -v \(policy.value) short"
                alice sh -c "echo x > .a.part; echo x > .b.part; echo x > .c.part"; bob mv .a.part short/a; fails value expires short/a
                alice mv .b.part short/b; [ -n "$(value expires short/b)" ]; mv .c.part short/c; [ -n "$(value expires short/c)" ]
                # A file that is replaced by its number stays where it was put.
                alice sh -c "umask 0; echo x > .d.part"; bob mv .d.part short/d; alice sh -c "echo y > $MOUNT/resources/$(value id short/d)/new"
                is "$(cat short/d)" y; fails value expires short/d
                """
        )
    }

    @Test func `a quota takes nothing of what another user has moved under it`() throws {
        try runScript(
            Self.prelude + """
                random() { head -c $1 /dev/urandom > $2; }; export -f random
                bob sh -c "umask 0; mkdir small; setfattr -n user.policy.quota -v 20000 small; setfattr -n user.policy.versions -v 20,P30D,PT0S small"
                alice bash -c "umask 0; random 6000 a; random 3000 a; mkdir f; random 6000 f/b; random 3000 f/b"
                A=$(value id a); B=$(value id f/b); bob sh -c "mv a small/a; mv f small/f"
                bob bash -c "random 13000 small/c; rm small/c; random 13000 small/d"
                is "$(ls $MOUNT/resources/$A/versions $MOUNT/resources/$B/versions | grep -c 1-)" 2
                # Nor of files that are removed there.
                bob bash -c "rm small/a; random 2000 small/e; random 1000 small/f/g"
                is "$(alice sh -c "wc -c < $(alice find $MOUNT/trash -name $A-a)")" 3000
                is "$(cat $MOUNT/resources/$B/versions/* | wc -c)" 6000
                # But it evicts versions of files that their owner has put there.
                alice bash -c "random 6000 small/h; random 1000 small/h"; H=$(value id small/h); bob bash -c "rm small/d; random 12900 small/i"
                is "$(ls $MOUNT/resources/$H/versions | wc -l) $(bob find $MOUNT/trash -name '*-d' | wc -l)" "0 0"
                is "$(alice find $MOUNT/trash -name $A-a | wc -l) $(cat $MOUNT/resources/$B/versions/* | wc -c)" "1 6000"
                """
        )
    }
}
