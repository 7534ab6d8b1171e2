import Foundation
import TestSupport
import Testing

/// Folders that are created again for restored files.
@Suite(.serialized)
struct RestoredFolderTests {
    private let people = """
        A="as 5001"; B="as 5002"; F=$MOUNT/folders; chmod 1777 $F
        id() { value id "$1"; }
        # Prints all access rights and policies of folders.
        said() { for folder in "$@"; do stat -c '%n %u %g %a' $folder; getfacl -npE $folder | grep -v '^#'; getfattr -d -m user.policy $folder 2> /dev/null || true; done; }

        """

    @Test func `root makes folders again as they were, whoever owns the file`() throws {
        try runScript(
            people + """
                # First in a folder that users may write to, then in one that only root may write to.
                for mode in 1777 755; do
                    chmod $mode $F; place=$F; mkdir -p $place/b/sub; echo bob > $place/b/b.txt; echo alice > $place/b/sub/a.txt; chown 5001:5001 $place/b/sub $place/b/sub/a.txt; chown 5002:5004 $place/b $place/b/b.txt
                    setfacl -m u:5001:rwx,g:5005:r-x,d:u:5001:rwx,d:o:--- $place/b; setfattr -n user.policy.max_size -v 5M $place/b; chmod 2771 $place/b; chmod 1710 $place/b/sub
                    before=$(said $place/b $place/b/sub); b=$(id $place/b/b.txt); a=$(id $place/b/sub/a.txt)
                    # In either order: a folder that is created for one owner finally belongs to its former
                    # owner.
                    for ids in "$a $b" "$b $a"; do
                        rm -r $place/b; $ASSETFS restore --mount $MOUNT $ids > /dev/null; is "$(said $place/b $place/b/sub)" "$before"; is "$(cat $place/b/b.txt $place/b/sub/a.txt | xargs)" "bob alice"
                    done
                    rm -r $place/b
                done
                """
        )
    }

    @Test func `a folder's owner gets it back as it was, also one that is closed to themselves`() throws {
        try runScript(
            people + """
                $A mkdir -p $F/a/sub; $A sh -c "echo one > $F/a/one; echo two > $F/a/sub/two"; $A setfacl -m u:5002:r-x $F/a; $A chmod 750 $F/a; $A chmod 555 $F/a/sub; $A setfattr -n user.policy.trash -v P2D $F/a
                before=$(said $F/a $F/a/sub); one=$(id $F/a/one); two=$(id $F/a/sub/two); $A chmod 755 $F/a/sub; $A rm $F/a/sub/two; $A chmod 555 $F/a/sub; $A rm -r $F/a
                $A $ASSETFS restore --mount $MOUNT $two $one > /dev/null; is "$(said $F/a $F/a/sub)" "$before"
                # A folder that was not recorded stays with the user who creates it.
                $A mkdir -m 777 $F/old; $A sh -c "echo x > $F/old/x"; x=$(id $F/old/x); $A mv $F/old $F/new; $A rm $F/new/x; $A mv $F/new $F/newer; $A $ASSETFS restore --mount $MOUNT $x; is "$(stat -c '%u %a' $F/new)" "5001 700"
                """
        )
    }

