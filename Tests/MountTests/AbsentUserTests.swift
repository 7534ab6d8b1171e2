import TestSupport
import Testing

/// A user other than the caller gets no rights from the group of a file, because the file may have its group
/// from its folder: alice is 5001, bob 5002, and carol, 5003, is in group 5100.
struct AbsentUserTests {
    private static let prelude = """
        alice() { as 5001 "$@"; }; bob() { as 5002 "$@"; }
        carol() { setpriv --reuid 5003 --regid 5003 --groups 5100 "$@"; }
        T=$MOUNT/folders/team; mkdir $T; chgrp 5100 $T; chmod 2777 $T; cd $T
        # Creates a file of alice with a caption, and with a given mode and access list.
        make() {
            rm -f s; alice sh -c "umask 077; echo secret > s; setfattr -n user.asset.caption -v of-alice s"; chmod $1 s
            [ -z "${2:-}" ] || setfacl -m $2 s
        }

        """

    @Test func `root moves a file over another user's, whose group it has from its folder`() throws {
        try runScript(
            Self.prelude + """
                # Access by the group, by an access list, and with a group that has fewer rights than all
                # others.
                for rights in 660 "600 g:5100:rw" 646 "666 g:5101:-"; do
                    make $rights; bob sh -c 'echo planted > b; chmod 644 b'; is "$(stat -c '%u %g' b)" "5002 5100"
                    mv -f b s; is "$(cat s)" planted; is "$rights: $(bob getfattr --only-values -n user.asset.caption s 2> /dev/null)" "$rights: "
                    is "$(bob ls $MOUNT/resources/$(value id s)/versions | wc -l)" 0
                    # An asset whose file was created again within 15 seconds.
                    make $rights; bob sh -c 'echo planted > b.part'; rm s; mv b.part s; fails bob getfattr -n user.asset.caption s
                done
                # If all users may write, bob may as well; for a rename by carol herself her groups count.
                make 666; bob sh -c 'echo new > b'; mv -f b s; is "$(value caption s)" of-alice
                make 660; carol sh -c 'echo new > c; mv -f c s'; is "$(value caption s)" of-alice
                """
        )
    }

    @Test func `root goes on with alice's work for alice`() throws {
        try runScript(
            Self.prelude + """
                make 600; id=$(value id s); alice sh -c 'umask 077; echo two > n'; mv -f n s; is "$(value id s) $(value caption s)" "$id of-alice"
                alice cp s $SCRATCH/ 2> /dev/null || cp -a s $SCRATCH/s; echo three > $SCRATCH/s; chown 5001:5100 $SCRATCH/s; cp -a $SCRATCH/s s; is "$(value id s) $(cat s)" "$id three"
                cp -a --remove-destination $SCRATCH/s s; is "$(value id s) $(value caption s)" "$id of-alice"
                rm s; $ASSETFS restore --mount $MOUNT $id > /dev/null || $ASSETFS restore $MOUNT/trash/$id-s > /dev/null; is "$(value id s) $(value caption s)" "$id of-alice"
                """
        )
    }

    @Test func `a file that root moves gets no fields by the group of its folder`() throws {
        try runScript(
            Self.prelude + """
                mkdir ret; chmod 2777 ret; setfattr -n user.policy.duplicates -v RETURN_EXISTING ret
                alice sh -c 'umask 022; echo equal > ret/of-alice; chmod 640 ret/of-alice; setfattr -n user.asset.caption -v secret ret/of-alice'
                bob sh -c 'echo equal > .b.part'; is "$(stat -c '%g' .b.part)" 5100; mv .b.part ret/b
                fails bob getfattr -n user.asset.caption ret/b
                """
        )
    }

    @Test func `what is dropped gets fields only of what both its uploader and its owner may read`() throws {
        try runScript(
            Self.prelude + """
                mkdir -m 777 box; chmod g-s box; chown 5001 box; alice setfattr -n user.policy.duplicates -v RETURN_EXISTING box
                D=$MOUNT/$(alice getfattr --only-values -n user.asset.signed_upload.1d box)
                # A file of bob that carol may read, and alice may not.
                bob sh -c 'umask 077; echo equal > box/of-bob; setfattr -n user.asset.caption -v secret box/of-bob; setfacl -m u:5003:r box/of-bob'
                carol sh -c "echo equal > ${D}one"; is "$(stat -c %u box/one)" 5001; fails alice getfattr -n user.asset.caption box/one
                # A file that both may read, and one of alice, with which the upload does not become one
                # asset.
                alice rm box/one; bob setfacl -b box/of-bob; bob chmod 644 box/of-bob; carol sh -c "echo equal > ${D}two"; is "$(value caption box/two)" secret
                alice sh -c 'echo own > box/own; setfattr -n user.asset.caption -v hers box/own'
                carol sh -c "echo own > ${D}three"; is "$(value caption box/three)" hers; [ "$(value id box/three)" != "$(value id box/own)" ]
                """
        )
    }
}
