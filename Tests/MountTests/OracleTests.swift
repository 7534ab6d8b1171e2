import Foundation
import TestSupport
import Testing

/// Answers that must not depend on data that the caller may not read: alice is 5001, bob 5002, a stranger.
struct OracleTests {
    private static let prelude = """
        alice() { as 5001 "$@"; }; bob() { as 5002 "$@"; }
        T=$MOUNT/folders/team; mkdir -m 777 $T; cd $T
        # Prints the result of a command: `accepted`, or its last words.
        said() { local found; found=$("$@" 2>&1) && echo accepted || { found=${found%.}; echo "${found##*: }"; }; }

        """

    @Test func `a position in what was found counts nothing that the reader may not read`() throws {
        try runScript(
            Self.prelude + """
                cat > $SCRATCH/positions.py <<'P'
                import ctypes, os, struct, sys
                libc = ctypes.CDLL(None, use_errno=True); SYS_getdents64 = 217
                def entries(fd, size=65536):
                    buffer = ctypes.create_string_buffer(size)
                    while (count := libc.syscall(SYS_getdents64, fd, buffer, size)) > 0:
                        at = 0
                        while at < count:
                            _, place, length = struct.unpack_from("QqH", buffer, at)
                            name = buffer.raw[at + 19:at + length].split(b"\\0")[0].decode(); at += length
                            if name[0] != ".": yield name, place
                fd = os.open(sys.argv[1], os.O_RDONLY); all = list(entries(fd))
                # In small steps, from the start, and from each position: the remaining entries follow.
                os.lseek(fd, 0, os.SEEK_SET); assert list(entries(fd, 200)) == all
                for number, (_, place) in enumerate(all):
                    if number % 37 == 0: os.lseek(fd, place, os.SEEK_SET); assert list(entries(fd)) == all[number + 1:], number
                other = os.open(sys.argv[1], os.O_RDONLY)
                if len(all) > 1:
                    # In a directory that was not read yet.
                    os.lseek(other, all[-2][1], os.SEEK_SET); assert list(entries(other)) == all[-1:]
                assert len({place for _, place in all}) == len(all)
                print(len(all), *[place for _, place in all])
                P
                positions() { bob /usr/bin/python3 $SCRATCH/positions.py "$MOUNT/search/$1"; }
                bob sh -c 'for n in 1 2 3; do echo $n > own$n.txt; setfattr -n user.asset.caption -v takeover own$n.txt; done'
                before=$(positions takeover); is "${before%% *}" 3
                alice sh -c 'mkdir -m 700 c; for n in $(seq 150); do echo $n > c/$n; setfattr -n user.asset.title -v takeover c/$n; done'
                is "$(positions takeover)" "$before"
                bob sh -c 'for n in $(seq 4 150); do echo $n > own$n.txt; setfattr -n user.asset.caption -v takeover own$n.txt; done'
                after=$(positions takeover); is "${after%% *}" 150
                """
        )
    }

    @Test func `the order of what is found says nothing of files that the reader may not read`() throws {
        try runScript(
            Self.prelude + """
                bob sh -c 'for n in 1 2 3 4 5; do echo $n > d$n.txt; done; setfattr -n user.asset.caption -v kryptonite d1.txt; setfattr -n user.asset.caption -v basalt d2.txt'
                order() { bob ls -U "$MOUNT/search/kryptonite OR basalt" | sed 's/^[0-9]*-//' | tr '\\n' ' '; }
                before=$(order); is "$(echo $before | wc -w)" 2
                # Each word in turn becomes common in closed files.
                for word in kryptonite basalt; do
                    for n in 1 2 3; do alice sh -c "umask 077; echo $word$n > $word$n.txt; setfattr -n user.asset.caption -v '$word and more words' $word$n.txt"; is "$word $(order)" "$word $before"; done
                done
                # More of the words, in more important texts; of equal matches the newest upload first.
                bob sh -c 'setfattr -n user.asset.caption -v "basalt kryptonite" d3.txt; setfattr -n user.asset.title -v basalt d4.txt'
                is "$(order)" "d3.txt d4.txt d2.txt d1.txt "
                """
        )
    }

