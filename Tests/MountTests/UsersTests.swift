import Foundation
import TestSupport
import Testing

/// Several users: alice is 5001, bob 5002, carol 5003 with the supplementary group 5100.
struct UsersTests {
    private static let prelude = """
        carol() { setpriv --reuid 5003 --regid 5003 --groups 5100 "$@"; }
        alice() { as 5001 "$@"; }; bob() { as 5002 "$@"; }
        for user in 5001 5002 5003; do mkdir -m 755 folders/$user; chown $user:$user folders/$user; done
        A=$MOUNT/folders/5001; B=$MOUNT/folders/5002; C=$MOUNT/folders/5003

        """

    @Test func `an equal file of another owner is an asset of its own, with the fields that were readable`() throws {
        try runScript(
            Self.prelude + """
                setfattr -n user.policy.duplicates -v RETURN_EXISTING folders; setfattr -n user.policy.scope -v ENTIRE_PORTAL folders
                alice sh -c "echo equal > $A/x.txt; setfattr -n user.asset.caption -v early $A/x.txt"
                for way in created renamed; do
                    if [ $way = created ]; then bob sh -c "echo equal > $B/$way.txt"
                    else bob sh -c "echo equal > $B/$way.part; mv $B/$way.part $B/$way.txt"; fi
                    [ "$(value id $B/$way.txt)" != "$(value id $A/x.txt)" ] || { echo "$way: one asset"; exit 1; }
                    is "$way $(value caption $B/$way.txt)" "$way early"
                done
                # A second file of one owner shows the asset of the first, as usual.
                bob sh -c "echo equal > $B/again.txt"; is "$(value id $B/again.txt)" "$(value id $B/created.txt)"
                alice sh -c "chmod 600 $A/x.txt; setfattr -n user.asset.caption -v late $A/x.txt; setfattr -n user.asset.meta.pin -v 4711 $A/x.txt"
                is "$(value caption $B/created.txt)" early; fails bob getfattr -n user.asset.meta.pin $B/created.txt
                alice setfattr -n user.asset.access -v PRIVATE $A/x.txt
                is "$(stat -c %a $B/created.txt)" 644
                alice setfattr -n user.asset.expires -v $(date -u -d '+2 sec' +%FT%TZ) $A/x.txt
                while [ -e $A/x.txt ]; do sleep .1; done; is "$(cat $B/created.txt)" equal
                """
        )
    }

    @Test func `a file that is given to another user takes its own asset along`() throws {
        try runScript(
            Self.prelude + """
                setfattr -n user.policy.duplicates -v RETURN_EXISTING folders; setfattr -n user.policy.scope -v ENTIRE_PORTAL folders
                for given in one two; do
                    O=$B/$given.one; T=$B/$given.two
                    bob sh -c "echo $given > $O; setfattr -n user.asset.caption -v of-$given $O; echo $given > $T"
                    is "$(value id $O)" "$(value id $T)"
                    chown 5001 $B/$given.$given
                    [ "$(value id $O)" != "$(value id $T)" ] || { echo "one asset of two owners"; exit 1; }
                    is "$(value caption $O) $(value caption $T)" "of-$given of-$given"
                done
                """
        )
    }

    @Test func `policies are the folder owner's and root's to say`() throws {
        try runScript(
            Self.prelude + """
                mkdir -m 2775 folders/team; chown 5001:5100 folders/team; chmod 2775 folders/team
                carol sh -c "echo x > folders/team/c.txt"
                for policy in ttl=P1D trash=none versions=none quota=1 overwrite=false duplicates=REJECT preset=hubspot access=PRIVATE; do
                    fails carol setfattr -n user.policy.${policy%=*} -v ${policy#*=} folders/team
                done
                is "$(getfattr --only-values -n user.asset.error folders/team)" \
                    "user.policy.access is for the folder's owner, and root, to say."
                is "$(getfattr -d -m user.policy folders/team 2>/dev/null)" ""
                alice setfattr -n user.policy.ttl -v P1D folders/team; fails carol setfattr -x user.policy.ttl folders/team
                setfattr -n user.policy.trash -v P2D folders/team; alice setfattr -x user.policy.trash folders/team
                """
        )
    }

    @Test func `no answer tells of a content that the uploader may not read`() throws {
        try runScript(
            Self.prelude + """
                for policy in REJECT RETURN_EXISTING; do
                    setfattr -n user.policy.duplicates -v $policy folders; setfattr -n user.policy.scope -v ENTIRE_PORTAL folders
                    alice sh -c "umask 077; echo pin-$policy > $A/$policy"
                    bob sh -c "echo pin-$policy > $B/$policy"; bob sh -c "echo pin-$policy > $B/x.part; mv $B/x.part $B/$policy-2" || true
                    is "$(cat $B/$policy)" pin-$policy
                    [ "$(value id $B/$policy)" != "$(value id $A/$policy)" ] || { echo "one asset"; exit 1; }
                    is "$policy $(bob getfattr --only-values -n user.asset.duplicates $B/$policy | grep -c "\\b$(value id $A/$policy)\\b")" "$policy 0"
                    bob rm -f $B/$policy $B/$policy-2
                done
                # An equal file with a number that bob may not read does not make his upload “unchanged”.
                mkdir -m 777 folders/n; chmod 777 folders/n; setfattr -n user.policy.overwrite -v false folders/n
                setfattr -x user.policy.duplicates folders
                alice sh -c "umask 077; echo first > folders/n/a.txt; echo secret > folders/n/a-1.txt; : > folders/n/e.txt; : > folders/n/e-1.txt"
                chmod 666 folders/n/a.txt folders/n/e.txt
                bob sh -c "echo secret > folders/n/a.txt"
                is "$(cat folders/n/a-2.txt)" secret
                is "$(stat -c %u folders/n/a-2.txt)" 5002
                """
        )
    }

    @Test func `a group that a user has besides counts when duplicates are judged`() throws {
        try runScript(
            Self.prelude + """
                setfattr -n user.policy.duplicates -v REJECT folders; setfattr -n user.policy.scope -v ENTIRE_PORTAL folders
                alice sh -c "umask 027; echo team > $A/t.txt"; chown :5100 $A/t.txt
                echo team > $SCRATCH/t.txt; fails carol cp $SCRATCH/t.txt $C/t.txt; bob cp $SCRATCH/t.txt $B/t.txt
                """
        )
    }

    @Test func `alternatives obey a sticky folder`() throws {
        try runScript(
            Self.prelude + """
                mkdir folders/s; chmod 1777 folders/s; alice sh -c "umask 022; echo a > folders/s/a.txt"; ID=$(value id folders/s/a.txt)
                fails bob sh -c "echo b > resources/$ID/alternatives/b.txt"
                alice sh -c "echo b > resources/$ID/alternatives/b.txt"
                fails bob rm -f resources/$ID/alternatives/b.txt; fails bob mv resources/$ID/alternatives/b.txt resources/$ID/alternatives/c.txt
                is "$(cat resources/$ID/alternatives/b.txt)" b
                """
        )
    }
}
