import TestSupport
import Testing

/// The usage that counts for a folder's quota, and the eviction within it: alice is 5001, bob 5002.
struct QuotaTests {
    /// `q` has a quota that root has set; `home` in it belongs to alice.
    private static let prelude = """
        alice() { as 5001 "$@"; }; bob() { as 5002 "$@"; }
        mkdir -p folders/q/home folders/b; chown 5001:5001 folders/q/home; chown 5002:5002 folders/b
        setfattr -n user.policy.quota -v 1M folders/q; setfattr -n user.policy.versions -v 1000,P365D,PT0S folders/q
        Q=$MOUNT/folders/q/home; B=$MOUNT/folders/b
        bytes() { head -c $1 /dev/urandom; }
        held() { getfattr --only-values -n user.asset.info ${2:-folders/q} | python3 -c 'import json,sys; print(json.load(sys.stdin)["quotas"][0][sys.argv[1]])' $1; }
        within() { [ $(held held) -le 1048576 ] || { echo "line ${BASH_LINENO[0]}: the folder holds $(held held)" >&2; exit 1; }; }
        edquot() { local said; said=$(LC_ALL=C "$@" 2>&1 > /dev/null) && { echo "line ${BASH_LINENO[0]}: this succeeded: $*" >&2; exit 1; }; case $said in *quota*) ;; *) echo "line ${BASH_LINENO[0]}: $said" >&2; exit 1;; esac; }
        cat > $SCRATCH/exchange <<'END'
        import ctypes, os, sys
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2): sys.exit(os.strerror(ctypes.get_errno()))
        END
        exchange() { python3 $SCRATCH/exchange "$1" "$2"; }

        """

    @Test func `former contents count for a quota, and make room by themselves`() throws {
        try runScript(
            Self.prelude + """
                for i in $(seq 12); do alice sh -c "head -c 300000 /dev/urandom > $Q/a"; within; done
                is "$(held files)" 300000; is "$(held former_contents)" 600000
                id=$(value id $Q/a); is "$(ls resources/$id/versions | wc -l)" 2
                # A file that fits only after all versions are evicted.
                alice sh -c "head -c 700000 /dev/urandom > $Q/b"; within; is "$(held former_contents)" 0
                bytes 100000 > $SCRATCH/x; edquot alice cp $SCRATCH/x $Q/c; edquot cp $SCRATCH/x $Q/c
                getfattr --only-values -n user.asset.error $Q | grep -q 'holds in bytes: files 1000000'
                """
        )
    }

    @Test func `former contents that a policy keeps are no room`() throws {
        try runScript(
            Self.prelude + """
                alice setfattr -n user.policy.versions -v all $Q
                for i in 1 2 3; do alice sh -c "head -c 300000 /dev/urandom > $Q/a"; done
                bytes 300000 > $SCRATCH/x; edquot alice cp $SCRATCH/x $Q/a; edquot alice cp $SCRATCH/x $Q/b; edquot cp $SCRATCH/x $Q/b
                getfattr --only-values -n user.asset.error $Q | grep -q 'user.policy.versions keeps 600000'
                is "$(held former_contents)" 600000
                alice setfattr -n user.policy.versions -v 5 $Q; alice cp $SCRATCH/x $Q/b; within
                """
        )
    }

    @Test func `what was removed counts where it was, also when its folder is gone, and makes room`() throws {
        try runScript(
            Self.prelude + """
                alice mkdir $Q/d; alice sh -c "head -c 900000 /dev/urandom > $Q/d/a"; id=$(value id $Q/d/a)
                alice rm $Q/d/a; is "$(held files)" 0; is "$(held trash)" 900000
                alice rmdir $Q/d; is "$(held trash)" 900000
                alice sh -c "head -c 100000 /dev/urandom > $Q/b"; is "$(held trash)" 900000; [ -e trash/$id-a ]
                alice sh -c "head -c 800000 /dev/urandom > $Q/c"; within; is "$(held trash)" 0; fails test -e trash/$id-a
                # Files in other folders stay.
                bob sh -c "echo x > $B/x"; xid=$(value id $B/x); bob rm $B/x
                alice rm $Q/c; alice sh -c "head -c 900000 /dev/urandom > $Q/c"; within; bob test -e trash/$xid-x
                # A folder that replaces another.
                mkdir -p $B/r1 $B/r2; alice rm $Q/c; alice mkdir $Q/e $Q/f; alice sh -c "head -c 200000 /dev/urandom > $Q/e/a"; alice rm $Q/e/a
                before=$(held trash); alice mv -T $Q/f $Q/e; is "$(held trash)" $before
                """
        )
    }

