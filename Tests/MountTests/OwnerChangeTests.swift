import TestSupport
import Testing

/// Files that get another owner: files that are dropped into a folder, and replacements through
/// `resources/ID/`.
///
/// alice is 5001, bob 5002. In `$D` all users may create, move and remove names.
struct OwnerChangeTests {
    private static let prelude = """
        alice() { setpriv --reuid 5001 --regid 5001 --clear-groups "$@"; }
        bob() { setpriv --reuid 5002 --regid 5002 --clear-groups "$@"; }
        D=$MOUNT/folders/d; mkdir -m 777 $D; chmod 777 $D $SCRATCH
        IN=$MOUNT/folders/in; mkdir -m 755 $IN; chown 5001:5001 $IN; BOX=$(alice $ASSETFS sign --upload $IN)
        # A file of alice that is open to all, and the path that bob writes to.
        open() { alice sh -c "umask 0; echo alice > $D/$1; setfattr -n user.asset.caption -v 'of alice' $D/$1"; ID=$(value id $D/$1); }
        # Runs a Python program as bob; `fd` is a new file at the path.
        program() { bob /usr/bin/python3 -c "
        import os, errno, struct, time
        def refused(call, *arguments):
            try: call(*arguments); return ''
            except OSError as error: return errno.errorcode[error.errno]
        # An access list that lets user 5002 read and write.
        LIST = struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *entry) for entry in
            [(1, 6, 2**32 - 1), (2, 6, 5002), (4, 4, 2**32 - 1), (16, 6, 2**32 - 1), (32, 6, 2**32 - 1)])
        fd = os.open('$1', os.O_RDWR | os.O_CREAT, 0o666)
        $2"; }

        """

    @Test func `a descriptor of what has come to be another user's tells the same before the kernel knows the mode`()
        throws
    {
        try runScript(
            Self.prelude + """
                chmod 700 $IN; BOX=$MOUNT/${BOX#$MOUNT/}
                program $BOX/first "
                for number in range(30):
                    fd = os.open('$BOX/%d' % number, os.O_RDWR | os.O_CREAT, 0o644)
                    os.write(fd, b'of bob %d' % number); os.close(os.dup(fd))
                    found = [refused(os.getxattr, fd, 'user.' + name) for name in ('asset.path', 'other')]
                    assert found == ['EACCES', 'EACCES'], (number, found)
                "
                """
        )
    }

    @Test func `after the verdict a descriptor changes no mode, owner, group or list of what is another user's`() throws
    {
        try runScript(
            Self.prelude + """
                open a.txt; chmod 640 $D/a.txt; setfacl -m u:5002:rw $D/a.txt
                for path in $BOX/tool resources/$ID/other.txt; do
                    program $MOUNT/${path#$MOUNT/} "
                os.write(fd, b'of bob'); os.close(os.dup(fd))
                for name, call in (('mode', lambda: os.fchmod(fd, 0o4777)), ('group', lambda: os.fchown(fd, -1, 5002)),
                        ('list', lambda: os.setxattr(fd, 'system.posix_acl_access', LIST)),
                        ('no list', lambda: os.removexattr(fd, 'system.posix_acl_access')), ('times', lambda: os.utime(fd, (1, 1)))):
                    assert refused(call) == 'EPERM', (name, refused(call))
                "
                done
                is "$(cat $IN/tool $D/a.txt)" "of bobof bob"
                is "$(stat -c '%u %g %a' $IN/tool)" "5001 5001 644"; is "$(stat -c %u:%a $D/a.txt)" 5001:660
                is "$(getfacl -cp $IN/tool | grep -c 5002)" 0; is "$(stat -c %Y $IN/tool)" "$(date -d @$(stat -c %Y $IN/tool) +%s)"
                [ $(stat -c %Y $IN/tool) -gt 1 ]
                # The new owner may set any mode.
                alice chmod 600 $IN/tool $D/a.txt; is "$(stat -c %a $IN/tool $D/a.txt | tr '\\n' ' ')" "600 600 "
                # A file that bob creates and keeps belongs to bob.
                program $D/own "
                os.write(fd, b'x'); os.close(os.dup(fd)); os.fchmod(fd, 0o640); os.setxattr(fd, 'system.posix_acl_access', LIST)"
                """
        )
    }

