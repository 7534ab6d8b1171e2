import Foundation
import TestSupport
import Testing

/// Assets by their numbers, and collections of assets, with common tools.
struct ResourceTests {
    @Test func `an asset's directory has the file that is in folders, and all that belongs to it`() throws {
        try runScript(
            """
            mkdir folders/d; echo one > folders/d/a.txt; id=$(value id folders/d/a.txt); cd resources/$id
            is "$(stat -c '%i %h' a.txt)" "$(stat -c '%i %h' $MOUNT/folders/d/a.txt)"
            is "$(ls | tr '\\n' ' ')" "a.txt alternatives info.json versions "; is "$(ls alternatives versions | wc -w)" 2
            python3 -c 'import json; i = json.load(open("info.json")); assert i["path"] == "d/a.txt" and i["size"] == 4, i'
            for name in info.json versions alternatives; do fails rm -r $name; done
            fails bash -c "echo x > info.json"; fails touch versions/x; fails mkdir x; fails ls $MOUNT/resources/999 $MOUNT/resources/0$id
            cd $MOUNT/folders; mv d/a.txt b.txt; is "$(cat ../resources/$id/b.txt)" one; fails cat ../resources/$id/a.txt
            """
        )
    }

    @Test func `whatever is written into an asset's directory is its next content`() throws {
        try runScript(
            """
            mkdir folders/d; echo one > folders/d/a.txt; id=$(value id folders/d/a.txt); r=resources/$id
            now() { is "$(cat folders/d/a.txt)" "$1"; is "$(cat $r/a.txt)" "$1"; is "$(value id folders/d/a.txt)" $id; is "$(ls -A folders/d)" a.txt; }
            echo two > $r/a.txt; now two
            echo three > $SCRATCH/a.txt; rsync -a $SCRATCH/a.txt $r/; now three
            echo four > $SCRATCH/other.gif; cp $SCRATCH/other.gif $r/; now four
            echo five > $SCRATCH/other.gif; rsync -a $SCRATCH/other.gif $r/; now five
            echo six > $SCRATCH/other.gif; rsync -a --inplace $SCRATCH/other.gif $r/a.txt; now six
            sed -i s/six/seven/ $r/a.txt; now seven
            vim -es -c s/seven/eight/ -c wq $r/a.txt; now eight
            echo nine > folders/n; mv folders/n $r/; now nine; is "$(ls folders)" d
            touch $r/nothing; now nine
            # One in two hundred temporary names of rsync looks like a name of a user.
            echo ten > $r/.x.gif.abcdef; is "$(cat folders/d/a.txt)" nine; mv $r/.x.gif.abcdef $r/x.gif; now ten
            is "$(ls $r/versions | tr '\\n' ' ')" "1-a.txt 2-a.txt 3-a.txt 4-other.gif 5-a.txt 6-a.txt 7-a.txt 8-a.txt 9-a.txt "
            is "$(cat $r/versions/4-other.gif)" four
            cp $r/versions/1-a.txt $r/a.txt; now one
            chown 7:7 folders/d/a.txt; as 8 cat $r/versions/1-a.txt > /dev/null; setfattr -n user.asset.access -v PRIVATE folders/d/a.txt
            fails as 8 ls $r; as 7 cat $r/versions/1-a.txt $r/info.json > /dev/null
            """
        )
    }

    @Test func `a name that is not there is free for a move that replaces nothing`() throws {
        try runScript(
            """
            echo one > folders/a.txt; r=resources/$(value id folders/a.txt)
            cat > $SCRATCH/noreplace.py <<'END'
            import ctypes, os, sys
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 1): sys.exit(os.strerror(ctypes.get_errno()))
            END
            for i in $(seq 20); do
                echo $i > folders/n; python3 $SCRATCH/noreplace.py folders/n $r/n; is "$(cat folders/a.txt)" $i; fails stat folders/n $r/n
            done
            echo other > folders/n; fails python3 $SCRATCH/noreplace.py folders/n $r/a.txt; is "$(cat folders/n)" other; is "$(cat $r/a.txt)" 20
            """
        )
    }