    @Test func `a folder of another user is made again for the one who restores, and open to no more users`() throws {
        try runScript(
            people + """
                # Each pair is a former MODE, and the mode with another group: group and others get the rights
                # that both had.
                for case in "777 777" "757 755" "775 755" "733 733" "770 700" "707 700" "2775 755" "1773 1733"; do set -- $case
                    $B mkdir -m 777 $F/b; $A sh -c "echo x > $F/b/x"; x=$(id $F/b/x); $B chmod $1 $F/b; rm $F/b/x; $B rmdir $F/b
                    $A $ASSETFS restore --mount $MOUNT $x > /dev/null; is "$1 $(stat -c '%u %g %a' $F/b)" "$1 5001 5001 $2"; rm -r $F/b
                done
                # An access list cannot be restored without the group; then only the owner may enter.
                $B mkdir -m 777 $F/b; $A sh -c "echo x > $F/b/x"; x=$(id $F/b/x); $B setfacl -m u:5003:--- $F/b; rm $F/b/x; $B rmdir $F/b
                $A $ASSETFS restore --mount $MOUNT $x > /dev/null; is "$(stat -c '%u %a' $F/b)" "5001 700"; is "$(getfacl -npc $F/b | grep -c 5003)" 0; rm -r $F/b
                # A folder of the user with a group that the user has left.
                mkdir -m 770 $F/c; chown 5001:5009 $F/c; $A sh -c "echo x > $F/c/x"; x=$(id $F/c/x); $A rm -r $F/c; $A $ASSETFS restore --mount $MOUNT $x > /dev/null; is "$(stat -c '%u %g %a' $F/c)" "5001 5001 700"
                rm -r $F/c; mkdir -m 770 $F/c; chown 5001:5009 $F/c; $A sh -c "echo x > $F/c/x"; x=$(id $F/c/x); $A rm -r $F/c
                setpriv --reuid 5001 --regid 5001 --groups 5009 $ASSETFS restore --mount $MOUNT $x > /dev/null; is "$(stat -c '%u %g %a' $F/c)" "5001 5009 770"
                # For a closed folder nothing further is shown; a policy is shown only to its owner.
                mkdir -m 777 -p $F/d/e $F/d; chown 5002 $F/d $F/d/e; $B setfattr -n user.policy.max_size -v 1M $F/d; $A sh -c "echo x > $F/d/e/x"; x=$(id $F/d/e/x); $A rm $F/d/e/x; $B rmdir $F/d/e; $B chmod 700 $F/d; $B rmdir $F/d
                folders() { $1 getfattr --only-values -n user.asset.removed_folders trash/$x-x; }
                folders "$A" | grep -q '"depth":1' || exit 1; ! folders "$A" | grep -q '"depth":2\\|max_size' || exit 1; folders "" | grep -q '"depth":2.*' || exit 1; folders "" | grep -q max_size || exit 1; fails $B getfattr -n user.asset.removed_folders trash/$x-x
                fails $A setfattr -n user.asset.removed_folders -v '{}' trash/$x-x
                """
        )
    }

    @Test func `what a user puts into the place of a folder that root makes again stays the user's`() throws {
        try withMountedLibrary("exchanged", options: ["allow_other"]) { mount in
            try run("chmod", "755", mount.scratch).check()
            let python = """
                import ctypes, os, sys
                # Alice waits for a folder that is created with her rights, and exchanges it for the folder of
                # bob, which is in hers.
                library = ctypes.CDLL(None, use_errno=True); done = 0
                while not os.path.exists(sys.argv[3]) and done < 20_000_000:
                    library.renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2); done += 1
                """
            try python.write(toFile: "\(mount.scratch)/turn.py", atomically: true, encoding: .utf8)
            let script =
                scriptPrelude(mount) + people + """
                    $A mkdir -m 777 $F/t; $B mkdir -m 700 $F/t/bobs; $B sh -c "echo s > $F/t/bobs/secret"; bobs=$(stat -c %i $F/t/bobs); mkdir -m 777 $SCRATCH/stop
                    $A mkdir -m 777 $F/t/x; $A sh -c "echo x > $F/t/x/f"; f=$(id $F/t/x/f)
                    setpriv --reuid 5001 --regid 5001 --clear-groups /usr/bin/python3 $SCRATCH/turn.py $F/t/x $F/t/bobs $SCRATCH/stop/now & turner=$!; trap "touch $SCRATCH/stop/now; wait" EXIT
                    for round in $(seq 60); do
                        # Removes the folder that belongs to alice, under either name.
                        rm -f $F/t/*/f; for n in 1 2 3 4 5; do for d in $F/t/x $F/t/bobs; do [ "$(stat -c %u $d 2> /dev/null)" != 5001 ] || rmdir $d 2> /dev/null || true; done; done
                        $ASSETFS restore --mount $MOUNT $f > /dev/null 2>&1 || true
                        # A folder may be found under both names, or under none.
                        is "$(find $F/t -type d -printf '%i %U %m\n' 2> /dev/null | grep -e "^$bobs " -e " 5002 " | grep -v "^$bobs 5002 700$")" ""
                    done
                    touch $SCRATCH/stop/now; wait $turner; is "$(find $F/t -inum $bobs -printf '%U %m %f\n' | cut -d' ' -f1,2)" "5002 700"; cat $F/t/*/secret > /dev/null
                    """
            try run("bash", "-c", script).check()
        }
    }
}