    @Test
    func `what becomes another user's comes with its content and its fields, and nothing else that its maker has said`()
        throws
    {
        try runScript(
            Self.prelude + """
                SAY="
                os.write(fd, b'of bob'); os.setxattr(fd, 'user.asset.caption', b'of bob'); os.fchmod(fd, 0o666)
                os.setxattr(fd, 'user.asset.access', b'PRIVATE'); os.setxattr(fd, 'system.posix_acl_access', LIST)
                os.setxattr(fd, 'user.asset.expires', b'2100-01-01T00:00:00Z')"
                open a.txt; alice chmod 664 $D/a.txt; alice setfacl -m u:5002:rw $D/a.txt; alice getfacl -cp $D/a.txt > $SCRATCH/list
                program $MOUNT/resources/$ID/other.txt "$SAY"; program $BOX/dropped "$SAY"
                for file in $D/a.txt $IN/dropped; do
                    is "$(cat $file) $(value caption $file) $(stat -c %u $file)" "of bob of bob 5001"
                    fails value access $file; fails value expires $file
                done
                is "$(alice getfacl -cp $D/a.txt)" "$(cat $SCRATCH/list)"; is "$(stat -c %a $IN/dropped)" 644
                is "$(getfacl -cp $IN/dropped | grep -c 5002)" 0
                # The defaults of the folder for new files apply.
                setfacl -d -m u:5003:r,o::- $IN; setfattr -n user.policy.access -v HIDDEN_NOT_INDEXABLE $IN
                program $BOX/listed "$SAY"; is "$(value access $IN/listed)" HIDDEN_NOT_INDEXABLE
                is "$(getfacl -cp $IN/listed | grep -c -e 5002 -e other::r)" 0; getfacl -cp $IN/listed | grep -q user:5003:r--
                """
        )
    }

    @Test(arguments: [
        "chmod 600 $D/a.txt", "chmod 700 $D", "mv $D/a.txt $D/closed/; touch $D/closed/a.txt", "chmod 755 $D",
    ])
    func `a replacement that is kept open does not land once its maker could not make it`(_ closing: String) throws {
        try runScript(
            Self.prelude + """
                chown 5001 $D; alice mkdir -m 700 $D/closed; open a.txt
                mkfifo $SCRATCH/ready $SCRATCH/go; chmod 666 $SCRATCH/ready $SCRATCH/go
                program $MOUNT/resources/$ID/other.txt "
                os.write(fd, b'of bob'); open('$SCRATCH/ready', 'w').close(); open('$SCRATCH/go').close()
                assert refused(os.close, fd) == 'EPERM'" &
                cat $SCRATCH/ready; alice sh -c "\(closing)"; : > $SCRATCH/go; wait $!
                FILE=$D/a.txt; [ -e $FILE ] || FILE=$D/closed/a.txt
                is "$(alice cat $FILE) $(alice getfattr --only-values -n user.asset.id $FILE 2> /dev/null)" "alice $ID"
                grep -q '"outcome":"rejected".*closed to user 5002' uploads/receipts.jsonl
                """
        )
    }

    @Test
    func
        `a name in a folder that is made anew, or a file that was closed in the trash, passes to nobody who could not go there`()
        throws
    {
        try runScript(
            Self.prelude + """
                alice mkdir -m 700 $D/f; open f/x; alice rm $D/f/x
                bob sh -c "rmdir $D/f; mkdir $D/f; echo bob > $D/f/x"
                [ "$(value id $D/f/x)" != $ID ] || { echo "bob has the asset of a closed folder"; exit 1; }; fails value caption $D/f/x
                open y; alice rm $D/y; alice chmod 600 trash/*-y; bob sh -c "echo bob > $D/y"
                [ "$(value id $D/y)" != $ID ] || { echo "bob has what was closed in the trash"; exit 1; }
                # The user who could enter the folder gets the asset again.
                alice mkdir -m 700 $D/g; open g/x; alice sh -c "rm $D/g/x; rmdir $D/g; mkdir -m 700 $D/g; echo next > $D/g/x"
                is "$(value id $D/g/x)" $ID; is "$(value caption $D/g/x)" "of alice"
                """
        )
    }

