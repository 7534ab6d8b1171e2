import TestSupport
import Testing

/// Files that take the names of other users' files: values that one owner has set never apply to a file of
/// another owner.
///
/// alice is 5001, bob 5002 a stranger, carol 5003; alice and carol are in group 5100. In `$D` all users may
/// create, move and remove names.
struct OtherOwnersTests {
    private static let prelude = """
        alice() { setpriv --reuid 5001 --regid 5001 --groups 5100 "$@"; }
        carol() { setpriv --reuid 5003 --regid 5003 --groups 5100 "$@"; }
        bob() { as 5002 "$@"; }; root() { "$@"; }
        D=$MOUNT/folders/d; mkdir -m 777 $D; chmod 777 $D
        # A file of bob with his values, which all users may write to.
        bait() {
            bob sh -c "umask 0; echo bait > $1; setfattr -n user.asset.caption -v 'of bob' $1"
            TOKEN=$MOUNT/$(bob getfattr --only-values -n user.asset.signed.1d $1); ID=$(value id $1)
        }
        secret() { alice sh -c "umask 077; echo secret > $1; setfattr -n user.asset.caption -v 'of alice' $1"; }
        # The file of alice is unchanged, under any name.
        untouched() {
            [ "$(alice getfattr --only-values -n user.asset.id $1 2>&1)" != $ID ] || { echo "$1 shows the asset of bob"; exit 1; }
            is "$(alice cat $1) $(stat -c %u:%a $1)" "secret 5001:600"
            fails bob sh -c "cat $(dirname $TOKEN)/* | grep -q secret"; fails bob cat $1; fails bob getfattr -n user.asset.caption $1
            is "$(bob sh -c "cat resources/$ID/versions/*" 2> /dev/null | grep -c secret)" 0
        }
        # Exchanges two names as a user.
        swap() {
            "$1" /usr/bin/python3 -c "
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.renameat2(-100, b'$2', -100, b'$3', 2) == 0, os.strerror(ctypes.get_errno())"
        }

        """

    @Test(arguments: [
        "mv -f $D/a.txt $D/x.txt", "rm $D/x.txt; mv $D/a.txt $D/x.txt", "mv $D/x.txt $D/x.txt~; mv $D/a.txt $D/x.txt",
        "mv $D/x.txt $D/old-x; mv $D/a.txt $D/x.txt", "rm $D/x.txt; ln $D/a.part $D/x.txt; rm $D/a.part",
        "mv -f $D/a.part $D/x.txt", "rm $D/x.txt; mv -f $D/a.part $D/x.txt",
    ])
    func `a user who moves another's file onto a name of their own does not get it`(_ way: String) throws {
        try runScript(
            Self.prelude + """
                secret $D/a.txt; secret $D/a.part; bait $D/x.txt
                bob sh -c "\(way)" 2> $SCRATCH/said || grep -q "Operation not permitted" $SCRATCH/said
                if [ "$(stat -c %u $D/x.txt 2> /dev/null)" = 5001 ]; then untouched $D/x.txt; fi
                fails bob sh -c "cat $(dirname $TOKEN)/* | grep -q secret"
                """
        )
    }

    @Test func `nor by an exchange, by the asset's number, or by a folder that is made anew`() throws {
        try runScript(
            Self.prelude + """
                secret $D/.a.part; bait $D/x.txt; swap bob $D/.a.part $D/x.txt; untouched $D/x.txt
                secret $D/b.txt; bait $D/y.txt; fails bob mv $D/b.txt resources/$ID/any; untouched $D/b.txt
                is "$(cat $D/y.txt)" bait; fails bob mv $D/b.txt resources/$ID/y.txt; untouched $D/b.txt
                secret $D/c.txt; mkdir -m 777 $D/f; chmod 777 $D/f; chown 5002 $D/f; bait $D/f/z.txt
                bob sh -c "rm $D/f/z.txt; rmdir $D/f; mkdir $D/f; mv $D/c.txt $D/f/z.txt"; untouched $D/f/z.txt
                # Two files of one owner: a user who may write to both keeps the asset, a user who may not
                # read one of them does not.
                alice sh -c "umask 0; echo open > $D/o.txt; echo shared > $D/s.txt; echo more > $D/m.txt"; secret $D/e.txt
                OPEN=$(value id $D/o.txt); bob mv -f $D/e.txt $D/o.txt
                [ "$(value id $D/o.txt)" != $OPEN ] || { echo "bob has written what he may not read"; exit 1; }
                SHARED=$(value id $D/s.txt); bob mv -f $D/m.txt $D/s.txt; is "$(value id $D/s.txt) $(cat $D/s.txt)" "$SHARED more"
                """
        )
    }

