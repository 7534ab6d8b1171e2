import TestSupport
import Testing

/// For a file that a user may not read, views, attributes and policies answer as if the file did not exist.
///
/// alice is 5001, bob 5002.
struct UnreadableTests {
    private static let prelude = """
        alice() { as 5001 "$@"; }; bob() { as 5002 "$@"; }
        D=$MOUNT/folders/d; mkdir -m 777 $D; cd $D

        """

    @Test func `alternative files are for those who may read their asset, also without its file`() throws {
        try runScript(
            Self.prelude + """
                alice sh -c 'mkdir -m 700 c; echo base > c/f'; N=$(value id c/f)
                alice sh -c "echo secret > $MOUNT/resources/$N/alternatives/alt"; K=$(value id $MOUNT/resources/$N/alternatives/alt)
                fails bob cat $MOUNT/resources/$K/alt
                alice rm c/f; fails bob cat $MOUNT/resources/$K/alt; fails bob ls $MOUNT/resources/$K
                is "$(alice cat $MOUNT/resources/$K/alt)" secret
                # An asset that has no file yet, by its directory.
                chmod 1777 $MOUNT/folders
                for mode in 700 755; do
                    ID=$((900 + mode)); alice mkdir -m $mode $MOUNT/resources/$ID
                    alice sh -c "echo text$mode > $MOUNT/resources/$ID/alternatives/alt"; K=$(value id $MOUNT/resources/$ID/alternatives/alt)
                    bob sh -c "echo text$mode > mine$mode"; is "$(alice cat $MOUNT/resources/$K/alt)" text$mode
                    if [ $mode = 700 ]; then
                        fails bob cat $MOUNT/resources/$K/alt; is "$(bob getfattr --only-values -n user.asset.duplicates mine700)" ""
                    else
                        is "$(bob cat $MOUNT/resources/$K/alt)" text755
                        is "$(bob getfattr --only-values -n user.asset.duplicates mine755)" $K
                    fi
                done
                """
        )
    }

    @Test func `holes and blocks are those of the upload, where equal content is another's`() throws {
        try runScript(
            Self.prelude + """
                alice sh -c 'umask 077; truncate -s 4M sp; printf secret >> sp; { head -c 4M /dev/zero; printf dense; } > de'
                for f in sp de; do value sha256 $f > /dev/null; done
                bob sh -c '{ head -c 4M /dev/zero; printf secret; } > dense; truncate -s 4M sparse; printf dense >> sparse'
                # Until the jobs end, the written file of bob is still open.
                timeout 500 $ASSETFS jobs --wait $MOUNT > /dev/null
                bob /usr/bin/python3 -c "
                import os
                f = os.open('dense', os.O_RDONLY)
                assert os.lseek(f, 0, os.SEEK_HOLE) == 4 << 20 | 6, os.lseek(f, 0, os.SEEK_HOLE)
                assert os.lseek(f, 5000, os.SEEK_DATA) == 5000 and os.fstat(f).st_blocks * 512 >= 4 << 20
                g = os.open('sparse', os.O_RDONLY)
                assert os.lseek(g, 0, os.SEEK_HOLE) == 0 and os.lseek(g, 0, os.SEEK_DATA) == 4 << 20
                assert os.fstat(g).st_blocks * 512 < 1 << 20
                # Blocks that the user has written are visible.
                h = os.open('dense', os.O_RDWR); os.ftruncate(h, 0); os.ftruncate(h, 8 << 20); os.pwrite(h, b'end', 8 << 20)
                os.close(h); h = os.open('dense', os.O_RDONLY); assert os.lseek(h, 0, os.SEEK_DATA) == 8 << 20"
                """
        )
    }

    @Test func `the store of a user's content is the one that they have asked for`() throws {
        try withScratch("stores", in: "/dev/shm") { other in
            try withMountedLibrary(options: ["allow_other", "store=archive:\(other)"]) { mount in
                try run("chmod", "755", mount.scratch).check()
                let script =
                    Self.prelude + """
                        alice sh -c 'umask 077; echo secret > a'; alice setfattr -n user.asset.alternate_store_id -v archive a
                        timeout 500 $ASSETFS jobs --wait $MOUNT > /dev/null; is "$(value store a)" archive
                        bob sh -c 'echo secret > b; echo other > c'
                        for f in b c; do is "$(bob getfattr --only-values -n user.asset.store $f)" primary; done
                        is "$(bob getfattr --only-values -n user.asset.info b | grep -o '"store":"[^"]*"')" '"store":"primary"'
                        is "$(alice getfattr --only-values -n user.asset.store a)" archive
                        """
                try run("bash", "-c", scriptPrelude(mount) + script).check()
            }
        }
    }