    @Test func `a user joins no files of another by their contents`() throws {
        try runScript(
            Self.prelude + """
                setfattr -n user.policy.duplicates -v RETURN_EXISTING $D; setfattr -n user.policy.scope -v ENTIRE_PORTAL $D
                alice sh -c "umask 022; echo known > $D/one; umask 0; echo > $D/scratch.part; echo > $D/written"
                bob sh -c "echo known > $D/scratch.part; mv $D/scratch.part $D/two; echo known > $D/written"
                is "$(stat -c %u $D/two $D/written | tr '\\n' ' ')" "5001 5001 "
                for file in two written; do
                    [ "$(value id $D/$file)" != "$(value id $D/one)" ] || { echo "$file is one with the other"; exit 1; }
                done
                # Alice herself may join her own asset.
                alice sh -c "echo known > $D/three"; [ "$(stat -c %u $D/three)" = 5001 ]
                is "$(value id $D/three)" "$(value id $D/one)"
                """
        )
    }

    @Test func `the next first file of a number shows no content of a closed folder`() throws {
        try runScript(
            Self.prelude + """
                setfacl -m u:5001:rwx,u:5002:rwx folders; (umask 0; mkdir resources/900); alice sh -c "umask 0; echo secret > resources/900/x"
                alice mkdir -m 700 $D/p; FILE=$(find folders -name x); [ -n "$FILE" ] || FILE=resources/900/x
                alice mv $FILE $D/p/x; alice rm $D/p/x; alice sh -c "echo next > resources/900/y"
                is "$(bob cat resources/900/y)" next; is "$(alice cat resources/900/versions/*)" secret
                is "$(bob sh -c "cat resources/900/versions/*" 2> /dev/null | grep -c secret)" 0
                """
        )
    }

    @Test func `who may write to a file touches it, and a replacement lands by the groups that its maker had`() throws {
        try runScript(
            Self.prelude + """
                member() { setpriv --reuid 5003 --regid 5003 --groups 5100 "$@"; }
                mkdir -m 2775 $D/g; chown 5001:5100 $D/g; chmod 2775 $D/g; alice sh -c "umask 002; echo alice > $D/g/a.txt"; chgrp 5100 $D/g/a.txt
                chmod 664 $D/g/a.txt; ID=$(value id $D/g/a.txt)
                # A child process closes the file after its parent has ended.
                member sh -c "exec 3> $MOUNT/resources/$ID/new; mkfifo $SCRATCH/ended; chmod 666 $SCRATCH/ended; (read x < $SCRATCH/ended; echo next >&3) & exit"
                exec 4> $SCRATCH/ended; echo >&4; exec 4>&-
                for n in $(seq 300); do [ "$(cat $D/g/a.txt)" = next ] && break; sleep 0.1; done; is "$(cat $D/g/a.txt)" next
                member touch $D/g/a.txt; fails member touch -d 2001-01-01 $D/g/a.txt
                # Of two names the one that was shown to the user is replaced.
                mkdir -m 700 $D/closed; chown 5001 $D/closed; open t.txt; ln $D/t.txt $D/closed/t; rm $D/t.txt; ln $D/closed/t $D/t.txt
                bob sh -c "echo bob > $MOUNT/resources/$ID/other"; is "$(cat $D/t.txt)" bob
                # A file in a drop box has one name while it is open.
                program $BOX/linked "
                import ctypes; libc = ctypes.CDLL(None, use_errno=True); os.write(fd, b'x')
                assert libc.linkat(-100, b'/proc/self/fd/%d' % fd, -100, b'$D/mine', 0x400) == -1
                assert ctypes.get_errno() == errno.EPERM, ctypes.get_errno()"
                [ ! -e $D/mine ]; is "$(stat -c %h $IN/linked)" 1
                """
        )
    }