    @Test func `a drop box tells nobody what is in its folder`() throws {
        try runScript(
            Self.prelude + """
                mkdir -m 755 a; chown 5001 a; alice sh -c 'mkdir -m 700 a/box; printf %s "salary 5000" > a/box/letter.txt; : > a/box/empty.txt'
                D=$MOUNT/$(alice getfattr --absolute-names --only-values -n user.asset.signed_upload.1d a/box)
                cat > $SCRATCH/drop.py <<'P'
                import os, sys
                os.umask(0); path = sys.argv[1]
                fd = os.open(path + sys.argv[2], os.O_RDWR | os.O_CREAT, 0o666); os.write(fd, sys.argv[3].encode()); os.close(os.dup(fd))
                def value(key):
                    try: return os.getxattr(fd, key)
                    except OSError as error: return error.strerror
                print(os.fstat(fd).st_uid, value("user.asset.id") != "No data available", value("user.asset.filename"), value("user.asset.path"))
                P
                drop() { bob /usr/bin/python3 $SCRATCH/drop.py $D "$@"; }
                wrong=$(drop letter.txt 'salary 4000'); is "$(drop letter.txt 'salary 5000')" "$wrong"
                other=$(drop other.txt ''); is "$(drop empty.txt '')" "$other"
                is "$(alice ls a/box | tr '\\n' ' ')" "empty-1.txt empty.txt letter-1.txt letter-2.txt letter.txt other.txt "
                is "$(alice cat a/box/letter-2.txt)" 'salary 5000'
                # A repeated upload of content that the user has put there adds no copy.
                drop mine.txt 'of bob' > /dev/null; drop mine.txt 'of bob' > /dev/null; drop letter.txt 'salary 4000' > /dev/null; drop other.txt '' > /dev/null
                is "$(alice ls a/box | wc -l)" 7
                as 5009 /usr/bin/python3 $SCRATCH/drop.py $D mine.txt 'of bob' > /dev/null; is "$(alice ls a/box | grep -c mine)" 2
                # An asset that the owner has changed since has the content of the owner.
                alice sh -c 'printf %s "of alice" > a/box/mine.txt'; drop mine.txt 'of alice' > /dev/null; is "$(alice ls a/box | grep -c mine)" 3
                """
        )
    }

    @Test func `a signed path ends when its signer owns the file no more`() throws {
        try runScript(
            Self.prelude + """
                sign() { getfattr --only-values -n user.asset.$1.P1Y $2; }
                bob sh -c 'echo mine > r.txt; mkdir b'; S=$MOUNT/$(bob getfattr --only-values -n user.asset.signed.P1Y r.txt); U=$MOUNT/$(bob getfattr --only-values -n user.asset.signed_upload.P1Y b)
                R=$MOUNT/$(sign signed r.txt); V=$MOUNT/$(sign signed_upload b)
                is "$(as 5009 cat $S)" mine; as 5009 sh -c "echo x > ${U}one"
                chown 5001:5001 r.txt b; chmod 600 r.txt; chmod 700 b; alice sh -c 'echo "alice from now on" > r.txt'
                is "$(said bob cat $S)" 'Key was rejected by service'; is "$(said bob ls ${S%/*})" 'Key was rejected by service'
                fails bob sh -c "echo planted > ${U}two"; is "$(alice ls b)" one
                # A path signed by root stays valid after a change of the owner, and so does a path of the new
                # owner.
                is "$(as 5009 cat $R)" 'alice from now on'; as 5009 sh -c "echo y > ${V}three"; is "$(alice ls b | tr '\\n' ' ')" "one three "
                A=$MOUNT/$(alice getfattr --only-values -n user.asset.signed.P1Y r.txt); is "$(as 5009 cat $A)" 'alice from now on'
                # The file belongs to bob again.
                chown 5002 r.txt; is "$(as 5009 cat $S)" 'alice from now on'; is "$(said cat $A)" 'Key was rejected by service'
                # A file of another owner that replaces the file of bob.
                alice sh -c 'echo hers > n.part; chmod 600 n.part'; chmod 666 r.txt; alice mv -f n.part r.txt
                is "$(stat -c %u r.txt)" 5001; fails bob cat $S
                """
        )
    }