    @Test func `alternatives count where their asset's file is`() throws {
        try runScript(
            Self.prelude + """
                alice sh -c "echo a > $Q/a"; id=$(value id $Q/a)
                alice sh -c "head -c 600000 /dev/urandom > resources/$id/alternatives/one"; is "$(held alternatives)" 600000
                bytes 600000 > $SCRATCH/x; edquot alice cp $SCRATCH/x resources/$id/alternatives/two; edquot alice cp $SCRATCH/x $Q/b
                is "$(held alternatives)" 600000
                # Alternatives move with their file, and only to folders with room for them.
                mkdir folders/o; mv $Q/a folders/o/a; is "$(held held)" 0
                alice cp $SCRATCH/x $Q/b; edquot mv folders/o/a $Q/a
                rm $Q/b; mv folders/o/a $Q/a; is "$(held alternatives)" 600000; within
                """
        )
    }

    @Test func `attributes count for a quota`() throws {
        try runScript(
            Self.prelude + """
                alice sh -c "echo a > $Q/a"; V=0x$(printf '%0120000d' 0)
                n=0; while alice setfattr -n user.n$n -v $V $Q/a 2> $SCRATCH/said; do n=$((n+1)); [ $n -lt 40 ]; done
                grep -q -i quota $SCRATCH/said; is $n 17; within
                edquot setfattr -n user.big -v $V $Q/a; getfattr --only-values -n user.asset.error $Q/a | grep -q 'attributes'
                edquot alice setfattr -n user.big -v $V $Q; edquot alice setfattr -n user.asset.caption -v "$(printf '%060000d' 0)" $Q/a
                alice setfattr -x user.n0 $Q/a; alice setfattr -n user.big -v $V $Q; within
                is "$(held attributes)" $((17 * 60000 + 9 * 7 + 7 * 8 + 8))
                """
        )
    }

    @Test func `an exchange by which a folder would exceed its quota is refused`() throws {
        try runScript(
            Self.prelude + """
                bytes 900000 > $Q/a; bytes 1000 > $Q/f; mkdir $Q/e $B/d; bytes 300000 > $B/g; bytes 250000 > $B/d/x; bytes 1000 > $B/small
                edquot exchange $B/g $Q/f; edquot exchange $Q/e $B/d; edquot exchange $Q/f $B/d
                is "$(cd folders; ls -d q/home/* b/* | tr '\\n' ' ')" 'b/d b/g b/small q/home/a q/home/e q/home/f '
                is "$(stat -c %s $Q/f)" 1000; is "$(held files)" 901000; [ -d $Q/e ]
                getfattr --only-values -n user.asset.error $Q | grep -q 'holds in bytes: files 901000'
                is "$(grep -c '"rejected"' uploads/receipts.jsonl)" 3
                # The bytes that leave make room for those that enter, but not in a quota of a folder above both.
                exchange $B/small $Q/f; is "$(held files)" 901000
                exchange $B/g $Q/a; is "$(held files)" 301000; exchange $B/g $Q/a; is "$(held files)" 901000
                setfattr -n user.policy.quota -v 100000 $Q; edquot exchange $B/g $Q/f; rm $B/g
                # Within one quota nothing grows, also where it is exceeded already.
                setfattr -x user.policy.quota $Q; mkdir $Q/in; bytes 100 > $Q/in/y; setfattr -n user.policy.quota -v 500 folders/q; setfattr -n user.policy.quota -v 500 $Q
                exchange $Q/in/y $Q/a; exchange $Q/in $Q/f; is "$(held files)" 901100
                # The former version of a file that a temporary one replaces may be pruned, and so makes room.
                setfattr -x user.policy.quota $Q; rm -r $Q/*; setfattr -n user.policy.quota -v 1M folders/q; bytes 900000 > $Q/a
                id=$(value id $Q/a); bytes 800000 > $B/.a.Ab12Cd; exchange $B/.a.Ab12Cd $Q/a; is "$(value id $Q/a)" $id; is "$(held files)" 800000
                setfattr -n user.policy.versions -v all folders/q; bytes 800000 > $B/.a.Ef34Gh; edquot exchange $B/.a.Ef34Gh $Q/a
                is "$(held files)" 800000
                """
        )
    }