    @Test func `what is immutable when an upload ends is not replaced, and gets no names`() throws {
        try runScript(
            Self.prelude + """
                open a.txt
                for path in resources/$ID/other.txt ${BOX#$MOUNT/}/new; do
                    program $MOUNT/$path "
                os.write(fd, b'of bob'); open('$SCRATCH/ready', 'w').close()
                while os.path.exists('$SCRATCH/ready'): time.sleep(0.05)
                assert refused(os.close, fd) == 'EPERM'" &
                    until [ -e $SCRATCH/ready ]; do kill -0 $!; sleep 0.05; done; chattr +i $D/a.txt $IN; rm $SCRATCH/ready; wait $!
                    chattr -i $D/a.txt $IN
                done
                is "$(cat $D/a.txt)" alice; is "$(ls $IN)" ""
                # Their bytes leave the library, without a row by which the sweeper would find them. A removed
                # period wakes the sweeper.
                digest=$(printf 'of bob' | sha256sum | cut -c 1-64)
                for round in $(seq 600); do
                    setfattr -n user.asset.ttl -v P1D $D/a.txt; setfattr -x user.asset.ttl $D/a.txt
                    [ -e $SCRATCH/library/blobs/${digest:0:2}/${digest:2} ] || break; sleep 0.05
                done
                fails test -e $SCRATCH/library/blobs/${digest:0:2}/${digest:2}; [ -d $SCRATCH/library/blobs/${digest:0:2} ]
                """
        )
    }

    @Test
    func `the refusal of an upload undoes nothing that another user has said of the file, and removes no other user's`()
        throws
    {
        try runScript(
            Self.prelude + """
                setfattr -n user.policy.max_size -v 1K $D; open a.txt; open b.txt; open c.txt; chmod 4755 $D/c.txt
                for change in "alice chmod 600 $D/a.txt" "chown 5003:5003 $D/b.txt; chmod 600 $D/b.txt"; do
                    file=$(echo "$change" | grep -o "$D/[ab].txt" | head -n 1)
                    program $file "
                os.write(fd, b'x' * 100); open('$SCRATCH/ready', 'w').close()
                while os.path.exists('$SCRATCH/ready'): time.sleep(0.05)
                assert refused(os.write, fd, b'x' * 2000) == 'EFBIG'; refused(os.close, fd)" &
                    until [ -e $SCRATCH/ready ]; do kill -0 $!; sleep 0.05; done; eval "$change"; rm $SCRATCH/ready; wait $!
                done
                is "$(stat -c %u:%a $D/a.txt $D/b.txt | tr '\\n' ' ')" "5001:600 5003:600 "; is "$(cat $D/a.txt $D/b.txt | tr '\\n' ' ')" "alice alice "
                # A rejected cp -p leaves neither the owner nor the mode that it has set.
                head -c 3000 /dev/zero > $SCRATCH/large; chown 5002 $SCRATCH/large; chmod 777 $SCRATCH/large
                fails cp -p $SCRATCH/large $D/c.txt; is "$(stat -c %u:%a $D/c.txt) $(cat $D/c.txt)" "5001:4755 alice"
                """
        )
    }

    @Test func `an asset follows no name whose file is where the user may not go`() throws {
        try runScript(
            Self.prelude + """
                alice mkdir -m 700 $D/closed
                open a; alice sh -c "mv $D/a $D/a.bak; mv $D/a.bak $D/closed/a"; bob sh -c "echo bob > $D/a"; [ "$(value id $D/a)" != $ID ]
                open b; alice sh -c "ln $D/b $D/closed/b; rm $D/b"; bob sh -c "echo bob > $D/b"; [ "$(value id $D/b)" != $ID ]
                open c; alice mv $D/c $D/closed/; bob sh -c "echo bob > $D/.c.Ab12cd; mv $D/.c.Ab12cd $D/c"; [ "$(value id $D/c)" != $ID ]
                for name in a b c; do fails value caption $D/$name; is "$(cat $D/$name) $(value caption $D/closed/$name)" "bob of alice"; done
                # A user who only moves a file gives it no values of an equal file of that user.
                setfattr -n user.policy.duplicates -v RETURN_EXISTING $D
                bob sh -c "echo equal > $D/mine; setfattr -n user.asset.caption -v 'of bob' $D/mine"; alice sh -c "echo equal > $D/s.part"
                bob mv $D/s.part $D/s; fails value caption $D/s
                # The mask of an access list of a folder gives the group no rights.
                setfacl -m u:5004:rwx,g::--- $IN; program $BOX/masked "os.write(fd, b'x')"; is "$(stat -c %a $IN/masked)" 604
                """
        )
    }
}