    @Test func `a token that names no signer is good no more, and none can be made of a signer's`() throws {
        try withMountedLibrary(options: ["allow_other"]) { mount in
            try run("chmod", "755", mount.scratch).check()
            let script =
                scriptPrelude(mount) + Self.prelude + """
                    echo secret > r.txt; chown 5001 r.txt; chmod 600 r.txt; P=$(alice getfattr --only-values -n user.asset.signed.P1Y r.txt); is "$(bob cat $MOUNT/$P)" secret
                    cat > $SCRATCH/former.py <<'P'
                    import hashlib, hmac, os, sys
                    mount, library, path = sys.argv[1:]; _, token, name = path.split("/"); kind, asset, end, uid, code = token.split(".")
                    key = open(library + "/signing.key", "rb").read()
                    sign = lambda text: text + "." + hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
                    def answer(token):
                        try: return open(f"{mount}/signed/{token}/{name}").read()
                        except OSError as error: return error.strerror
                    rejected, required = "Key was rejected by service", "Required key not available"
                    assert uid == "5001" and sign(".".join([kind, asset, end, uid])) == token
                    assert answer(sign(f"{kind}.{asset}.{end}")) == rejected
                    for other in ("0", "5002"): assert answer(f"{kind}.{asset}.{end}.{other}.{code}") == rejected
                    for text in (f"{kind}.{asset}.{end}.{uid}", f"{kind}.{asset}.{end}.0{uid}.{code}", f"{kind}.{asset}.{end}"): assert answer(text) == required, text
                    P
                    /usr/bin/python3 $SCRATCH/former.py $MOUNT \(mount.library) $P
                    """
            try run("bash", "-c", script).check()
        }
    }

    @Test func `a user who may write and not read confirms no guess by setting an attribute`() throws {
        try runScript(
            Self.prelude + """
                alice sh -c 'printf 4711 > pin; chmod 622 pin; setfattr -n user.asset.caption -v secret pin; printf 4712 > pin'
                right=$(printf 4712 | sha256sum | cut -d' ' -f1); wrong=$(printf 4710 | sha256sum | cut -d' ' -f1)
                for pair in sha256=$right sha256=$wrong md5_now=$(printf 4712 | md5sum | cut -d' ' -f1) versions=2 versions=3 path=team/pin path=x duplicates= id=$(value id pin) user_id=5001 status=ready filename=pin; do
                    is "$pair $(said bob setfattr -n user.asset.${pair%%=*} -v "${pair#*=}" pin)" "$pair Permission denied"
                done
                # An error about the rotation would reveal the type.
                for degrees in 0 90; do is "$(said bob setfattr -n user.asset.rotate_degrees -v $degrees pin)" 'Permission denied'; done
                is "$(said bob setfattr -n user.asset.reprocess -v 1 pin)" 'Permission denied'
                # Users who may read the file may set a computed value to itself, as copying tools do; users
                # who may write to it may set descriptive fields.
                chmod 666 pin; is "$(said bob setfattr -n user.asset.sha256 -v $right pin)" accepted; is "$(said bob setfattr -n user.asset.sha256 -v $wrong pin)" 'Operation not supported'
                chmod 622 pin; is "$(said bob setfattr -n user.asset.caption -v new pin)" accepted; is "$(said alice setfattr -n user.asset.sha256 -v $right pin)" accepted
                # Only users who may read a folder learn whether it has policies.
                alice mkdir -m 733 drop; alice setfattr -n user.policy.max_size -v 5M drop
                for key in max_size quota; do is "$(said bob setfattr -x user.policy.$key drop)" 'Operation not permitted'; done
                is "$(said alice setfattr -x user.policy.quota drop)" 'No such attribute'; is "$(said alice setfattr -x user.policy.max_size drop)" accepted
                """
        )
    }

    @Test func `what a folder with a quota holds is its owner's and root's to know`() throws {
        try runScript(
            Self.prelude + """
                mkdir q; chown 5001 q; chmod 777 q; setfattr -n user.policy.quota -v 20000 q
                alice sh -c 'mkdir -m 700 q/c; head -c 3333 /dev/urandom > q/c/a; head -c 4444 /dev/urandom > q/c/b; rm q/c/b'
                cat > $SCRATCH/info.py <<'P'
                import json, os, sys
                quota, = json.loads(os.getxattr(sys.argv[1], "user.asset.info"))["quotas"]; print(*sorted(quota), quota["limit"], quota.get("files"), quota.get("trash"))
                P
                info() { "$@" /usr/bin/python3 $SCRATCH/info.py ${F:-q}; }
                is "$(info bob)" "folder limit 20000 None None"; all="alternatives attributes files folder former_contents held limit trash 20000 3333 4444"
                is "$(info alice)" "$all"; is "$(info env)" "$all"
                # Also through a folder of the user below it.
                bob mkdir q/own; is "$(F=q/own info bob)" "folder limit 20000 None None"; F=q/own info env | grep -q held
                whole='The folder “team/q” may hold 20000 and has no room for this; remove files of yours, or ask its owner for more room.'
                fails bob sh -c 'head -c 30000 /dev/urandom > q/z'; is "$(bob getfattr --only-values -n user.asset.error q)" "$whole"
                bob sh -c 'head -c 30000 /dev/urandom > big; echo x > q/x'; fails bob mv big q/big; is "$(bob getfattr --only-values -n user.asset.error q)" "$whole"
                head -c 40000 /dev/zero | tr '\\0' x > $SCRATCH/value; fails bob sh -c "setfattr -n user.comment -v \\$(cat $SCRATCH/value) q/x"; is "$(bob getfattr --only-values -n user.asset.error q/x)" "$whole"
                fails alice sh -c 'head -c 30000 /dev/urandom > q/y'; alice getfattr --only-values -n user.asset.error q | grep -q 'files 3335'
                """
        )
    }