    @Test func `what a user has said of a file ends, hides and keeps no other user's`() throws {
        try runScript(
            Self.prelude + """
                mkdir -m 700 collections/c; chown 5002 collections/c
                for i in 1 2 3; do alice sh -c "echo alice $i > $D/a$i.txt"; bob sh -c "umask 0; echo bob > $D/x$i.txt; echo bob > $D/y$i.txt"; done
                for n in x y; do
                    bob setfattr -n user.asset.ttl -v P1D $D/${n}1.txt; bob setfattr -n user.asset.access -v HIDDEN_INDEXABLE $D/${n}2.txt
                    bob ln $D/${n}3.txt collections/c/$n
                done
                # By bob, with the files of alice.
                for i in 1 2 3; do bob mv -f $D/a$i.txt $D/x$i.txt; done
                fails value expires $D/x1.txt; carol ls $D | grep -qx x2.txt
                alice rm $D/x3.txt; is "$(cat collections/c/x)" bob
                [ -n "$(alice find trash -name '*-x3.txt')" ]
                # By alice herself, over files of bob that she may write to: number, caption and former
                # versions are kept.
                for i in 1 2 3; do
                    ID=$(value id $D/y$i.txt); alice sh -c "echo alice > $D/n$i.part; mv -f $D/n$i.part $D/y$i.txt"
                    is "$(value id $D/y$i.txt) $(cat $D/y$i.txt)" "$ID alice"
                done
                fails value expires $D/y1.txt
                alice rm $D/y3.txt; is "$(cat collections/c/y) $(stat -c %u collections/c/y)" "bob 5002"
                [ -n "$(alice find trash -name '*-y3.txt')" ]
                """
        )
    }

    @Test func `the asset of a backup that another user has placed is not that of the next`() throws {
        try runScript(
            Self.prelude + """
                bait $D/plan.txt.bak; secret $D/plan.txt
                alice sh -c "umask 077; mv -f $D/plan.txt $D/plan.txt.bak; echo next > $D/plan.txt"
                untouched $D/plan.txt.bak; is "$(alice cat $D/plan.txt)" next
                bait $D/q.txt.bak; secret $D/q.txt
                alice sh -c "umask 077; mv -f $D/q.txt $D/q.txt.bak; echo next > $D/q.part; mv $D/q.part $D/q.txt"
                untouched $D/q.txt.bak
                """
        )
    }

    @Test func `a file that is put aside is as closed as it was`() throws {
        try runScript(
            Self.prelude + """
                cd $D; for way in "echo next > x.txt" "echo next > x.part; mv x.part x.txt"; do
                    alice sh -c "rm -f x.txt x.txt.bak; echo early > x.txt; cp x.txt x.txt.bak"; BACKUP=$(value id x.txt.bak)
                    alice setfattr -n user.asset.ttl -v P1D x.txt.bak
                    alice setfattr -n user.asset.access -v PRIVATE x.txt; alice sh -c "echo private > x.txt; mv -f x.txt x.txt.bak; $way"
                    is "$(stat -c %a x.txt.bak) $(alice getfattr --only-values -n user.asset.access x.txt.bak)" "600 PRIVATE"
                    is "$(alice getfattr --only-values -n user.asset.id x.txt.bak) $(alice cat x.txt.bak)" "$BACKUP private"
                    fails bob cat x.txt.bak; fails alice getfattr -n user.asset.expires x.txt.bak
                    is "$(stat -c %a x.txt)" 600
                done
                # The content of the former backup is closed to the readers of the next.
                alice sh -c "echo early > p.bak; setfattr -n user.asset.access -v PRIVATE p.bak; echo open > p"
                ID=$(value id p.bak); alice sh -c "mv -f p p.bak; echo next > p"
                is "$(alice getfattr --only-values -n user.asset.id p.bak) $(bob cat p.bak)" "$ID open"
                is "$(bob sh -c "cat $MOUNT/resources/$ID/versions/*" 2> /dev/null)" ""
                is "$(alice sh -c "cat $MOUNT/resources/$ID/versions/*")" early
                # The asset that a file had before it showed another asset has no effect on the access to it
                # now.
                setfattr -n user.policy.duplicates -v RETURN_EXISTING .
                alice sh -c "echo same > one; echo other > two; echo same > two; setfattr -n user.asset.access -v PRIVATE two"
                is "$(alice getfattr --only-values -n user.asset.id two)" "$(alice getfattr --only-values -n user.asset.id one)"
                alice sh -c "echo private > two"; is "$(stat -c %a two)" 600; fails bob cat two
                alice sh -c "umask 077; echo early > three; echo same > three; chmod 644 three; echo open > three"
                is "$(bob cat three)" open; is "$(bob sh -c "cat $MOUNT/resources/$(value id three)/versions/*" 2> /dev/null)" ""
                is "$(alice sh -c "cat $MOUNT/resources/$(value id three)/versions/*")" early
                """
        )
    }

