import Foundation
import TestSupport
import Testing

/// Commands of root in folders of users: no prepared link or folder leads them elsewhere.
@Suite(.serialized)
struct RootCommandTests {
    /// `says WORDS COMMAND` expects a failure with words on stderr.
    private let says = """
        says() { if "${@:2}" > $SCRATCH/said 2>&1; then echo "this succeeded: ${*:2}" >&2; cat $SCRATCH/said >&2; exit 1; fi
            grep -q -e "$1" $SCRATCH/said || { echo "line ${BASH_LINENO[0]}: $(cat $SCRATCH/said)" >&2; exit 1; }; }
        A="as 5001"; B="as 5002"; F=$MOUNT/folders; chmod 1777 $F
        id() { value id "$1"; }

        """

    @Test func `restore acts with the rights of the file's owner, and follows no link`() throws {
        try runScript(
            says + """
                mkdir -m 755 $SCRATCH/host; $A mkdir -p $F/a/evil $F/b $F/own/x; $A sh -c "echo pwn > $F/a/evil/f; echo alias > $F/b/.bashrc; echo mine > $F/own/x/m"
                f=$(id $F/a/evil/f); b=$(id $F/b/.bashrc); m=$(id $F/own/x/m); $A rm -r $F/a $F/b $F/own
                # A link in the place of a folder, and a closed folder of another user.
                $A ln -s $SCRATCH/host $F/a; $B mkdir -m 700 $F/b
                says 'links in a mount\\|symbolic link' $ASSETFS restore --mount $MOUNT $f; says "owner may not write\\|Permission denied" $ASSETFS restore --mount $MOUNT $b
                is "$(ls -A $SCRATCH/host $F/b)" "$(printf '%s:\\n\\n%s:' $SCRATCH/host $F/b)"; is "$(ls trash | wc -l)" 3
                # Folders that are created again belong to the owner.
                $ASSETFS restore --mount $MOUNT $m; is "$(stat -c '%u %g %a' $F/own $F/own/x | uniq)" "5001 5001 755"; is "$(cat $F/own/x/m)" mine
                # Root may choose another folder, and links there are not followed either.
                $B chmod 755 $F/b; mkdir $F/found; $ASSETFS restore --mount $MOUNT --to $F/found $b; is "$(stat -c %u $F/found/.bashrc)" 5001
                says 'no folder of' $ASSETFS restore --mount $MOUNT --to $F/a $f; says 'not in the trash' $ASSETFS restore $F/found/.bashrc
                # A folder named trash is not the trash.
                $A mkdir $F/trash; $A sh -c "echo x > $F/trash/5-x"; says 'not in the trash' $ASSETFS restore $F/trash/5-x
                rm $F/a; $A $ASSETFS restore --mount $MOUNT $f; is "$(cat $F/a/evil/f)" pwn
                """
        )
    }

    @Test func `a file comes back to where its owner may write, by a group or by being anybody`() throws {
        try runScript(
            says + """
                mkdir -m 1777 $F/all; mkdir -m 755 $F/roots; echo r > $F/roots/r; chown daemon:daemon $F/roots/r; $A sh -c "echo a > $F/all/a"
                a=$(id $F/all/a); r=$(id $F/roots/r); $A rm $F/all/a; rm $F/roots/r
                $ASSETFS restore --mount $MOUNT $a; is "$(cat $F/all/a)" a; says 'may not write' $ASSETFS restore --mount $MOUNT $r
                chgrp daemon $F/roots; says 'may not write' $ASSETFS restore --mount $MOUNT $r
                chmod 775 $F/roots; $ASSETFS restore --mount $MOUNT $r; is "$(cat $F/roots/r)" r; is "$(stat -c '%U %G' $F/roots/r)" "daemon daemon"
                # The rights of one owner are not used for the file of the next.
                rm $F/all/a $F/roots/r; chmod 755 $F/roots; says 'may not write' $ASSETFS restore --mount $MOUNT $a $r; is "$(cat $F/all/a)" a; [ ! -e $F/roots/r ]
                """
        )
    }

