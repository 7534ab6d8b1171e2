import TestSupport
import Testing

/// An asset never passes to another user by its name.
///
/// alice is 5001, bob 5002, carol 5003 with the supplementary group 5100.
struct SuccessionTests {
    /// `make MODE` creates `$D/s.txt` with a caption as alice; a `way` lets a user take the name in that way.
    private static let prelude = """
        carol() { setpriv --reuid 5003 --regid 5003 --groups 5100 "$@"; }
        alice() { as 5001 "$@"; }; bob() { as 5002 "$@"; }; root() { "$@"; }
        N=0
        make() {
            N=$((N + 1)); P=$MOUNT/folders/p$N; D=$P/d; mkdir $P; chmod 777 $P; mkdir $D; chmod 777 $D
            alice sh -c "umask 077; echo secret > $D/s.txt"; chown :5100 $D/s.txt; chmod $1 $D/s.txt
            alice setfattr -n user.asset.caption -v "of alice" $D/s.txt
            ID=$(value id $D/s.txt)
        }
        create() { "$@" sh -c "rm -f $D/s.txt; umask 022; echo new > $D/s.txt"; }
        rename() { "$@" sh -c "umask 022; echo new > $D/s.tmp; mv -f $D/s.tmp $D/s.txt"; }
        replace() { "$@" sh -c "umask 022; echo new > $D/other; sleep .01; mv -f $D/other $D/s.txt"; }
        backup() { "$@" sh -c "umask 022; mv $D/s.txt $D/s.txt~; echo new > $D/s.txt"; }
        backups() { "$@" sh -c "umask 022; echo old > $D/s.txt~; mv $D/s.txt $D/s.txt~; echo new > $D/s.txt"; }
        link() { "$@" sh -c "umask 022; echo new > $D/s.tmp; ln -f $D/s.tmp $D/s.txt; rm $D/s.tmp"; }
        folder() { "$@" sh -c "umask 022; rm -f $D/s.txt; rmdir $D; mkdir -m 777 $D; echo new > $D/s.txt"; }
        exchange() {
            "$@" sh -c "umask 022; echo new > $D/s.tmp"
            "$@" /usr/bin/python3 -c "
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.renameat2(-100, b'$D/s.tmp', -100, b'$D/s.txt', 2) == 0, os.strerror(ctypes.get_errno())"
            "$@" rm -f $D/s.tmp
        }

        """

    @Test(arguments: ["create", "rename", "replace", "backup", "backups", "link", "folder", "exchange"])
    func `a newcomer who could not write the file is an asset of its own, whichever way`(_ way: String) throws {
        try runScript(
            Self.prelude + """
                make 600; \(way) bob
                is "$(cat $D/s.txt)" new
                [ "$(value id $D/s.txt)" != $ID ] || { echo "bob has the asset of alice"; exit 1; }
                fails bob getfattr -n user.asset.caption $D/s.txt
                fails bob ls resources/$ID
                is "$(bob sh -c "cat resources/$(value id $D/s.txt)/versions/*" 2>&1 | grep -c secret)" 0
                # Alice finds her file, with all its data.
                OLD=$(alice find $D trash -name 's.txt~' -o -name "$ID-s.t*" | head -n 1)
                is "$(alice cat "$OLD")" secret
                is "$(alice getfattr --only-values -n user.asset.caption "$OLD")" "of alice"
                is "$(alice getfattr --only-values -n user.asset.id "$OLD")" $ID
                """
        )
    }

    @Test(arguments: ["create", "rename", "replace", "backup", "link", "folder", "exchange"])
    func `its owner, who may write it by a group, and root go on with the asset`(_ way: String) throws {
        try runScript(
            Self.prelude + """
                for who in alice root; do
                    make 600; \(way) $who
                    is "$who $(value id $D/s.txt) $(value caption $D/s.txt)" "$who $ID of alice"
                done
                make 660; \(way) carol
                is "carol $(value id $D/s.txt) $(value caption $D/s.txt)" "carol $ID of alice"
                # A user who may write and not read the file learns nothing of it; a user who may read and not
                # write it does not replace it.
                for mode in 620 640; do
                    make $mode; \(way) carol
                    [ "$(value id $D/s.txt)" != $ID ] || { echo "mode $mode is enough"; exit 1; }
                done
                """
        )
    }

