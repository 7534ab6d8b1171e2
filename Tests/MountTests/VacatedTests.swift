import Foundation
import TestSupport
import Testing

/// Programs that remove or rename the file of an asset in `resources/ID/` and then create it again.
struct VacatedTests {
    private let start = """
        mkdir folders/d; printf first > folders/d/a.txt; id=$(value id folders/d/a.txt); r=$MOUNT/resources/$id
        setfattr -n user.asset.caption -v kept folders/d/a.txt; setfattr -n user.asset.ttl -v P30D folders/d/a.txt; link=$($ASSETFS sign $MOUNT/folders/d/a.txt --expires 1h)
        now() {
            is "$(cat folders/d/a.txt)" "$1"; is "$(cat $r/a.txt)" "$1"; is "$(value id folders/d/a.txt)" $id; is "$(ls -A folders/d)" a.txt
            is "$(value caption folders/d/a.txt)" kept; is "$(value ttl folders/d/a.txt)" P30D; is "$(cat $link)" "$1"; is "$(ls trash)" ""
        }

        """

    @Test func `what removes the file first replaces it all the same`() throws {
        try runScript(
            start + """
                # The system calls of mv(1) from another disk.
                printf moved > $SCRATCH/source; mv $SCRATCH/source $r/a.txt; now moved; fails ls $SCRATCH/source
                printf six > $SCRATCH/x.gif; mv $SCRATCH/x.gif $r/; now six
                printf installed > $SCRATCH/source; install -m 644 $SCRATCH/source $r/a.txt; now installed
                cp --remove-destination $SCRATCH/source $r/a.txt; now installed
                printf synced > $SCRATCH/a.txt; rsync --remove-source-files --inplace $SCRATCH/a.txt $r/; now synced
                printf within > folders/n; mv folders/n $r/a.txt; now within
                rm $r/a.txt; printf after > folders/n; mv folders/n $r/a.txt; now after
                rm $r/a.txt; printf other > folders/n; mv folders/n $r/other.txt; now other
                rm $r/a.txt; printf copied > $SCRATCH/other.gif; cp $SCRATCH/other.gif $r/; now copied
                grep -q '"outcome":"replaced".*"requested":"other.gif"' uploads/receipts.jsonl; ls $r/versions > $SCRATCH/versions
                rm $r/a.txt; printf again > $SCRATCH/.a.txt.AbC123; cp $SCRATCH/.a.txt.AbC123 $r/; mv $r/.a.txt.AbC123 $r/a.txt; now again
                rm folders/d/a.txt; printf back > $r/a.txt; now back
                is "$(ls $r/versions | wc -l)" 10; is "$(cat $r/versions/1-a.txt)" first; is "$(cat $r/versions/*-other.gif)" copied
                """
        )
    }

    @Test func `a link to another file is the next content, whether the former name was removed or is replaced`() throws
    {
        try runScript(
            start + """
                printf linked > folders/n; rm $r/a.txt; ln folders/n $r/a.txt; is "$(stat -c %i folders/n)" "$(stat -c %i folders/d/a.txt)"
                rm folders/n; now linked
                printf hard > folders/m; rm $r/a.txt; python3 -c 'import os, sys; os.link("folders/m", sys.argv[1] + "/other")' $r
                rm folders/m; now hard
                """
        )
    }

    @Test func `a file that was put aside is followed by its replacement`() throws {
        try runScript(
            start + """
                mv $r/a.txt $r/a.txt~; printf saved > $r/a.txt; is "$(value id folders/d/a.txt)" $id; is "$(cat $r/a.txt)" saved
                is "$(cat folders/d/a.txt~)" first; fails value id folders/d/a.txt~; rm folders/d/a.txt~; now saved
                mv $r/a.txt $r/a.txt.bak; printf once > $r/.a.part; mv $r/.a.part $r/a.txt; is "$(value id folders/d/a.txt)" $id
                is "$(cat folders/d/a.txt.bak)" saved; is "$(cat $r/a.txt)" once
                """
        )
    }

    @Test func `an asset's directory waits for nobody else than those who could write its file`() throws {
        try runScript(
            start + """
                chmod 777 folders/d; chown 7:7 folders/d/a.txt; chmod 620 folders/d/a.txt; is "$(ls $r | tr '\\n' ' ')" "a.txt alternatives info.json versions "
                rm $r/a.txt; is "$(ls $r | tr '\\n' ' ')" "alternatives info.json versions "; fails cat $r/a.txt
                fails as 8 ls $r; fails as 8 bash -c "echo no > $r/a.txt"; fails as 8 bash -c "echo no > $r/b.txt"; fails as 8 ln $SCRATCH $r/a.txt
                is "$(ls folders/d)" ""; is "$(ls resources)" ""
                as 7 bash -c "printf mine > $r/a.txt"; now mine
                # A user who may write to the file may replace it: a member of the group.
                chmod 660 folders/d/a.txt; chown 7:9 folders/d/a.txt; rm $r/a.txt; setpriv --reuid 8 --regid 9 --clear-groups bash -c "printf ours > $r/a.txt"
                is "$(cat $r/a.txt) $(value id folders/d/a.txt) $(value caption folders/d/a.txt)" "ours $id kept"
                fails value ttl folders/d/a.txt; is "$(cat trash/*-a.txt)" mine; rm trash/*
                # The rights of the folder apply, and those of the folders above it.
                chmod 755 folders/d; chown 7:7 folders/d/a.txt; rm $r/a.txt; fails as 7 bash -c "echo no > $r/a.txt"
                mkdir folders/p; chmod 700 folders/p; chmod 777 folders/d; mv folders/d folders/p/; fails as 7 ls $r
                rm trash/$id-a.txt; fails ls $r
                """
        )
    }

    @Test func `the file gets another name in its folder`() throws {
        try runScript(
            start + """
                mv $r/a.txt $r/b.txt; is "$(ls folders/d)" b.txt; is "$(cat folders/d/b.txt)" first; is "$(value id $r/b.txt)" $id; fails stat $r/a.txt
                is "$(value path folders/d/b.txt)" d/b.txt; is "$(ls $r/versions)" ""; is "$(grep -c file.moved uploads/events.jsonl)" 1
                printf taken > folders/d/c.txt; fails mv $r/b.txt $r/c.txt; is "$(cat folders/d/c.txt)" taken; is "$(cat $r/b.txt)" first
                python3 - $r <<'END'
                import os, sys
                os.chdir(sys.argv[1])
                try: os.rename("b.txt", "c.txt"); raise SystemExit("replaced what is not seen here")
                except FileExistsError: pass
                os.rename("b.txt", "b.txt"); assert open("b.txt").read() == "first"
                END
                setfattr -n user.policy.forbidden_types -v .php folders/d; fails mv $r/b.txt $r/b.php; is "$(ls folders/d | tr '\\n' ' ')" "b.txt c.txt "
                """
        )
    }
}