    @Test func `rules of the file's folder hold for what replaces it`() throws {
        try runScript(
            """
            mkdir folders/d; setfattr -n user.policy.max_size -v 100 folders/d; setfattr -n user.policy.overwrite -v false folders/d
            echo one > folders/d/a.txt; id=$(value id folders/d/a.txt)
            head -c 200 /dev/zero > $SCRATCH/big; fails cp $SCRATCH/big resources/$id/big; is "$(cat folders/d/a.txt)" one
            echo two > $SCRATCH/x; cp $SCRATCH/x resources/$id/x; is "$(cat folders/d/a.txt)" two; is "$(ls folders/d)" a.txt
            echo three > resources/$id/a.txt; is "$(cat folders/d/a.txt)" three; is "$(ls folders/d)" a.txt
            """
        )
    }

    @Test func `alternatives are files of their own, and go with their asset`() throws {
        try runScript(
            """
            echo one > folders/a.txt; id=$(value id folders/a.txt); r=resources/$id/alternatives; echo web > $SCRATCH/web.txt
            cp $SCRATCH/web.txt $r/; rsync -a $SCRATCH/web.txt $r/print.txt; is "$(ls $r | tr '\\n' ' ')" "print.txt web.txt "
            setfattr -n user.asset.description -v 'for the web' $r/web.txt; sed -i s/web/WEB/ $r/web.txt
            is "$(value description $r/web.txt)" 'for the web'; is "$(cat $r/web.txt)" WEB
            is "$(ls resources)" $id; is "$(value path $r/web.txt)" /resources/$id/alternatives/web.txt
            mv $r/print.txt $r/big.txt; rm $r/big.txt; fails mkdir $r/x; is "$(ls $r)" web.txt
            cp -a resources/$id $SCRATCH/out; is "$(cat $SCRATCH/out/alternatives/web.txt)" WEB; is "$(cat $SCRATCH/out/a.txt)" one
            cp -a $SCRATCH/out/alternatives/web.txt $r/back.txt; is "$(value description $r/back.txt)" 'for the web'
            rm folders/a.txt; rm trash/$id-a.txt; sleep 0.3; fails ls resources/$id; is "$($ASSETFS status --json $MOUNT | grep -o '"assets":[0-9]*')" '"assets":0'
            """
        )
    }

    @Test func `mkdir makes an asset that has no file, and the first one is its file`() throws {
        try runScript(
            """
            echo x > folders/x; id=$(value id folders/x); mkdir resources/50; fails mkdir resources/50; fails mkdir resources/$id resources/40 resources/x
            is "$(ls resources/50 | tr '\\n' ' ')" "alternatives info.json versions "
            echo file > resources/50/f.txt; is "$(value id resources/50/f.txt)" 50; fails rmdir resources/50
            is "$(value path resources/50/f.txt)" /resources/50/f.txt; is "$(value original_filename resources/50/f.txt)" f.txt
            mkdir resources/60; echo r > $SCRATCH/r.txt; rsync -a $SCRATCH/r.txt resources/60/; is "$(value id resources/60/r.txt)" 60
            mv resources/50/f.txt folders/; is "$(cat resources/50/f.txt)" file; is "$(value id folders/f.txt)" 50
            made=$($ASSETFS create $MOUNT); is "$made" $MOUNT/resources/61; rmdir $made; fails ls $made
            rm resources/60/r.txt; is "$(ls resources/60 | wc -w)" 3; fails rmdir resources/60; is "$(ls trash)" 60-r.txt; $ASSETFS restore --mount $MOUNT 60 > /dev/null; is "$(cat resources/60/r.txt)" r
            """
        )
    }

