import Foundation
import TestSupport
import Testing

/// URL fetches of several users run in turn.
@Suite(.serialized)
struct FetchTurnTests {
    @Test func `one user's URLs keep no other's waiting, however many they are and however long they take`() throws {
        try withMountedLibrary(options: ["allow_other", "fetch=private"]) { mount in
            try run("chmod", "755", mount.scratch).check()
            let script =
                scriptPrelude(mount) + """
                    cat > $SCRATCH/server.py <<'END'
                    import os, socket, sys, threading
                    listener = socket.create_server(("127.0.0.1", 0)); held = []; lock = threading.Lock()
                    def answer(connection):
                        path = connection.recv(65536).split(b" ")[1]
                        if path.startswith(b"/held"):
                            # The response stays incomplete until the server ends.
                            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 9\\r\\n\\r\\nx")
                            with lock: held.append(connection); open(sys.argv[1] + "/held", "a").write("held\\n")
                        else: connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"); connection.close()
                    open(sys.argv[1] + "/port.new", "w").write(str(listener.getsockname()[1])); os.rename(sys.argv[1] + "/port.new", sys.argv[1] + "/port")
                    while True: threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
                    END
                    /usr/bin/python3 $SCRATCH/server.py $SCRATCH & server=$!; trap 'kill -KILL $server' EXIT
                    until [ -e $SCRATCH/port ]; do sleep 0.01; done; URL=http://127.0.0.1:$(cat $SCRATCH/port); : > $SCRATCH/held
                    for user in 5001 5002; do mkdir folders/$user; chown $user:$user folders/$user; done
                    as 5002 bash -c "for n in \\$(seq 60); do setfattr -n user.asset.fetch -v $URL/held\\$n folders/5002; done"
                    until [ $(wc -l < $SCRATCH/held) -ge 2 ]; do sleep 0.01; done
                    for n in 1 2 3; do
                        as 5001 setfattr -n user.asset.fetch -v $URL/quick$n folders/5001; job=uploads/jobs/$(as 5001 getfattr --only-values -n user.asset.job folders/5001).json
                        for i in $(seq 400); do grep -q '"status":"success"' $job && break; sleep 0.05; done; grep -q '"status":"success"' $job; is "$(cat folders/5001/quick$n)" ok
                    done
                    is "$(wc -l < $SCRATCH/held)" 2
                    """
            try run("bash", "-c", script).check()
        }
    }

    /// A folder that alice, 5001, may write to, and a way to close it to her before the last byte has
    /// arrived.
    static let ways = [
        "mode": ("mkdir -m 777 folders/d", "chmod 755 folders/d"),
        "way": ("mkdir -p -m 777 folders/w folders/w/d; chmod 777 folders/w/d", "chmod 700 folders/w"),
        "list": ("mkdir -m 700 folders/d; setfacl -m u:5001:rwx folders/d", "setfacl -b folders/d"),
        "group": ("mkdir folders/d; chgrp 5100 folders/d; chmod 2775 folders/d", "chgrp 5101 folders/d"),
        "open": ("mkdir folders/d; chgrp 5100 folders/d; chmod 2770 folders/d", ""),
        "a group's list": ("mkdir -m 700 folders/d; setfacl -m g:5100:rwx folders/d", ""),
    ]

    @Test(arguments: ways.keys.sorted())
    func `a file that has come goes to no folder that was closed to its user meanwhile`(_ name: String) throws {
        let (make, close) = try #require(Self.ways[name])
        try withMountedLibrary(options: ["allow_other", "fetch=private"]) { mount in
            try run("chmod", "755", mount.scratch).check()
            let script =
                scriptPrelude(mount) + """
                    cat > $SCRATCH/server.py <<'END'
                    import os, socket, sys, time
                    listener = socket.create_server(("127.0.0.1", 0))
                    open(sys.argv[1] + "/port.new", "w").write(str(listener.getsockname()[1])); os.rename(sys.argv[1] + "/port.new", sys.argv[1] + "/port")
                    connection = listener.accept()[0]; connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\no"); open(sys.argv[1] + "/begun", "w")
                    while not os.path.exists(sys.argv[1] + "/go"): time.sleep(0.01)
                    connection.sendall(b"k"); connection.close()
                    END
                    /usr/bin/python3 $SCRATCH/server.py $SCRATCH & server=$!; trap 'kill -KILL $server 2> /dev/null || true' EXIT
                    until [ -e $SCRATCH/port ]; do sleep 0.01; done; URL=http://127.0.0.1:$(cat $SCRATCH/port)
                    \(make); D=$(ls -d folders/d folders/w/d 2> /dev/null || true)
                    alice() { setpriv --reuid 5001 --regid 5001 --groups 5100 "$@"; }
                    alice setfattr -n user.asset.fetch -v $URL/file $D; token=$(alice getfattr --only-values -n user.asset.job $D); job=uploads/jobs/$token.json
                    until [ -e $SCRATCH/begun ]; do sleep 0.01; done
                    \(close)
                    touch $SCRATCH/go; while grep -qE '"status":"(waiting|progress)"' $job; do sleep 0.01; done
                    if [ -z "\(close)" ]; then is "$(cat $D/file)" ok
                    else
                        is "$(ls -A $D)" ""; grep -q '"status":"error".*"errno":"EACCES"' $job; grep -q 'is closed to you' $job
                        grep -q "job.error.*$token" uploads/events.jsonl
                    fi
                    """
            try run("bash", "-c", script).check()
        }
    }
}