    @Test func `names that stay give nobody the content of a file that they may only write to`() throws {
        try runScript(
            Self.prelude + """
                setfattr -n user.policy.overwrite -v false $D
                alice sh -c 'echo secret > log; chmod 622 log'
                fails bob sh -c 'echo x >> log'; fails bob truncate -s 3 log; is "$(ls)" log
                fails bob /usr/bin/python3 -c 'import os; os.fchmod(os.open("log", os.O_WRONLY), 0o600)'; is "$(ls)" log
                bob sh -c 'echo x > log'; is "$(bob sh -c 'chmod 600 log-1; cat log-1')" x; is "$(cat log)" secret
                alice sh -c 'echo more >> log'; is "$(cat log-2 | tr '\\n' ' ')" "secret more "
                # A user who may read the file continues with its content.
                alice chmod 666 log; bob sh -c 'echo y >> log'; is "$(cat log-3 | tr '\\n' ' ')" "secret y "
                """
        )
    }

    @Test func `the MD5 of a first content is for who could read that`() throws {
        try runScript(
            Self.prelude + """
                alice sh -c 'umask 077; for f in to ch; do echo pin > $f; echo mid > $f; done; chmod 666 to'
                fails bob getfattr -n user.asset.md5_at_upload to
                bob sh -c 'echo b > .to.part; mv -f .to.part to'; chown 5002:5002 ch
                for f in to ch; do fails bob getfattr -n user.asset.md5_at_upload $f; done
                alice sh -c 'echo one > o; echo two > o'
                is "$(bob getfattr --only-values -n user.asset.md5_at_upload o)" "$(echo one | md5sum | cut -c1-32)"
                alice sh -c 'umask 077; echo one > p; echo two > p'
                is "$(alice getfattr --only-values -n user.asset.md5_at_upload p)" "$(echo one | md5sum | cut -c1-32)"
                """
        )
    }

    @Test func `groups and numbers ask a file's access list`() throws {
        try runScript(
            Self.prelude + """
                alice sh -c 'echo member > secretname; setfacl -m u:5002:--- secretname; echo given > given; chmod 600 given; setfacl -m u:5002:r given'
                mkdir -m 777 $MOUNT/collections/k; ln secretname given $MOUNT/collections/k/; chmod a-w $MOUNT/collections/k
                G=$(ls -d $MOUNT/collections/*)
                is "$(bob cat $G/info.json | grep -o '"filename":"[a-z]*"' | tr '\\n' ' ')" '"filename":"given" '
                is "$(as 5009 cat $G/info.json | grep -o '"filename":"[a-z]*"' | tr '\\n' ' ')" '"filename":"secretname" '
                ID=$(value id given); bob grep -q '"filename":"given"' $MOUNT/resources/$ID/info.json
                fails as 5009 cat $MOUNT/resources/$ID/info.json
                fails bob cat $MOUNT/resources/$(value id secretname)/info.json
                alice sh -c 'echo two > given'; is "$(bob cat $MOUNT/resources/$ID/versions/1-given)" given
                fails as 5009 cat $MOUNT/resources/$ID/versions/1-given
                """
        )
    }

    @Test func `policies tell of no file that is hidden from the uploader`() throws {
        try runScript(
            Self.prelude + """
                alice sh -c 'echo content > hidden'; alice setfattr -n user.asset.access -v HIDDEN_INDEXABLE hidden
                alice setfattr -n user.asset.caption -v secret hidden; echo content > $SCRATCH/c
                setfattr -n user.policy.duplicates -v REJECT $D; bob cp $SCRATCH/c mine; is "$(bob cat mine)" content; bob rm mine
                fails alice cp $SCRATCH/c own
                setfattr -n user.policy.duplicates -v RETURN_EXISTING $D; bob cp $SCRATCH/c mine; fails bob getfattr -n user.asset.caption mine
                # Preserved names, too.
                setfattr -n user.policy.duplicates -v NONE $D; setfattr -n user.policy.overwrite -v false $D
                echo other > f; chmod 666 f; alice cp $SCRATCH/c f-1; alice setfattr -n user.asset.access -v HIDDEN_INDEXABLE f-1
                rm -f mine; bob cp $SCRATCH/c f; is "$(cat f-2)" content
                """
        )
    }
}