    @Test func `files that show one asset are separated before one of them becomes another's`() throws {
        try runScript(
            Self.prelude + """
                setfattr -n user.policy.duplicates -v RETURN_EXISTING $D; cd $D
                # x and y of bob show one asset, and a file of alice takes the first name.
                bob sh -c "umask 0; echo same > x; echo same > y"; is "$(value id x)" "$(value id y)"
                secret a; bob mv -f a x; fails bob getfattr -n user.asset.caption y
                secret b; bob sh -c "umask 0; echo same > x2"; is "$(value id x2)" "$(value id y)"
                alice mv -f b y; fails bob getfattr -n user.asset.caption x2
                # A caption that a file brings to one name does not apply to the other.
                alice sh -c "echo twice > p; echo twice > q; umask 077; echo new > r; setfattr -n user.asset.caption -v mine r; mv -f r p"
                is "$(alice getfattr --only-values -n user.asset.caption p)" mine; fails alice getfattr -n user.asset.caption q
                # A file of another owner with equal content takes one of the names.
                for way in "mv -f .d.part d1" "ln -f .d.part d1"; do
                    rm -f d1 d2 .d.part; alice sh -c "umask 0; echo equal > d1; echo equal > d2; chmod 600 d2"
                    is "$(value id d1)" "$(value id d2)"
                    bob sh -c "echo equal > .d.part; $way"
                    [ "$(value id d1)" != "$(value id d2)" ] || { echo "$way: one asset of two owners"; exit 1; }
                    alice setfattr -n user.asset.caption -v "of alice" d2; alice setfattr -n user.asset.ttl -v P1D d2
                    fails bob getfattr -n user.asset.caption d1; fails bob getfattr -n user.asset.expires d1
                done
                rm -f d1 d2 .d.part; alice sh -c "umask 0; echo equal > d1; echo equal > d2; chmod 600 d2"
                bob sh -c "echo equal > .d.part"; swap bob $D/.d.part $D/d1
                [ "$(value id d1)" != "$(value id d2)" ] || { echo "exchange: one asset of two owners"; exit 1; }
                """
        )
    }

    @Test func `what a member of a group saves over is in its owner's trash, whatever becomes of the file`() throws {
        try runScript(
            Self.prelude + """
                chgrp 5100 $D; chmod 2775 $D; cd $D
                for way in "echo c > .w.part; SAY .w.part; mv -f .w.part w" "rm w; echo c > w; SAY w" "echo c > v; SAY v; sleep .01; mv -f v w"; do
                    alice sh -c "umask 002; echo year 1 > w; echo year 2 > w; setfattr -n user.asset.caption -v work w"; ID=$(value id w)
                    SAY() { setfattr -n user.asset.expires -v $(date -u -d '+3 sec' +%FT%TZ) $1; }; export -f SAY
                    carol bash -c "umask 002; $way"; is "$(value id w) $(value caption w) $(stat -c %u w)" "$ID work 5003"
                    is "$(cat $MOUNT/resources/$ID/versions/*-w | tr '\\n' ' ')" "year 1 year 2 "
                    while [ -e w ]; do sleep .1; done; fails ls $MOUNT/resources/$ID
                    LEFT=$(alice find $MOUNT/trash -name '*-w'); is "$(alice cat $LEFT)" "year 2"
                    is "$(alice getfattr --only-values -n user.asset.caption $LEFT)" work
                    alice mv $LEFT w.back; is "$(alice sh -c "cat $MOUNT/resources/$(value id w.back)/versions/*")" "year 1"
                    is "$(stat -c %u w.back)" 5001; alice rm w.back; alice sh -c "rm $MOUNT/trash/*"
                done
                """
        )
    }