    @Test func `describe and export go through no link and open no fifo`() throws {
        try runScript(
            says + """
                $B mkdir -m 700 $F/b; $B sh -c "echo secret > $F/b/s.txt"; mkdir $SCRATCH/host $SCRATCH/out; echo host > $SCRATCH/host/h.txt
                $A mkdir -p $F/t/sub; $A sh -c "echo one > $F/t/1.txt; echo two > $F/t/sub/2.txt; ln -s $F/b $F/t/b; ln -s $SCRATCH/host $F/t/host; ln -s $F/b/s.txt $F/t/s.txt"
                $A mkfifo $F/t/fifo; mknod $F/t/null c 1 3; as 5001 /usr/bin/python3 -c "import socket; s = socket.socket(socket.AF_UNIX); s.bind('$F/t/socket')"
                timeout 20 $ASSETFS describe -r --caption seen $F/t > $SCRATCH/out.txt 2> $SCRATCH/err; is "$(cat $SCRATCH/out.txt)" "2 of 2 files described."
                for kind in 'fifo is a fifo' 'socket is a socket' 'null is a device' 'host is a symbolic link' 's.txt is a symbolic link'; do grep -q "$kind" $SCRATCH/err; done
                is "$(value caption $F/t/sub/2.txt)" seen; fails getfattr -n user.asset.caption $F/b/s.txt
                for path in t/b/s.txt t/host/h.txt t/s.txt; do
                    says 'link' timeout 20 $ASSETFS describe --caption x $F/$path; says 'link' timeout 20 $ASSETFS info $F/$path; says 'link' timeout 20 $ASSETFS export $F/$path $SCRATCH/out
                    says 'link\\|not below' timeout 20 $ASSETFS sign $F/$path; says 'link' timeout 20 $ASSETFS group $F/$path
                done
                says 'link' $ASSETFS policy $F/t/b max_size=1K; says 'link' $ASSETFS fetch http://192.0.2.1/ $F/t/b; says link $ASSETFS explain $F/t/b/new
                fails getfattr -n user.asset.caption $F/b/s.txt; fails getfattr -n user.policy.max_size $F/b
                for kind in fifo socket null; do says "is a \\(fifo\\|socket\\|device\\)" timeout 20 $ASSETFS export $F/t/$kind $SCRATCH/out; says 'is a' timeout 20 $ASSETFS describe --caption x $F/t/$kind; done
                timeout 20 $ASSETFS export $F/t $SCRATCH/out 2> /dev/null; is "$(cd $SCRATCH/out; find . -type f | sort | xargs)" "./t/1.txt ./t/sub/2.txt"
                # A link in the path before the mount belongs to the caller, and the links of search/ belong
                # to the mount.
                ln -s $MOUNT $SCRATCH/way; $ASSETFS describe --caption kiwi $SCRATCH/way/folders/t/1.txt; is "$(value caption $F/t/1.txt)" kiwi
                $ASSETFS export search/kiwi/*-1.txt $SCRATCH/out; is "$(cat $SCRATCH/out/*-1.txt)" one
                # Paths outside a mount are refused.
                says 'not below an assetfs mount' $ASSETFS export $SCRATCH/host/h.txt $SCRATCH/out
                # Another filesystem below the mount is not a part of it.
                mkdir $F/disk; mount -t tmpfs none $F/disk; trap "umount $F/disk" EXIT; echo foreign > $F/disk/x; says 'mount' $ASSETFS export $F/disk/x $SCRATCH/out
                ! $ASSETFS export $F/disk $SCRATCH/out/y; [ ! -e $SCRATCH/out/y ]
                """
        )
    }

    @Test func `export writes below the folder that was named, and over nothing`() throws {
        try runScript(
            says + """
                mkdir -p $F/t/sub $SCRATCH/host; echo one > $F/t/1.txt; echo two > $F/t/sub/2.txt; mkdir -m 777 $SCRATCH/out; echo kept > $SCRATCH/host/1.txt
                $A ln -s $SCRATCH/host $SCRATCH/out/t; says 'symbolic link' $ASSETFS export --force $F/t $SCRATCH/out; $A rm $SCRATCH/out/t
                $A mkdir $SCRATCH/out/t; $A ln -s $SCRATCH/host $SCRATCH/out/t/sub; $A ln -s $SCRATCH/host/1.txt $SCRATCH/out/t/1.txt
                says 'there already' $ASSETFS export $F/t $SCRATCH/out; says 'symbolic link' $ASSETFS export --force $F/t $SCRATCH/out
                # The link is replaced, and not its target.
                is "$(ls -A $SCRATCH/host; cat $SCRATCH/host/1.txt)" "$(printf '1.txt\\nkept')"; [ ! -L $SCRATCH/out/t/1.txt ]; is "$(cat $SCRATCH/out/t/1.txt)" one
                $A rm $SCRATCH/out/t/sub; $A mkfifo $SCRATCH/out/t/sub; says 'a fifo' timeout 20 $ASSETFS export --force $F/t $SCRATCH/out
                $A rm $SCRATCH/out/t/sub; $ASSETFS export --force $F/t $SCRATCH/out; is "$(cat $SCRATCH/out/t/sub/2.txt)" two; is "$(find $SCRATCH/out -name '.assetfs*')" ""
                # Missing parent folders are created.
                $ASSETFS export $F/t/1.txt $SCRATCH/out/p/q/r.txt; is "$(cat $SCRATCH/out/p/q/r.txt)" one; cd $SCRATCH; $ASSETFS export $F/t/1.txt here.txt; is "$(cat here.txt)" one
                """
        )
    }