    @Test func `a folder judges no contents for a user who may not read the file`() throws {
        try runScript(
            Self.prelude + """
                alice sh -c 'umask 077; for n in a b c d e; do echo "pin 4711" > .$n.part; done; for n in f g; do echo "pin 9999" > .$n.part; done; chmod 666 .e.part'
                bob sh -c 'mkdir pdf txt rej ret stay; setfattr -n user.policy.allowed_types -v application/pdf pdf; setfattr -n user.policy.forbidden_types -v text/plain txt; setfattr -n user.policy.duplicates -v REJECT rej
                    setfattr -n user.policy.duplicates -v RETURN_EXISTING ret; setfattr -n user.policy.overwrite -v false stay; for d in rej ret stay; do echo "pin 4711" > $d/x; done; chmod 777 rej ret pdf txt stay'
                one="Operation not permitted Files are judged by their contents here, and this file is not yours to read."
                for d in pdf txt rej ret; do for n in a f; do
                    is "$d $n $(said bob mv .$n.part $d/y) $(bob getfattr --only-values -n user.asset.error $d)" "$d $n $one"
                    bob setfattr -x user.asset.error $d
                done; done
                # By exchanging names.
                cat > $SCRATCH/ways.py <<'P'
                import ctypes, errno, os, sys
                libc = ctypes.CDLL(None, use_errno=True)
                for source in (".a.part", ".f.part"):
                    for first, second in ((source, "rej/x"), ("rej/x", source)):
                        assert libc.renameat2(-100, first.encode(), -100, second.encode(), 2) == -1 and ctypes.get_errno() == errno.EPERM, (first, second, ctypes.get_errno())
                P
                bob /usr/bin/python3 $SCRATCH/ways.py
                # A preserved name: the next number, whatever the content of the file.
                bob mv .b.part stay/x; bob mv .g.part stay/x; is "$(ls stay | tr '\\n' ' ')" "x x-1 x-2 "; is "$(cat stay/x-1 stay/x-2 | tr '\\n' ' ')" "pin 4711 pin 9999 "
                # While alice writes: the commit at her close would reveal it.
                alice sh -c 'umask 077; exec 5> .open.part; printf "pin 4711\\n" >&5; touch begun; until [ -e ended ]; do sleep .1; done; exec 5>&-' & until [ -e begun ]; do sleep .1; done
                is "$(said bob mv .open.part rej/z)" 'Operation not permitted'; touch ended; wait; is "$(alice cat .open.part)" "pin 4711"
                # Users who may read the file, its owner and root get the usual answers; and folders whose
                # policies check only names accept it.
                cat > $SCRATCH/rename.py <<'P'
                import os, sys
                try: os.rename(*sys.argv[1:])
                except OSError as error: print(error.strerror)
                P
                for pair in bob:e alice:c env:d; do is "$pair $(${pair%:*} /usr/bin/python3 $SCRATCH/rename.py .${pair#*:}.part rej/${pair#*:})" "$pair File exists"; done
                bob sh -c 'mkdir size; setfattr -n user.policy.max_size -v 1M size; setfattr -n user.policy.forbidden_types -v exe size'; bob mv .a.part size/a; alice test -e size/a
                """
        )
    }