    @Test func `a member of a group who saves over a file goes on with it, and not with what its owner alone may say`()
        throws
    {
        try runScript(
            Self.prelude + """
                chgrp 5100 $D; chmod 2775 $D; cd $D; mkdir $MOUNT/collections/a $MOUNT/collections/c
                chown 5001 $MOUNT/collections/a; chown 5003 $MOUNT/collections/c
                alice sh -c "umask 002; echo one > w; setfattr -n user.asset.caption -v work w; setfattr -n user.asset.ttl -v P1D w"
                alice setfattr -n user.asset.access -v HIDDEN_INDEXABLE w; alice sh -c "echo sub > $MOUNT/resources/$(value id w)/alternatives/w.srt"
                ln w $MOUNT/collections/a/w; ln w $MOUNT/collections/c/w; ID=$(value id w)
                carol sh -c "umask 002; echo two > .w.part; mv -f .w.part w"
                is "$(value id w) $(value caption w) $(cat w) $(stat -c %u:%a w)" "$ID work two 5003:664"
                # The access level is kept; the expiry is not.
                is "$(value access w)" HIDDEN_INDEXABLE; fails value expires w; fails value ttl w
                is "$(cat $MOUNT/collections/a/w) $(stat -c %u $MOUNT/collections/a/w)" "one 5001"
                is "$(cat $MOUNT/collections/c/w) $(stat -c %u $MOUNT/collections/c/w)" "two 5003"
                # The values of alice apply to the file that she keeps.
                OWN=$(value id $MOUNT/collections/a/w); is "$(value caption $MOUNT/collections/a/w) $(value ttl $MOUNT/collections/a/w)" "work P1D"
                # And in the other direction: values of one user open no file of another.
                carol setfattr -n user.asset.access -v PUBLIC_INDEXABLE w; setfattr -n user.policy.access -v PRIVATE .
                chmod 666 w; alice sh -c "umask 002; echo three > .w.part; mv -f .w.part w"
                is "$(stat -c %u:%a w) $(alice getfattr --only-values -n user.asset.access w)" "5001:600 PRIVATE"
                is "$(alice getfattr --only-values -n user.asset.id w)" $ID
                # A save by root over a private file does not open it.
                alice sh -c "echo p > p; setfattr -n user.asset.access -v PRIVATE p"; setfattr -x user.policy.access .
                echo q > p.part; mv -f p.part p; is "$(stat -c %u:%a p) $(value access p)" "0:600 PRIVATE"
                """
        )
    }

    @Test func `a save over a private file is private as soon as the rename returns`() throws {
        try runScript(
            """
            cd folders; echo p > p; setfattr -n user.asset.access -v PRIVATE p
            python3 -c '
            import os
            os.umask(0o022)
            for n in range(100):
                open("p.part", "w").write(str(n)); os.stat("p.part"); os.rename("p.part", "p")
                # The kernel decides by its cached attributes about opens.
                os.seteuid(5002)
                try: open("p"); assert False, n
                except PermissionError: os.seteuid(0)
                assert os.stat("p").st_mode & 0o777 == 0o600, n
            '
            """
        )
    }

    @Test func `what goes away when the file shows an equal one is its owner's`() throws {
        try runScript(
            Self.prelude + """
                setfattr -n user.policy.duplicates -v RETURN_EXISTING $D; chgrp 5100 $D; chmod 2775 $D; cd $D
                carol sh -c "umask 002; echo equal > c"; alice sh -c "umask 002; echo work > w; setfattr -n user.asset.caption -v work w"
                ID=$(value id w); carol sh -c "umask 002; echo equal > .w.part; mv -f .w.part w"
                is "$(value id w)" "$(value id c)"
                LEFT=$(alice find $MOUNT/trash -name "$ID-w"); is "$(alice cat $LEFT) $(stat -c %u $LEFT)" "work 5001"
                fails carol cat $LEFT; carol sh -c "echo else > w"; [ "$(value id w)" != $ID ] || { echo "carol has it back"; exit 1; }
                alice mv $LEFT w.back; is "$(value caption w.back) $(value id w.back)" "work $ID"
                """
        )
    }

    @Test func `a path that a user has signed reads nothing of another's who saves over the file`() throws {
        try runScript(
            Self.prelude + """
                chmod 777 $D; cd $D; bob sh -c "umask 0; echo bob > r"
                TOKEN=$(bob getfattr --only-values -n user.asset.signed.1d r); is "$(bob sh -c "cat $MOUNT/$(dirname $TOKEN)/*")" bob
                alice sh -c "umask 077; echo secret > .r.part; mv -f .r.part r"; is "$(alice cat r)" secret
                fails bob sh -c "cat $MOUNT/$(dirname $TOKEN)/*"
                """
        )
    }