    @Test func `a replacement is its asset's, whatever has the name when it is complete`() throws {
        try runScript(
            """
            echo one > folders/a; id=$(value id folders/a); r=resources/$id
            python3 - $r $id <<'END'
            import os, sys
            resource, id = sys.argv[1:]
            def begin(data):
                descriptor = os.open(resource + "/new", os.O_CREAT | os.O_WRONLY)
                os.write(descriptor, data)
                return descriptor
            descriptor = begin(b"two")
            os.rename("folders/a", "folders/b"); os.mkdir("folders/a"); open("folders/a/x", "w").write("in")
            os.close(descriptor)
            assert open("folders/b").read() == "two" and open("folders/a/x").read() == "in"
            assert os.getxattr("folders/b", "user.asset.id").decode() == id
            descriptor = begin(b"three")
            os.unlink("folders/b"); open("folders/other", "w").write("other")
            try: os.close(descriptor); raise SystemExit("the asset is gone, and nobody was told")
            except FileNotFoundError: pass
            assert open("folders/other").read() == "other" and open(f"trash/{id}-b").read() == "two"
            END
            """
        )
    }

    @Test func `a replacement has the file's mode, list and owner, but not its set-id bits`() throws {
        try runScript(
            """
            mkdir folders/d; chmod 777 folders/d; cp /bin/true folders/d/a; setfacl -m u:8:r,g::- folders/d/a; chmod 6750 folders/d/a; id=$(value id folders/d/a)
            setfattr -n user.mine -v kept folders/d/a
            as 9 bash -c "exec 2> /dev/null; ls resources/$id" && exit 1
            chmod o+rx folders/d/a; echo x > $SCRATCH/x; fails as 9 cp $SCRATCH/x resources/$id/x
            chmod o+w folders/d/a; as 9 cp $SCRATCH/x resources/$id/x
            is "$(stat -c '%u %a' folders/d/a)" "0 757"; is "$(getfattr --only-values -n user.mine folders/d/a)" kept
            getfacl -ncp folders/d/a | grep -q user:8:r; is "$(cat folders/d/a)" x
            """
        )
    }

    @Test func `quotas count what a replacement takes the place of`() throws {
        try runScript(
            """
            mkdir folders/q; setfattr -n user.policy.quota -v 100K folders/q; setfattr -n user.policy.versions -v 20 folders/q; head -c 60000 /dev/urandom > folders/q/a; id=$(value id folders/q/a)
            for n in 1 2 3 4; do head -c 70000 /dev/urandom > $SCRATCH/x; cp $SCRATCH/x resources/$id/x; done; cmp $SCRATCH/x folders/q/a
            head -c 40000 /dev/zero > $SCRATCH/y; fails cp $SCRATCH/y folders/q/y; head -c 20000 /dev/zero > folders/q/z
            """
        )
    }

    @Test func `an asset's directory takes no folders, and no other asset's file from the trash`() throws {
        try runScript(
            """
            mkdir resources/50 folders/f; echo x > folders/f/x; echo y > folders/y; id=$(value id folders/y)
            fails mv folders/f resources/50/; fails mv folders/f resources/$id/alternatives/; is "$(cat folders/f/x)" x
            rm folders/y; fails mv trash/$id-y resources/50/; mv trash/$id-y folders/y
            cp folders/f/x resources/50/alternatives/x; fails rmdir resources/50
            """
        )
    }

    @Test func `who may not read an asset may not read what belongs to it`() throws {
        try runScript(
            """
            echo one > folders/a; id=$(value id folders/a); echo web > resources/$id/alternatives/web; web=$(value id resources/$id/alternatives/web)
            is "$(as 8 cat resources/$web/web)" web; chmod 600 folders/a; fails as 8 cat resources/$web/web resources/$id/info.json
            mkdir resources/60; echo s > resources/60/s; chown 7:7 resources/60/s; chmod 600 resources/60/s; as 7 cat resources/60/info.json > /dev/null
            rm resources/60/s; fails as 8 ls resources/60; as 7 cat resources/60/info.json > /dev/null
            mkdir folders/acl; echo x > folders/acl/x; chgrp 8 folders/acl; chmod 770 folders/acl; setfacl -m g::-,u:9:rwx folders/acl; xid=$(value id folders/acl/x)
            fails as 8 cat resources/$xid/x
            """
        )
    }

