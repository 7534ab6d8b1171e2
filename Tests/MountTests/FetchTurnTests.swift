import Foundation
import TestSupport
import Testing

/// URLs are fetched for users in turn.
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
                            # Never answered in full, until the server ends.
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
}