    @Test func `an exchange counts all that enters, and refuses nothing that lets a folder shrink`() throws {
        try runScript(
            Self.prelude + """
                # A folder takes its files along, also in exchange for a temporary name.
                mkdir $B/big; bytes 2000000 > $B/big/y; echo x > $Q/small.tmp; mkdir $Q/folder.tmp
                edquot exchange $B/big $Q/small.tmp; edquot exchange $B/big $Q/folder.tmp; [ -d $B/big ]; is "$(held files)" 2
                # So does a folder or an asset under a temporary name, and the one that leaves makes room.
                mkdir $B/data.tmp $Q/data; bytes 800000 > $B/data.tmp/a; bytes 900000 > $Q/data/b
                exchange $B/data.tmp $Q/data; is "$(held files)" 800002; rm -r $Q/* $B/*
                bytes 900000 > $B/x; mv $B/x $B/x~; bytes 900000 > $Q/x; exchange $B/x~ $Q/x; is "$(held files)" 900000
                """
        )
    }

    @Test func `a link by which a folder would exceed its quota is refused`() throws {
        try runScript(
            Self.prelude + """
                bytes 300000 > $B/g; bytes 800000 > $Q/a; ln $B/g $B/h
                edquot ln $B/g $Q/g; edquot ln $Q/a $Q/b; [ ! -e $Q/g ]; [ ! -e $Q/b ]; is "$(stat -c %h $B/g)" 2
                is "$(held files)" 800000; is "$(grep -c '"rejected"' uploads/receipts.jsonl)" 2
                getfattr --only-values -n user.asset.error $Q | grep -q 'holds in bytes: files 800000'
                # With room, farms of links work, and each name counts.
                rm $Q/a; mkdir $Q/one; for i in 1 2 3; do bytes 100000 > $Q/one/$i; done; cp -al $Q/one $Q/two; is "$(held files)" 600000
                rsync -a --link-dest=$Q/one $Q/one/ $Q/three/; is "$(held files)" 900000; is "$(stat -c %h $Q/one/1)" 3
                edquot cp -al $Q/one $Q/four; within
                # Empty files and links in collections take nothing.
                setfattr -n user.policy.quota -v 1000 folders/q; : > $B/empty; ln $B/empty $Q/empty; ln -s x $B/symlink
                mkdir collections/c; ln $Q/one/1 collections/c/1; edquot ln $Q/one/1 $Q/again
                """
        )
    }

    @Test func `a file with several names grows under each of them`() throws {
        try runScript(
            Self.prelude + """
                full() { alice sh -c "head -c $1 /dev/urandom > $2" 2> $SCRATCH/said && { echo "line ${BASH_LINENO[0]}: this succeeded" >&2; exit 1; }; grep -q quota $SCRATCH/said; }
                alice sh -c "echo x > $Q/f; for i in 1 2 3 4 5; do ln $Q/f $Q/f\\$i; done"
                full 300000 $Q/f; within; alice sh -c "head -c 100000 /dev/urandom > $Q/f"; within; is "$(held files)" 600000
                # Through a name in another folder, and through a temporary one.
                alice rm $Q/f $Q/f1 $Q/f2 $Q/f3 $Q/f4 $Q/f5; mkdir folders/free; chmod 777 folders/free; F=$MOUNT/folders/free
                alice sh -c "echo x > $F/g; ln $F/g $Q/g"; full 1100000 $F/g; within
                alice sh -c "head -c 400000 /dev/urandom > $F/g"; is "$(held files)" 400000
                alice sh -c "ln $Q/g $F/.g.part"; full 1100000 $F/.g.part; within
                # Files of which no name is below a quota are not concerned.
                alice sh -c "echo x > $F/h; ln $F/h $F/h2; head -c 2000000 /dev/urandom > $F/h"
                # A file that shrinks is never refused.
                alice sh -c "head -c 1000 /dev/urandom > $F/g"; is "$(held files)" 1000
                """
        )
    }