    @Test func `what is in the trash, or was replaced, is not written to in vain`() throws {
        try runScript(
            """
            echo one > folders/a; id=$(value id folders/a); rm folders/a
            exec 3< trash/$id-a; fails bash -c "echo y > trash/$id-a"; is "$(cat <&3)" one; exec 3<&-
            for n in $(seq 100); do
                echo $n > folders/b$n; bid=$(value id folders/b$n); echo new > $SCRATCH/n; cat folders/b$n > /dev/null
                cp $SCRATCH/n resources/$bid/other && echo more >> folders/b$n; is "$(cat folders/b$n | tr '\\n' ' ')" "new more "
            done
            """
        )
    }

    // MARK: Collections

    @Test func `a collection holds links, which follow the asset`() throws {
        try runScript(
            """
            cd folders; echo 1 > a; echo 2 > b; cd ..; mkdir collections/best; ln folders/b folders/a collections/best/
            is "$(ls -U collections/best | tr '\\n' ' ')" "b a "; is "$(stat -c %h folders/a)" 2
            fails bash -c "echo x > collections/best/x"; fails mv folders/a collections/best/z; fails mv collections/best/a folders/z
            fails ln -s x collections/best/s; fails cp folders/a collections/best/c
            # Programs that save by a rename, and by a new file under the former name.
            sed -i s/1/one/ folders/a; is "$(cat collections/best/a)" one; is "$(stat -c %i folders/a)" "$(stat -c %i collections/best/a)"
            rm folders/a; echo uno > folders/a; is "$(cat collections/best/a)" uno; is "$(value filename collections/best/a)" a
            mv collections/best/a collections/best/first; is "$(value filename folders/a)" a; is "$(value path collections/best/first)" a
            rm folders/a; is "$(ls trash)" ""; is "$(cat resources/$(value id collections/best/first)/first)" uno
            rm collections/best/first; is "$(ls trash | wc -l)" 1
            """
        )
    }

    @Test func `a group is sealed: its members, their order and its name stay`() throws {
        try runScript(
            """
            cd folders; for n in a b c; do echo $n > $n; done; cd ..; mkdir collections/g; fails chmod a-w collections/g
            ln folders/c folders/a collections/g/; chmod a-w collections/g; g=$(ls -d collections/*~2)
            echo $g | grep -qE '^collections/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}~2$'
            is "$(value id $g)" ${g#collections/}; is "$(ls -U $g | tr '\\n' ' ')" "c a info.json "
            for command in "rm $g/a" "ln folders/b $g/b" "mv $g/a $g/z" "mv $g collections/z" "chmod u+w $g" "touch $g/x" "mkdir $g/d"; do fails $command; done
            names() { python3 -c 'import json, sys; print([f and f["filename"] for f in json.load(open(sys.argv[1] + "/info.json"))["files"]])' $g; }
            is "$(names)" "['c', 'a']"
            setfattr -n user.asset.expires -v $(date -u -d '+2 seconds' +%FT%TZ) folders/c; sleep 2.2; is "$(names)" "[None, 'a']"
            is "$(ls -U $g | tr '\\n' ' ')" "a info.json "
            rmdir $g; is "$(ls collections)" ""; is "$(cat folders/a)" a
            made=$($ASSETFS group folders/b folders/a); is "$(ls -U $made | tr '\\n' ' ')" "b a info.json "
            """
        )
    }

    @Test func `a group has a thousand members at most`() throws {
        try runScript(
            """
            mkdir collections/g; for n in $(seq 1001); do echo $n > folders/$n; done; ln folders/* collections/g/
            fails chmod a-w collections/g; rm collections/g/1; chmod a-w collections/g; ls -d collections/*~1000 > /dev/null
            """
        )
    }
}
