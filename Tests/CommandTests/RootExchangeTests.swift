import Foundation
import TestSupport
import Testing

/// Commands of root on names that a user exchanges in a loop for links, fifos, folders, and other users'
/// files.
@Suite(.serialized)
struct RootExchangeTests {
    @Test(arguments: ["", "strace -f -qq -o /dev/null -e trace=openat2 -e inject=openat2:error=ENOSYS"])
    func `names that turn into something else meanwhile lead to no other user's file`(wrapper: String) throws {
        try withMountedLibrary("names", options: ["allow_other", "fetch=127.0.0.1/32"]) { mount in
            try run("chmod", "755", mount.scratch).check()
            let python = """
                import ctypes, os, sys, time
                # Each name is in turn a file, a link to another file, a fifo and a folder; and a folder
                # becomes a link.
                library = ctypes.CDLL(None, use_errno=True); place, stop = sys.argv[1:]; done = 0
                def exchange(one, other): library.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2)
                while done < 2000 or not os.path.exists(stop) and os.path.exists(os.path.dirname(stop)):
                    for name in ("link", "fifo", "folder"): exchange(place + "/x", place + "/x." + name)
                    exchange(place + "/in", place + "/in.other"); done += 1
                    # The commands need the processor, too, and go through most of their steps in between.
                    time.sleep(0.001)
                print(done, flush=True); os._exit(0)
                """
            try python.write(toFile: "\(mount.scratch)/turn.py", atomically: true, encoding: .utf8)
            let wrap = wrapper.isEmpty ? "" : wrapper + " "
            let script =
                scriptPrelude(mount) + """
                    R="\(wrap)$ASSETFS"; A="as 5001"; B="as 5002"; F=$MOUNT/folders; chmod 1777 $F; mkdir -m 777 $SCRATCH/stop; mkdir -m 700 $SCRATCH/www; echo fetched > $SCRATCH/www/y
                    /usr/bin/python3 -m http.server --bind 127.0.0.1 --directory $SCRATCH/www 0 > $SCRATCH/port 2>&1 & server=$!; trap 'touch $SCRATCH/stop/now; kill -KILL $server; wait' EXIT
                    for n in $(seq 200); do P=$(grep -o 'port [0-9]*' $SCRATCH/port | cut -d' ' -f2) && break; sleep 0.05; done
                    $B mkdir -m 700 $F/b $F/b/in; $B sh -c "echo SECRET > $F/b/s.txt"; $B setfattr -n user.asset.caption -v bobs $F/b/s.txt; getfattr -n user.asset.md5_now $F/b/s.txt > /dev/null
                    $A mkdir -p $F/t/in $F/t/x.folder; $A sh -c "echo alice > $F/t/x; ln -s $F/b/s.txt $F/t/x.link; mkfifo $F/t/x.fifo; ln -s $F/b/in $F/t/in.other"; a=$(value id $F/t/x); b=$(value id $F/b/s.txt)
                    said() { getfattr -d $F/b $F/b/in; getfattr -d -m - $F/b/s.txt; getfattr --only-values -n user.asset.info $F/b/s.txt | sed 's/"click_count.*"status"//'; ls -lAR --time-style=full-iso $F/b; }
                    said > $SCRATCH/before 2>&1
                    setpriv --reuid 5001 --regid 5001 --clear-groups /usr/bin/python3 $SCRATCH/turn.py $F/t $SCRATCH/stop/now > $SCRATCH/turned & turner=$!
                    # A command may fail; it must exit, and print nothing of the file of bob.
                    try() { local status=0; timeout -s KILL 60 $R "$@" >> $SCRATCH/out 2>&1 || status=$?; [ $status -lt 128 ] && [ $status != 124 ] || { echo "no end: $*" >&2; exit 1; }; }
                    for round in $(seq \(wrapper.isEmpty ? 6 : 3)); do
                        try describe --caption turned $F/t/x; try describe --rotate 90 $F/t/x; try describe -r --title turned --reprocess $F/t; try info --json $F/t/x; try info $F/t/x; try sign $F/t/x; try sign --upload $F/t/in
                        try explain $F/t/x; try policy $F/t/in max_size=1M; try policy $F/t/in; try export --force $F/t/x $SCRATCH/copy; try export --force $F/t $SCRATCH/copies; try fetch http://127.0.0.1:$P/y $F/t/in; try group $F/t/x; rm -rf $SCRATCH/copies; mkdir $SCRATCH/copies
                        try trash $MOUNT; try jobs $MOUNT; try status $MOUNT
                    done
                    # Each time the name may have been another object; at least once it was the file of alice.
                    until grep -q signed/read $SCRATCH/out; do try sign $F/t/x; done
                    touch $SCRATCH/stop/now; wait $turner; [ "$(cat $SCRATCH/turned)" -ge 2000 ]
                    said 2>&1 | diff $SCRATCH/before -; ! grep -rq 'SECRET\\|bobs' $SCRATCH/out $SCRATCH/copy 2> /dev/null
                    # Each signed file belongs to alice.
                    is "$(grep -o 'signed/read[^/]*' $SCRATCH/out | cut -d. -f2 | sort -u)" $a; for box in $(grep -o '/[^ ]*/signed/upload[^/]*/' $SCRATCH/out | sort -u); do echo z > $box/z; done; is "$(ls -A $F/b/in)" ""
                    """
            try run("bash", "-c", script).check()
        }
    }
}