    @Test(arguments: ["", "strace -f -qq -o /dev/null -e trace=openat2 -e inject=openat2:error=ENOSYS"])
    func `folders that turn into links meanwhile lead nowhere`(wrapper: String) throws {
        try withMountedLibrary("turning", options: ["allow_other"]) { mount in
            try run("chmod", "755", mount.scratch).check()
            let python = """
                import ctypes, os, sys, time
                # Each in two places: a name that is a folder becomes a link a moment later.
                library = ctypes.CDLL(None, use_errno=True)
                def turn(places, rounds, stop):
                    done = 0
                    while done < rounds or not os.path.exists(stop) and os.path.exists(os.path.dirname(stop)) and done < 200 * rounds:
                        for place in places:
                            library.renameat2(-100, os.fsencode(place), -100, os.fsencode(place + ".other"), 2)
                        done += 1; time.sleep(0.001)
                    print(done, flush=True); os._exit(0)
                """
            try python.write(toFile: "\(mount.scratch)/turn.py", atomically: true, encoding: .utf8)
            let wrap = wrapper.isEmpty ? "" : wrapper + " "
            let script =
                scriptPrelude(mount) + says + """
                    R="\(wrap)$ASSETFS"; O=$SCRATCH/outside; mkdir -m 755 $O $O/in; for n in 1 2 3 4; do echo SECRET > $O/$n.txt; echo SECRET > $O/in/$n.txt; done; chmod 600 $O/*.txt
                    mkdir -m 777 $SCRATCH/dest; $A mkdir -p $F/t/sub/in $SCRATCH/dest/t/sub; for n in 1 2 3 4; do $A sh -c "echo a$n > $F/t/sub/$n.txt; echo b$n > $F/t/sub/in/$n.txt; echo c$n > $F/t/sub/in/gone$n"; done
                    ids=$(for n in 1 2 3 4; do value id $F/t/sub/in/gone$n; echo; done); $A rm $F/t/sub/in/gone*
                    $A ln -s $O $F/t/sub.other; $A ln -s $O $SCRATCH/dest/t/sub.other; find $O -printf '%p %s %T@ %C@ %m %U\\n' | sort > $SCRATCH/before
                    $A touch $SCRATCH/dest/x; chmod 777 $SCRATCH/dest
                    setpriv --reuid 5001 --regid 5001 --clear-groups /usr/bin/python3 -c "import sys; sys.path.insert(0, '$SCRATCH'); import turn; turn.turn(['$F/t/sub', '$SCRATCH/dest/t/sub'], 2000, '$SCRATCH/dest/stop')" > $SCRATCH/turned & turner=$!
                    # A test that fails must leave no process running.
                    trap "touch $SCRATCH/dest/stop; wait" EXIT
                    for round in $(seq \(wrapper.isEmpty ? 6 : 3)); do
                        $R describe -r --caption turned $F/t > /dev/null 2>&1 || true; $R export --force $F/t $SCRATCH/dest > /dev/null 2>&1 || true
                        $R describe --caption turned $F/t/sub/1.txt > /dev/null 2>&1 || true; $R export --force $F/t/sub/1.txt $SCRATCH/one > /dev/null 2>&1 || true
                        $R restore --mount $MOUNT $ids > /dev/null 2>&1 || true; $A rm -f $F/t/sub/in/gone* $F/t/sub.other/in/gone*
                        ! grep -rq SECRET $SCRATCH/dest/ $SCRATCH/one 2> /dev/null || { echo "a file outside was exported" >&2; exit 1; }
                    done
                    touch $SCRATCH/dest/stop; wait $turner; [ "$(cat $SCRATCH/turned)" -ge 2000 ]
                    find $O -printf '%p %s %T@ %C@ %m %U\\n' | sort | diff $SCRATCH/before -
                    """
            try run("bash", "-c", script).check()
        }
    }
}