    @Test func `a user who moves other people's files does not join them`() throws {
        try runScript(
            Self.prelude + """
                # A file that all users may read, over a private one.
                make 600; alice sh -c "umask 022; echo public > $D/public.tmp"
                bob mv -f $D/public.tmp $D/s.txt
                is "$(cat $D/s.txt)" public; fails bob getfattr -n user.asset.caption $D/s.txt
                make 600; echo public > $D/public.tmp; bob mv -f $D/public.tmp $D/s.txt
                fails bob getfattr -n user.asset.caption $D/s.txt
                # Root acts for the owner of the file: bob gets no data of alice by that.
                make 600; echo bob > $D/s.tmp; chown 5002:5002 $D/s.tmp; mv -f $D/s.tmp $D/s.txt
                fails bob getfattr -n user.asset.caption $D/s.txt
                make 600; echo alice > $D/s.tmp; chown 5001:5001 $D/s.tmp; mv -f $D/s.tmp $D/s.txt
                is "$(value caption $D/s.txt)" "of alice"
                # A file under a temporary name keeps its caption to itself, too.
                make 600; alice sh -c "umask 077; echo one > $D/x.part; setfattr -n user.asset.caption -v mine $D/x.part"
                bob sh -c "echo two > $D/y.part; mv -f $D/y.part $D/x.part; mv $D/x.part $D/x.txt"
                fails bob getfattr -n user.asset.caption $D/x.txt
                """
        )
    }

    @Test func `in resources a file is replaced by who may write it`() throws {
        try runScript(
            Self.prelude + """
                make 644
                for name in s.txt other.txt; do fails bob sh -c "echo new > resources/$ID/$name"; done
                bob sh -c "echo new > $D/b.txt"
                for name in s.txt other.txt; do fails bob mv -f $D/b.txt resources/$ID/$name; done
                is "$(cat $D/s.txt)" secret
                make 660; carol sh -c "echo carol > resources/$ID/other.txt"
                is "$(cat $D/s.txt) $(value id $D/s.txt)" "carol $ID"
                # A member of a supplementary group may open an asset by its number.
                is "$(carol ls resources/$ID | sort | tr '\\n' ' ')" "alternatives info.json s.txt versions "
                fails bob ls resources/$ID
                """
        )
    }

    @Test func `a former content is for who could read it when it stood`() throws {
        try runScript(
            Self.prelude + """
                make 600; alice sh -c "echo public > $D/s.txt"; alice chmod 644 $D/s.txt
                is "$(bob cat resources/$ID/$(basename $D/s.txt))" public
                is "$(bob ls resources/$ID/versions)" ""
                fails bob cat resources/$ID/versions/1-s.txt
                is "$(alice cat resources/$ID/versions/1-s.txt)" secret
                is "$(cat resources/$ID/versions/1-s.txt)" secret
                fails bob cat resources/$ID/versions/1-s.txt
                alice sh -c "echo third > $D/s.txt"
                is "$(bob ls resources/$ID/versions)" 2-s.txt
                is "$(bob cat resources/$ID/versions/2-s.txt)" public
                # By a rename, and by the name alone.
                make 640; carol cat $D/s.txt > /dev/null
                alice sh -c "umask 022; echo public > $D/s.tmp; mv -f $D/s.tmp $D/s.txt"
                is "$(value id $D/s.txt)" $ID
                fails bob cat resources/$ID/versions/1-s.txt
                is "$(carol cat resources/$ID/versions/1-s.txt)" secret
                make 600; alice sh -c "rm $D/s.txt; umask 022; echo public > $D/s.txt"
                is "$(value id $D/s.txt)" $ID
                fails bob cat resources/$ID/versions/1-s.txt
                # With an access list, and of a private file.
                make 600; setfacl -m u:5002:r $D/s.txt; bob cat $D/s.txt > /dev/null
                alice sh -c "umask 022; echo public > $D/s.tmp; mv -f $D/s.tmp $D/s.txt"
                is "$(bob cat resources/$ID/versions/1-s.txt)" secret
                fails carol cat resources/$ID/versions/1-s.txt
                make 644; alice setfattr -n user.asset.access -v PRIVATE $D/s.txt; alice sh -c "echo public > $D/s.txt"
                alice setfattr -n user.asset.access -v PUBLIC_INDEXABLE $D/s.txt
                fails bob cat resources/$ID/versions/1-s.txt
                is "$(bob cat $D/s.txt)" public
                """
        )
    }

    @Test func `what alice takes out of her drop folder does not go to who drops the next`() throws {
        try runScript(
            Self.prelude + """
                make 600; chown 5001 $D; chmod 755 $D
                BOX=$($ASSETFS sign --upload $D --expires 10m)
                alice rm $D/s.txt
                bob sh -c "echo new > /dev/shm/s.txt"; bob cp /dev/shm/s.txt $BOX; rm -f /dev/shm/s.txt
                [ "$(value id $D/s.txt)" != $ID ] || { echo "bob has the asset of alice"; exit 1; }
                make 600; chown 5001 $D; chmod 755 $D
                BOX=$($ASSETFS sign --upload $D --expires 10m)
                alice rm $D/s.txt
                mkdir -m 777 /dev/shm/b$$; bob sh -c "echo new > /dev/shm/b$$/s.txt; rsync /dev/shm/b$$/s.txt $BOX"; rm -r /dev/shm/b$$
                [ "$(value id $D/s.txt)" != $ID ] || { echo "bob has the asset of alice"; exit 1; }
                """
        )
    }
}