    @Test func `former versions that a folder keeps for ever come into its quota with their file`() throws {
        try runScript(
            Self.prelude + """
                alice setfattr -n user.policy.versions -v all $Q; mkdir folders/free; F=$MOUNT/folders/free; chmod 777 $F
                setfattr -n user.policy.versions -v 1000,P365D,PT0S $F
                v() { mkdir -p $1; chmod 777 $1; for i in 1 2 3; do alice sh -c "head -c 400000 /dev/urandom > $1/v"; done; alice sh -c "echo s > $1/v"; }
                v $F; edquot alice mv $F/v $Q/v; alice sh -c "echo w > $Q/w"; fails alice python3 $SCRATCH/exchange $F/v $Q/w
                is "$(held held)" 2
                v $F/d; edquot alice mv $F/d $Q/d; is "$(held held)" 2
                # What a folder inside says about versions goes along with it.
                setfattr -n user.policy.versions -v 1000,P365D,PT0S $F/d
                alice mv $F/d $Q/d; mv $Q/d $F/d
                # Within a quota, versions that could be pruned become permanent.
                mkdir -m 777 folders/q/prunes; v $MOUNT/folders/q/prunes; within; is "$(held former_contents)" 800000
                alice mv folders/q/prunes/v $Q/x; within; bytes 300000 > $SCRATCH/x; edquot alice cp $SCRATCH/x $Q/y
                """
        )
    }

    @Test func `what has no folder counts for the library's root, and is for those who may write there`() throws {
        try runScript(
            Self.prelude + """
                setfattr -x user.policy.quota folders/q
                fails alice mkdir resources/9001; (umask 0; mkdir -m 777 resources/9001)
                fails alice sh -c "echo x > resources/9001/x"; is "$(alice sh -c "echo x > resources/9001/x" 2>&1 | grep -c 'Permission denied')" 1
                setfacl -m u:5001:rwx folders; alice mkdir resources/9002; setfacl -b folders; setfattr -n user.policy.quota -v 1M folders
                alice sh -c "head -c 900000 /dev/urandom > resources/9002/x"; is "$(held files folders)" 900000
                bytes 900000 > $SCRATCH/x; edquot alice cp $SCRATCH/x resources/9002/y; edquot bob cp $SCRATCH/x $B/x
                setfacl -m u:5002:rwx folders; bob mkdir resources/9003
                """
        )
    }

    @Test func `what is noted of changes is what a new count finds, whatever is done`() throws {
        let program = """
            import json, os, random, subprocess, sys
            chosen = random.Random(int(sys.argv[1])); q = "folders/q"
            def held(): return json.loads(os.getxattr(q, "user.asset.info"))["quotas"][0]
            def again():
                os.setxattr(q, "user.policy.quota", b"900K"); result = held(); return {k: v for k, v in result.items() if k != "limit"}
            folders = ["folders/q", "folders/q/s", "folders/q/s/t", "folders/b"]
            for folder in folders: os.makedirs(folder, exist_ok=True)
            def path(): return f"{chosen.choice(folders)}/f{chosen.randrange(5)}"
            def put(name, size):
                with open(name, "wb") as file: file.write(os.urandom(size))
            def number(name): return os.getxattr(name, "user.asset.id").decode()
            for step in range(400):
                how, one, two = chosen.randrange(14), path(), path()
                try:
                    if how < 3: put(one, chosen.randrange(60_000))
                    elif how == 3: os.unlink(one)
                    elif how == 4: os.rename(one, two)
                    elif how == 5: os.link(one, two)
                    elif how == 6: put(f"resources/{number(one)}/alternatives/f{chosen.randrange(3)}", chosen.randrange(30_000))
                    elif how == 7: os.unlink(f"resources/{number(one)}/alternatives/f{chosen.randrange(3)}")
                    elif how == 8: os.setxattr(one, "user.a", os.urandom(chosen.randrange(3000)))
                    elif how == 9: os.setxattr(one, "user.asset.caption", b"c" * chosen.randrange(1, 500))
                    elif how == 10: os.removexattr(one, chosen.choice(["user.a", "user.asset.caption"]))
                    elif how == 11: put(f"{os.path.dirname(one)}/.x.Ab12Cd", chosen.randrange(50_000)); os.rename(f"{os.path.dirname(one)}/.x.Ab12Cd", one)
                    elif how == 12: os.rename("folders/q/s/t", "folders/b/t"); os.rename("folders/b/t", "folders/q/s/t")
                    elif how == 13:
                        found = [n for n in os.listdir("trash")]
                        if found: os.rename("trash/" + chosen.choice(found), one) if not os.path.exists(one) else os.unlink("trash/" + chosen.choice(found))
                except OSError: pass
                if step % 10 == 9:
                    now = held()
                    if step % 20 == 19:
                        counted = again()
                        assert {k: v for k, v in now.items() if k != "limit"} == counted, (step, how, now, counted)
            """
        try runScript(
            Self.prelude + "cat > $SCRATCH/p.py <<'END'\n" + program + "\nEND\n"
                + "for seed in 1 2 3; do python3 $SCRATCH/p.py $seed; done\n"
        )
    }
}
