import TestSupport
import Testing

/// Files, names and folders that are hidden from users or closed to them: alice is 5001, bob 5002, a
/// stranger.
struct HiddenFileTests {
    private static let prelude = """
        alice() { as 5001 "$@"; }; bob() { as 5002 "$@"; }
        T=$MOUNT/folders/team; mkdir -m 777 $T; cd $T

        """

    @Test func `a hidden name is not listed through a descriptor that was opened before`() throws {
        try runScript(
            Self.prelude + """
                alice sh -c "mkdir d; for n in a b c; do echo x > d/\\$n; done"
                cat > $SCRATCH/list.py <<'P'
                import os
                def acting(uid, call, *arguments):
                    os.seteuid(uid)
                    try: return call(*arguments)
                    finally: os.seteuid(0)
                def listing(uid): return " ".join(sorted(acting(uid, os.listdir, descriptors[uid])))
                descriptors = {uid: acting(uid, os.open, "d", os.O_RDONLY) for uid in (5001, 5002, 0)}
                assert listing(5002) == "a b c"
                acting(5001, os.setxattr, "d/b", "user.asset.access", b"HIDDEN_INDEXABLE"); assert listing(5002) == "a c", listing(5002)
                # Hidden files stay hidden after users who see them have listed the folder.
                for uid in (5001, 0): listing(uid)
                assert listing(5002) == "a c", listing(5002)
                acting(5001, os.setxattr, "d", "user.policy.access", b"HIDDEN_INDEXABLE")
                acting(5001, lambda: open("d/later", "w").close())
                for uid in (5001, 0): listing(uid)
                assert listing(5002) == "a c", listing(5002)
                # Later descriptors behave as before.
                for uid in descriptors: os.close(descriptors[uid]); descriptors[uid] = acting(uid, os.open, "d", os.O_RDONLY)
                for uid in (5001, 5002, 0): assert listing(uid) == ("a c" if uid == 5002 else "a b c later"), (uid, listing(uid))
                acting(5001, os.removexattr, "d/b", "user.asset.access"); assert listing(5002) == "a b c", listing(5002)
                P
                /usr/bin/python3 $SCRATCH/list.py
                """
        )
    }

    @Test func `hidden alternative files are listed for their owner and root alone`() throws {
        try runScript(
            Self.prelude + """
                alice sh -c "umask 0; echo one > w"; A=$MOUNT/resources/$(value id w)/alternatives
                alice sh -c "for n in a b; do echo x > $A/\\$n; done; setfattr -n user.asset.access -v HIDDEN_INDEXABLE $A/b"
                is "$(bob ls $A)" a; is "$(alice ls $A | tr '\\n' ' ')" "a b "; is "$(ls $A | tr '\\n' ' ')" "a b "; is "$(bob cat $A/b)" x
                # More names than the daemon reads at a time.
                alice sh -c "for n in \\$(seq 600); do echo x > $A/h\\$n; setfattr -n user.asset.access -v HIDDEN_INDEXABLE $A/h\\$n; done"
                is "$(bob ls $A)" a; is "$(alice ls $A | wc -l)" 602
                """
        )
    }

    @Test func `where a file was is not for those to know who may not go there`() throws {
        try runScript(
            Self.prelude + """
                path() { getfattr --only-values -n user.asset.path trash/*-$1; }; cd $MOUNT
                alice sh -c "for n in a b c d; do echo \\$n > $T/\\$n; done; mkdir -m 755 $T/open"
                bob sh -c "cd $T; mkdir -m 700 plan; mkdir -m 700 way; mkdir way/plan; mv a plan/a; rm plan/a; mv b way/plan/b; rm way/plan/b; rmdir way/plan way"
                for name in a b; do
                    fails alice getfattr -n user.asset.path trash/*-$name
                    fails alice sh -c "getfattr --only-values -n user.asset.info trash/*-$name | grep -q plan"
                done
                is "$(path a) $(path b)" "team/plan/a team/way/plan/b"
                # The owner may restore it to another folder.
                fails alice $ASSETFS restore trash/*-a 2> /dev/null; is "$(alice $ASSETFS restore --to $T/open trash/*-a)" $T/open/a
                alice $ASSETFS trash $MOUNT | grep -q -- '-b'
                # The paths through folders that the users may enter, also if the former folder is gone.
                alice sh -c "cd $T; mv c open/c; rm open/c d; rmdir open" 2> /dev/null || alice sh -c "cd $T; mv open/a .; rmdir open"
                is "$(as 5001 getfattr --only-values -n user.asset.path trash/*-c) $(as 5001 getfattr --only-values -n user.asset.path trash/*-d)" "team/open/c team/d"
                """
        )
    }

    @Test func `what a closed folder permits is not said to those who may not read it`() throws {
        try runScript(
            Self.prelude + """
                alice sh -c "mkdir -m 733 drop; setfattr -n user.policy.field.category -v 'one:merger|takeover' drop; setfattr -n user.policy.field.rank -v integer:7..9 drop"
                bob sh -c "echo x > drop/x"
                for pair in category=other rank=1; do
                    fails bob setfattr -n user.asset.${pair%=*} -v ${pair#*=} drop/x
                    is "$(bob getfattr --only-values -n user.asset.error drop/x)" "user.asset.${pair%=*} cannot have this value in this folder."
                done
                fails setfattr -n user.asset.category -v other drop/x; getfattr --only-values -n user.asset.error drop/x | grep -q takeover
                alice chmod 777 drop; fails bob setfattr -n user.asset.category -v other drop/x
                bob getfattr --only-values -n user.asset.error drop/x | grep -q takeover
                """
        )
    }
}