    @Test func `fields are copied to another owner's file only from assets that its owner may read`() throws {
        try runScript(
            Self.prelude + """
                mkdir ret; chmod 777 ret; setfattr -n user.policy.duplicates -v RETURN_EXISTING ret
                bob sh -c 'umask 077; echo equal > ret/private; setfattr -n user.asset.caption -v of-bob ret/private'
                alice sh -c 'umask 077; echo equal > .one.part; echo equal > .two.part'
                mv .one.part ret/one; fails alice getfattr -n user.asset.caption ret/one
                bob chmod 644 ret/private; mv .two.part ret/two; is "$(alice getfattr --only-values -n user.asset.caption ret/two)" of-bob
                """
        )
    }

    @Test func `others cannot watch search for queries, and learn why one of theirs is none`() throws {
        try runScript(
            Self.prelude + """
                cat > $SCRATCH/watch.py <<'P'
                import ctypes, os, sys
                libc = ctypes.CDLL(None, use_errno=True); fd = libc.inotify_init1(0)
                print(os.strerror(ctypes.get_errno()) if libc.inotify_add_watch(fd, sys.argv[1].encode(), 0xfff) < 0 else "watched")
                P
                is "$(bob /usr/bin/python3 $SCRATCH/watch.py $MOUNT/search)" 'Permission denied'
                bob sh -c 'echo x > kiwi.txt'; is "$(bob ls $MOUNT/search/kiwi | sed 's/^[0-9]*-//')" kiwi.txt; is "$(bob $ASSETFS search --mount $MOUNT kiwi)" $T/kiwi.txt
                fails bob ls $MOUNT/search/size:big; is "$(bob getfattr --absolute-names --only-values -n user.asset.error $MOUNT | cut -c -5)" size:
                fails alice getfattr --absolute-names -n user.asset.error $MOUNT
                { bob $ASSETFS search --mount $MOUNT in:nowhere 2>&1 || true; } | grep -q 'there is no folder “nowhere”'
                """
        )
    }

    @Test func `a user who may write and not read learns of no embedded tag by setting or removing it`() throws {
        try withMountedLibrary(options: ["allow_other"]) { mount in
            try run("chmod", "755", mount.scratch).check()
            for (name, title) in [("tagged", "Trees"), ("plain", "")] {
                let bytes = MediaFile.pdf(pages: 1, title: title)
                try Data(bytes).write(to: URL(fileURLWithPath: "\(mount.scratch)/\(name).pdf"))
            }
            let script =
                scriptPrelude(mount) + Self.prelude + """
                    alice sh -c "cp $SCRATCH/tagged.pdf $SCRATCH/plain.pdf .; chmod 622 *.pdf"
                    is "$(value title tagged.pdf)" Trees; fails value title plain.pdf
                    cat > $SCRATCH/tags.py <<'P'
                    import errno, os, sys
                    def tried(call, *arguments):
                        try: call(*arguments); return "done"
                        except OSError as error: return errno.errorcode[error.errno]
                    def answers(path):
                        names = ("user.asset.title", "user.dublincore.title", "user.asset.keywords", "user.asset.photographer", "user.baloo.rating")
                        return [tried(os.setxattr, path, name, b"3", flag) for name in names for flag in (os.XATTR_CREATE, os.XATTR_REPLACE)] \\
                            + [tried(os.removexattr, path, name) for name in names]
                    def filled(path):
                        for size in (200, 15):
                            for number in range(400):
                                if (said := tried(os.setxattr, path, f"user.{number:0>{size}}", b"x")) != "done": break
                        return [said, tried(os.setxattr, path, "user.asset.title", b"x")]
                    print(*globals()[sys.argv[1]](sys.argv[2]))
                    P
                    for ask in answers filled; do
                        tagged=$(bob /usr/bin/python3 $SCRATCH/tags.py $ask tagged.pdf); is "$(bob /usr/bin/python3 $SCRATCH/tags.py $ask plain.pdf)" "$tagged"
                        case $ask in answers) is "$(echo $tagged | tr ' ' '\\n' | sort -u)" EACCES;; *) is "$tagged" "ENOSPC ENOSPC";; esac
                    done
                    # Users who may read the file get the usual answers, and setting a value without a
                    # condition needs no right to read.
                    alice sh -c "cp $SCRATCH/tagged.pdf again.pdf; chmod 666 again.pdf"; is "$(value title again.pdf)" Trees
                    is "$(bob /usr/bin/python3 $SCRATCH/tags.py answers again.pdf | cut -d' ' -f 1,2,11)" "EEXIST done done"
                    alice chmod 622 again.pdf; is "$(said bob setfattr -n user.asset.title -v new again.pdf)" accepted
                    """
            try run("bash", "-c", script).check()
        }
    }
}
