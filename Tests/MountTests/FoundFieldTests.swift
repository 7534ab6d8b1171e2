import Foundation
import TestSupport
import Testing

/// Metadata embedded in files, and programs that make the attributes of a copy equal to those of the source.
struct FoundFieldTests {
    @Test func `rsync -X takes nothing from a file that it says itself, and people do`() throws {
        try runScript(
            """
            mkdir $SCRATCH/s; cp /usr/share/pixmaps/debian-logo.png $SCRATCH/s/a.png; exiftool -q -overwrite_original -XMP-dc:Title=Trees -XMP-dc:Description=Embedded -XMP-dc:Subject=oak $SCRATCH/s/a.png; f=folders/t/a.png
            all() { echo "$(value title $f)|$(value caption $f)|$(value keywords $f)|$(stat -c %Z $f)"; }
            rsync -aX $SCRATCH/s/ folders/t/; want=$(all); is "${want%|*}" "Trees|Embedded|oak"
            for times in 2 3; do is "$(rsync -aXi $SCRATCH/s/ folders/t/)" ""; is "$(all)" "$want"; done
            # An embedded value does not become a user-set value by a copy to another disk and back; all other
            # programs find it in the list.
            mkdir $SCRATCH/out; rsync -aX folders/t/ $SCRATCH/out/; is "$(getfattr -d $SCRATCH/out/a.png)" ""; is "$(getfattr -d $f | grep -c user.asset)" 3
            is "$(rsync -aXi $SCRATCH/out/ folders/t/)" ""; is "$(all)" "$want"; $ASSETFS info --json $f | grep -q '"set_by_person":\\[\\]'
            # A user-set value stays, and so does a removal by a user.
            setfattr -n user.asset.caption -v Said $f; setfattr -x user.asset.title $f; $ASSETFS describe --remove keywords $f > /dev/null
            rsync -aX --filter='-x user.asset.*' $SCRATCH/s/ folders/t/; fails value title $f; fails value keywords $f; is "$(value caption $f)" Said
            # A removal by a program that lists the attributes first counts as a removal by a user.
            python3 -c 'import os, sys; os.listxattr(sys.argv[1]); os.removexattr(sys.argv[1], "user.asset.caption")' $f; fails value caption $f
            is "$(rsync -aXi $SCRATCH/s/ folders/t/)" ""; fails value title $f; fails value caption $f
            # User-set values are listed, and copied where -X makes the attributes equal.
            setfattr -n user.asset.title -v Mine $f; rsync -aX folders/t/ $SCRATCH/out/; is "$(getfattr --only-values -n user.asset.title $SCRATCH/out/a.png)" Mine
            """
        )
    }
}