    @Test func `alternative files stay with the asset that the former owner has`() throws {
        try runScript(
            Self.prelude + """
                chgrp 5100 $D; chmod 2775 $D; cd $D
                for way in "echo two > .w.part; mv -f .w.part w" "rm w; echo two > w"; do
                    alice sh -c "umask 002; echo one > w"; ID=$(value id w); A=$MOUNT/resources/$ID/alternatives
                    alice sh -c "echo sub > $A/w.srt"; carol sh -c "echo hers > $A/c.srt"; alice setfattr -n user.asset.caption -v subtitles $A/w.srt
                    carol sh -c "umask 002; $way"; is "$(value id w) $(ls $A)" "$ID c.srt"
                    # The new owner can do nothing to the files of the former owner.
                    carol sh -c "rm w; rm $MOUNT/trash/$ID-w"; alice mv $(alice find $MOUNT/trash -name '*-w') w.back
                    A=$MOUNT/resources/$(value id w.back)/alternatives; is "$(ls $A) $(alice cat $A/w.srt)" "w.srt sub"
                    is "$(alice getfattr --only-values -n user.asset.caption $A/w.srt)" subtitles; rm w.back; rm $MOUNT/trash/*
                done
                # The former file still has a name.
                alice sh -c "umask 002; echo one > w; ln w other"; A=$MOUNT/resources/$(value id w)/alternatives; alice sh -c "echo sub > $A/w.srt"
                carol sh -c "umask 002; echo two > .w.part; mv -f .w.part w"; is "$(ls $MOUNT/resources/$(value id other)/alternatives)" w.srt
                is "$(ls $A)" ""
                """
        )
    }

    @Test func `alternative files of others are in their owners' trash when an asset goes for good`() throws {
        try runScript(
            Self.prelude + """
                chgrp 5100 $D; chmod 2775 $D; cd $D
                for way in "rm w; rm $MOUNT/trash/*-w" "setfattr -n user.asset.expires -v $(date -u -d '+3 sec' +%FT%TZ) w"; do
                    alice sh -c "umask 002; echo one > w"; A=$MOUNT/resources/$(value id w)/alternatives
                    alice sh -c "echo own > $A/a.srt"; carol sh -c "echo hers > $A/c.srt; setfattr -n user.asset.caption -v subtitles $A/c.srt"
                    alice sh -c "$way"; until tail -n 3 $MOUNT/uploads/events.jsonl | grep -q 'file.\\(purged\\|expired\\).*/w"'; do sleep .1; done
                    LEFT=$(carol find $MOUNT/trash -name '*-c.srt')
                    is "$(alice find $MOUNT/trash -name '*.srt')" ""; carol mv $LEFT $D/back.srt
                    is "$(cat back.srt) $(value caption back.srt) $(stat -c %u back.srt)" "hers subtitles 5003"; rm back.srt
                done
                """
        )
    }

    @Test func `names in a user's collection follow a file as far as that user could read it`() throws {
        try runScript(
            Self.prelude + """
                for user in 5001 5002 5003; do mkdir $MOUNT/collections/$user; chown $user $MOUNT/collections/$user; done
                mkdir $MOUNT/collections/0; cd $D
                alice sh -c "umask 022; mkdir -m 700 c; for n in w v u; do echo one > \\$n; done"
                for name in w v u; do for user in 0 5001 5002 5003; do ln $name $MOUNT/collections/$user/$name; done; done
                seen() { is "$1: $(cat $MOUNT/collections/{5002,5003,5001,0}/$1 | tr '\\n' ' ')" "$1: $2 "; }
                # In a folder that all users can read.
                alice sh -c "echo two > .w.part; mv -f .w.part w"; seen w "two two two two"
                # In a closed folder.
                alice sh -c "mv w c/w; echo three > c/.w.part; mv -f c/.w.part c/w"; seen w "two two three three"
                is "$(bob cat $MOUNT/collections/5002/w)" two; [ "$(value id $MOUNT/collections/5002/w)" != "$(value id c/w)" ]
                # With another mode, and after a removal; and as another owner.
                alice sh -c "umask 077; echo two > .v.part; mv -f .v.part v"; seen v "one one two two"
                alice sh -c "umask 077; rm u; echo two > u"; seen u "one one two two"
                carol sh -c "umask 077; echo new > x; chmod 666 x"; ln x $MOUNT/collections/5002/x
                bob sh -c "umask 077; echo of bob > .x.part; mv -f .x.part x"; is "$(cat $MOUNT/collections/5002/x)" "of bob"
                # A file that was added to a collection keeps its own asset.
                is "$(value caption $MOUNT/collections/5002/u || true)" ""; alice setfattr -n user.asset.caption -v secret u
                fails bob getfattr -n user.asset.caption $MOUNT/collections/5002/u
                """
        )
    }
}
