import Foundation
@testable import LibraryRules
import TestSupport
import Testing

/// Fetches from nginx and from a server with invalid answers; both use local addresses, of which 127.0.0.1 is
/// allowed.
@Suite(.serialized)
struct FetchTests {
    private let servers = """
        mkdir -p $SCRATCH/www $SCRATCH/nginx; chmod 755 $SCRATCH/www; cp /usr/share/pixmaps/debian-logo.png $SCRATCH/www/photo.png; head -c 300000 /dev/urandom > $SCRATCH/www/big.bin
        cp $SCRATCH/www/photo.png "$SCRATCH/www/a b-ü.png"; : > $SCRATCH/www/empty
        cat > $SCRATCH/bad.py <<'END'
        import socket, sys, threading, time
        server = socket.create_server(("127.0.0.1", 0)); other = socket.create_server(("127.0.0.2", 0))
        ports = (server.getsockname()[1], other.getsockname()[1])
        def answer(connection):
            path = connection.recv(65536).split(b" ")[1].decode()
            say = lambda text: connection.sendall(text if isinstance(text, bytes) else text.encode())
            ok = "HTTP/1.1 200 OK\\r\\n"
            try:
                if path == "/cut": say(ok + "Content-Length: 1000000\\r\\n\\r\\n" + "x" * 5000)
                elif path == "/endless":
                    say(ok + "\\r\\n")
                    while True: say(b"x" * 65536)
                elif path == "/stall": say(ok + "Content-Length: 10\\r\\n\\r\\nx"); time.sleep(20)
                elif path == "/trickle":
                    say(ok + "Content-Length: 1000000\\r\\n\\r\\n")
                    try:
                        while True: say("x"); time.sleep(0.05)
                    finally: open(sys.argv[1] + "/closed", "a").write("closed\\n")
                elif path == "/silent": time.sleep(20)
                elif path == "/liar": say(ok + "Content-Length: 5\\r\\n\\r\\nhello, this is more than five")
                elif path == "/unknown": say(ok + "\\r\\nno length")
                elif path == "/chunked": say(ok + "Transfer-Encoding: chunked\\r\\n\\r\\n5\\r\\nhello\\r\\n0\\r\\n\\r\\n")
                elif path == "/cutchunk": say(ok + "Transfer-Encoding: chunked\\r\\n\\r\\n5\\r\\nhel")
                elif path == "/garbage": say(b"\\0\\1\\2 no HTTP at all\\r\\n\\r\\n")
                elif path == "/empty": pass
                elif path == "/headers":
                    say(ok)
                    for n in range(100000): say("X-%d: %s\\r\\n" % (n, "y" * 1000))
                elif path == "/part": say("HTTP/1.1 206 Partial Content\\r\\nContent-Length: 4\\r\\n\\r\\npart")
                elif path == "/nowhere": say("HTTP/1.1 302 Found\\r\\nContent-Length: 0\\r\\n\\r\\n")
                elif path == "/name": say(ok + "Content-Disposition: attachment; filename=\\"../../etc/pass wd-1.txt\\"; filename*=UTF-8''..%2F..%2Fgr%C3%BC%C3%9Fe%20x.txt\\r\\nContent-Length: 2\\r\\n\\r\\nhi")
                elif path == "/dots": say(ok + "Content-Disposition: attachment; filename=\\"...\\"\\r\\nContent-Length: 2\\r\\n\\r\\nhi")
            except OSError: pass
            connection.close()
        def serve(listener, log):
            while True:
                connection, _ = listener.accept()
                if log: open(sys.argv[1] + "/reached", "a").write("reached\\n")
                threading.Thread(target=answer, args=(connection,), daemon=True).start()
        threading.Thread(target=serve, args=(other, True), daemon=True).start()
        open(sys.argv[1] + "/ports", "w").write("%d %d\\n" % ports)
        serve(server, False)
        END
        python3 $SCRATCH/bad.py $SCRATCH 2> /dev/null & bad=$!
        NGINX=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
        cat > $SCRATCH/nginx/conf <<END
        daemon off; master_process off; pid $SCRATCH/nginx/pid; error_log $SCRATCH/nginx/errors; user root;
        events {}
        http {
            access_log $SCRATCH/nginx/access; client_body_temp_path $SCRATCH/nginx/1; proxy_temp_path $SCRATCH/nginx/2; fastcgi_temp_path $SCRATCH/nginx/3; uwsgi_temp_path $SCRATCH/nginx/4; scgi_temp_path $SCRATCH/nginx/5;
            server {
                listen 127.0.0.1:$NGINX; listen 127.0.0.2:$NGINX; root $SCRATCH/www; absolute_redirect off;
                location /to/ { rewrite ^/to/(.*) /\\$1 redirect; } location /loop { return 302 /loop; } location /away { return 302 http://127.0.0.2:$NGINX/photo.png; }
                location /mapped { return 307 http://[::ffff:127.0.0.2]:$NGINX/photo.png; } location /ftp { return 302 ftp://127.0.0.1/x; } location /file { return 302 file:///etc/passwd; }
                location /403 { return 403; } location /401 { return 401; } location /410 { return 410; } location /418 { return 418; } location /500 { return 500; } location /503 { return 503; }
                location /slow/ { alias $SCRATCH/www/; limit_rate 60k; } location /crawl/ { alias $SCRATCH/www/; limit_rate 3k; }
                location /named { add_header Content-Disposition 'attachment; filename="My Photo-1 (final).png"'; alias $SCRATCH/www/photo.png; }
            }
        }
        END
        nginx -p $SCRATCH/nginx -e $SCRATCH/nginx/errors -c $SCRATCH/nginx/conf 2> /dev/null & nginx=$!
        trap 'set +e; kill -KILL $bad $nginx; wait $bad $nginx 2> /dev/null' EXIT
        for n in $(seq 1200); do [ -s $SCRATCH/ports ] && [ -s $SCRATCH/nginx/pid ] && break; sleep 0.05; done
        read BAD OTHER < $SCRATCH/ports; N=http://127.0.0.1:$NGINX; B=http://127.0.0.1:$BAD
        member() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1])).get(sys.argv[2], ""))' $1 $2; }
        # Prints the path of the resulting file, or errno and code. FOLDER VALUE
        get() {
            setfattr -n user.asset.fetch -v "$2" folders/$1 || return 1; local job=uploads/jobs/$(value job folders/$1).json
            for n in $(seq 200); do case $(member $job status) in success) member $job filename; return;; error) echo "$(member $job errno) $(member $job error_code)"; return;; esac; sleep 0.05; done
            echo "no end: $(cat $job)"; }

        """

    private func runFetching(_ script: String, time: Int = 20, _ name: String = #function) throws {
        try withMountedLibrary(name, options: ["allow_other", "fetch=127.0.0.1/32", "fetch_time=\(time)"]) { mount in
            try run("chmod", "755", mount.scratch).check()
            try run("bash", "-c", scriptPrelude(mount) + servers + script).check()
        }
    }

    @Test func `what is fetched is an upload like any other`() throws {
        try runFetching(
            """
            mkdir folders/d; is "$(get d $N/photo.png)" d/photo.png; cmp folders/d/photo.png $SCRATCH/www/photo.png; is "$(get d $N/big.bin)" d/big.bin; cmp folders/d/big.bin $SCRATCH/www/big.bin
            is "$(value source_url folders/d/photo.png)" $N/photo.png; is "$(getfattr --only-values -n user.xdg.origin.url folders/d/photo.png)" $N/photo.png
            is "$(get d "$N/a%20b-%C3%BC.png?x=1#y")" d/ab.png; is "$(value original_filename folders/d/ab.png)" "a b-ü.png"; is "$(get d $N/named)" "d/MyPhoto1final.png"
            is "$(get d "$(printf "$N/photo.png\\nfilename=Mein Bild.png\\nmetadata[client]=ACME")")" "d/Mein Bild.png"; is "$(value meta.client "folders/d/Mein Bild.png")" ACME
            is "$(get d $B/name)" d/grex.txt; is "$(get d $B/dots)" d/original; is "$(get d $B/unknown)" d/unknown; is "$(cat folders/d/unknown)" "no length"; is "$(get d $B/chunked)" d/chunked; is "$(cat folders/d/chunked)" hello
            is "$(get d $N/to/to/photo.png)" d/photo.png; is "$(get d $N/empty)" d/empty; [ ! -s folders/d/empty ]; is "$(get d $B/liar)" d/liar; is "$(cat folders/d/liar)" hello
            # A name that is taken, under the policies of the folder.
            id=$(value id folders/d/photo.png); cp $SCRATCH/www/big.bin $SCRATCH/www/photo.png; is "$(get d $N/photo.png)" d/photo.png; is "$(value id folders/d/photo.png)" $id; is "$(value versions folders/d/photo.png)" 2
            setfattr -n user.policy.overwrite -v false folders/d; is "$(get d $N/photo.png)" d/photo.png; echo new > $SCRATCH/www/photo.png; is "$(get d $N/photo.png)" d/photo-1.png; is "$(value versions folders/d/photo.png)" 2
            # An equal file with a number counts as the result.
            is "$(get d $N/photo.png)" d/photo-1.png; is "$(ls folders/d | grep -c photo)" 2
            setfattr -n user.policy.access -v PRIVATE folders/d; is "$(get d "$(printf "$N/photo.png\\nfilename=p.png")")" d/p.png; is "$(stat -c %a folders/d/p.png)" 600
            tail -n 1 uploads/receipts.jsonl | grep -q '"outcome":"created".*"path":"d/p.png"'; grep -q '"event":"job.success".*"path":"d/p.png"' uploads/events.jsonl
            """
        )
    }

    @Test func `each failure has its errno, its code and its words`() throws {
        try runFetching(
            """
            mkdir folders/d folders/small; setfattr -n user.policy.max_size -v 100K folders/small
            for case in "$N/nothing.png=ENOENT DownloadFileHTTPClientError" "$N/410=ENOENT DownloadFileHTTPClientError" "$N/401=EACCES DownloadFileHTTPClientError" "$N/403=EACCES DownloadFileHTTPClientError" "$N/418=EREMOTEIO DownloadFileHTTPClientError" \\
                "$N/500=EREMOTEIO DownloadFileHTTPServerError" "$N/503=EREMOTEIO DownloadFileHTTPServerError" "$N/loop=ELOOP URLRedirectsLimitExceededError" "$N/ftp=EPROTONOSUPPORT URLSchemeInvalidError" "$N/file=EPROTONOSUPPORT URLSchemeInvalidError" \\
                "$B/cut=ECONNRESET DownloadFileHTTPNetworkError" "$B/cutchunk=ECONNRESET DownloadFileHTTPNetworkError" "$B/empty=ECONNRESET DownloadFileHTTPNetworkError" "$B/garbage=EREMOTEIO DownloadFileError" "$B/headers=ECONNRESET DownloadFileHTTPNetworkError" \\
                "$B/part=EREMOTEIO DownloadFileHTTPClientError" "$B/nowhere=EREMOTEIO DownloadFileHTTPClientError" "$B/stall=ETIMEDOUT DownloadFileTimeLimitExceededError" "$B/silent=ETIMEDOUT DownloadFileTimeLimitExceededError" "$N/crawl/big.bin=ETIMEDOUT DownloadFileTimeLimitExceededError" \\
                "http://a..b/x=EHOSTUNREACH HostnameNotFoundError" "http://127.0.0.1:1/x=ECONNREFUSED DownloadFileHTTPNetworkError" "http://127.0.0.1:99999/x=EINVAL URLParsingFailedError" "https://127.0.0.1:$NGINX/photo.png=EREMOTEIO DownloadFileError"; do
                is "$(get d "${case%=*}")" "${case#*=}"; done
            is "$(get small $B/endless)" "EFBIG DownloadFileSizeLimitExceededError"; is "$(get small $N/big.bin)" "EFBIG DownloadFileSizeLimitExceededError"
            is "$(ls -A folders/d folders/small | grep -v : | tr -d '\\n')" ""; is "$(value error folders/small)" "Downloaded file is too big: more than 102400 bytes."
            $ASSETFS jobs $MOUNT | grep -q 'error .*crawl'
            # Errors that are found before any request.
            says() { local said; said=$(setfattr -n user.asset.fetch -v "$2" folders/d 2>&1) && exit 1; case $said in *"$1") ;; *) echo "$2: $said" >&2; exit 1;; esac; }
            says 'Invalid argument' photo.png; is "$(value error folders/d)" "No URL scheme supplied."; says 'Protocol not supported' ftp://127.0.0.1/x; says 'Invalid argument' 'http://a<b/x'; is "$(value error folders/d)" "URL host is malformed: “a<b”."; says 'Invalid argument' http:///x; is "$(value error folders/d)" "No URL host supplied."
            says 'Invalid argument' "$N/a b"; says 'Invalid argument' "$(printf "$N/x\\nfilename=a/b")"; says 'Invalid argument' "$(printf "$N/x\\nwhat=1")"; says 'Invalid argument' "$(printf "$N/x\\nmetadata[a b]=1")"
            echo x > folders/f; fails setfattr -n user.asset.fetch -v $N/photo.png folders/f; mkdir collections/c; fails setfattr -n user.asset.fetch -v $N/photo.png collections/c
            # Policies of the folder for uploads.
            is "$(get d $N/photo.png)" d/photo.png; setfattr -n user.policy.duplicates -v REJECT folders/d; is "$(get d "$(printf "$N/photo.png\\nfilename=again.png")")" "EEXIST DuplicateFileError"
            setfattr -n user.policy.forbidden_types -v exe folders/d; is "$(get d "$(printf "$N/photo.png\\nfilename=a.exe")")" "EPERM FileTypeForbiddenError"; setfattr -n user.policy.quota -v 100K folders/d; is "$(get d $N/big.bin)" "EDQUOT AccountLimitsExceededError"
            is "$(get d "$(printf "$N/photo.png\\nfilename=x.part")")" "EINVAL DownloadFileValidationFailedError"; is "$(ls -A folders/d)" photo.png
            """,
            time: 2
        )
    }

    @Test func `an address that is not allowed is refused before anything is sent to it`() throws {
        try runFetching(
            """
            mkdir folders/d; private="EACCES URLHostPrivateIPForbiddenError"
            for host in 127.0.0.2 2130706434 0x7f000002 0177.0.0.2 127.2 '[::ffff:127.0.0.2]' '[::ffff:7f00:2]' '[64:ff9b::7f00:2]' 0 0.0.0.0 '[::1]' '[::]'; do is "$(get d http://$host:$OTHER/photo.png)" "$private"; done
            for host in 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 255.255.255.255 '[fe80::1]' '[fc00::1]' '[fd12::1]' '[ff02::1]' '[2001:db8::1]' '[2002:7f00:2::]' '[2001::1]' '[::7f00:2]'; do
                is "$(get d http://$host/)" "$private"; done
            is "$(get d $N/away)" "$private"; is "$(get d $N/mapped)" "$private"
            [ ! -e $SCRATCH/reached ]; is "$(grep -c photo.png $SCRATCH/nginx/access || true)" 0; is "$(ls folders/d)" ""
            grep -q 'the host is at ::ffff:127.0.0.2' uploads/jobs/$(value job folders/d).json
            """
        )
    }

    @Test func `URLs that were fetched before, other people's jobs, and many at once`() throws {
        try runFetching(
            """
            mkdir folders/d folders/e; check=$(printf "$N/photo.png\\ncheck_URL_duplicates=1"); is "$(get d $N/photo.png)" d/photo.png; is "$(get e "$check")" e/photo.png; is "$(get d "$check")" e/photo.png
            is "$(get d "$(printf "$N/big.bin\\nsave_URL_duplicates=1")")" d/big.bin; is "$(get e "$(printf "$N/big.bin\\ncheck_URL_duplicates=1\\nsave_URL_duplicates=0")")" d/big.bin; rm folders/d/big.bin; is "$(get e "$(printf "$N/big.bin\\ncheck_URL_duplicates=1")")" e/big.bin
            chmod 777 folders/d; as 8 setfattr -n user.asset.fetch -v "$(printf "$N/photo.png\\nfilename=eight.png")" folders/d; token=$(as 8 getfattr --only-values -n user.asset.job folders/d)
            for n in $(seq 1200); do [ -e folders/d/eight.png ] && break; sleep 0.05; done; is "$(stat -c '%u %a' folders/d/eight.png)" "8 644"; as 8 cat uploads/jobs/$token.json > /dev/null; fails as 9 cat uploads/jobs/$token.json; fails as 8 ls uploads/jobs
            chmod 755 folders/d; fails as 8 setfattr -n user.asset.fetch -v $N/photo.png folders/d
            for n in $(seq 40); do cp $SCRATCH/www/photo.png $SCRATCH/www/many$n.png; echo $n >> $SCRATCH/www/many$n.png; done
            is "$($ASSETFS fetch $(for n in $(seq 40); do echo $N/many$n.png; done) folders/e | wc -l)" 40; for n in $(seq 40); do cmp folders/e/many$n.png $SCRATCH/www/many$n.png; done
            $ASSETFS fetch $N/nothing folders/e 2> $SCRATCH/err && exit 1; grep -q 'HTTP client error: 404. (ENOENT)' $SCRATCH/err; fails $ASSETFS fetch ftp://x/ folders/e; fails $ASSETFS fetch $N/x /tmp
            is "$($ASSETFS fetch --no-wait $N/photo.png folders/e | wc -c)" 37
            # Removing the state file of a fetch cancels it.
            setfattr -n user.asset.fetch -v $B/trickle folders/e; job=uploads/jobs/$(value job folders/e).json; sleep 0.5; is "$(member $job status)" progress; fails as 9 rm -f $job; rm $job; [ ! -e $job ]
            for n in $(seq 1200); do [ -e $SCRATCH/closed ] && break; sleep 0.05; done; [ -e $SCRATCH/closed ]; [ ! -e folders/e/trickle ]; fails touch uploads/jobs/x
            echo x > folders/secret; chmod 600 folders/secret; id=$(value id folders/secret); stat uploads/jobs/extraction-$id.json > /dev/null; fails as 8 stat uploads/jobs/extraction-$id.json; echo x > folders/open; as 8 stat uploads/jobs/extraction-$(value id folders/open).json > /dev/null
            """
        )
    }

    @Test func `what was under way goes on after a remount, and after a kill`() throws {
        try withScratch { scratch in
            let (root, library) = ("\(scratch)/mount", "\(scratch)/library")
            try run("mkdir", root).check()
            for ending in ["umount", "kill"] {
                let mount = "$ASSETFS mount -o fetch=127.0.0.1/32 \(library) $MOUNT"
                let end =
                    ending == "umount"
                    ? "$ASSETFS umount $MOUNT"
                    : "pkill -KILL -f '[a]ssetfs mount .*\(library)'; sleep 0.2; umount -l -i $MOUNT"
                try shell(
                    """
                    set -eu; ASSETFS=\(assetfs); MOUNT=\(root); SCRATCH=\(scratch)
                    value() { getfattr --only-values -n user.asset.$1 $2 2> /dev/null; }
                    is() { [ "$1" = "$2" ] || { echo "“$1” is not “$2”" >&2; exit 1; }; }
                    \(servers)
                    \(mount); cd /; trap 'set +e; kill -KILL $bad $nginx; wait $bad $nginx 2> /dev/null; umount -l $MOUNT 2> /dev/null' EXIT
                    mkdir -p $MOUNT/folders/d; setfattr -n user.asset.fetch -v "$(printf "$N/slow/big.bin\\nfilename=\(ending).bin")" $MOUNT/folders/d; job=uploads/jobs/$(value job $MOUNT/folders/d).json
                    for n in $(seq 100); do [ "$(member $MOUNT/$job done)" != "" ] && [ "$(member $MOUNT/$job done)" -gt 0 ] && break; sleep 0.05; done; is "$(member $MOUNT/$job status) $(member $MOUNT/$job total)" "progress 300000"
                    is "$(ls $MOUNT/folders/d | grep -c \(ending) || true)" 0; sync $MOUNT/folders; sleep 1.2; \(end); \(mount)
                    for n in $(seq 1200); do [ "$(member $MOUNT/$job status)" = success ] && break; sleep 0.05; done; cmp $MOUNT/folders/d/\(ending).bin $SCRATCH/www/big.bin
                    # The end of the mount does not wait for a fetch that still receives bytes.
                    setfattr -n user.asset.fetch -v $B/trickle $MOUNT/folders/d; sleep 0.5; timeout -s KILL 10 $ASSETFS umount $MOUNT
                    """
                ).check()
                try checkLibrary(library)
            }
        }
    }

    @Test func `root fetches for the user whose folder it is`() throws {
        try runFetching(
            """
            mkdir -m 755 folders/alice; chown 5001:5003 folders/alice; mkdir -m 1777 folders/all
            is "$(get alice $N/photo.png)" alice/photo.png; is "$(stat -c '%u %g %a' folders/alice/photo.png)" "5001 5003 644"; is "$(get all $N/photo.png)" all/photo.png; is "$(stat -c %u folders/all/photo.png)" 0
            # Only root may read the state: a URL may contain secrets.
            fails as 5001 cat uploads/jobs/$(value job folders/alice).json
            # Alice keeps her file, and a file that she may not write to is not replaced.
            id=$(value id folders/alice/photo.png); cp $SCRATCH/www/big.bin $SCRATCH/www/photo.png; is "$(get alice $N/photo.png)" alice/photo.png; is "$(value id folders/alice/photo.png) $(stat -c %u folders/alice/photo.png)" "$id 5001"
            echo bob > folders/alice/big.bin; chown 5002:5002 folders/alice/big.bin; is "$(get alice $N/big.bin)" alice/big-1.bin; is "$(cat folders/alice/big.bin) $(stat -c %u folders/alice/big.bin folders/alice/big-1.bin | xargs)" "bob 5002 5001"
            # Another object that takes the name: a link is not followed, a fifo is not opened, and the folder
            # is the one of the request.
            for kind in "ln -s /etc/hostname" mkfifo mkdir; do rm -rf folders/alice/x; as 5001 $kind folders/alice/x; timeout -s KILL 60 $ASSETFS fetch --filename x $N/photo.png folders/alice > $SCRATCH/out 2>&1 || true; [ ! -f folders/alice/x ] || [ -L folders/alice/x ]; done
            mkdir -m 700 folders/bobs; chown 5002 folders/bobs; setfattr -n user.asset.fetch -v "$(printf "$N/slow/big.bin\nfilename=moved.bin")" folders/alice; as 0 mv folders/alice folders/else; ln -s bobs folders/alice
            for n in $(seq 1200); do [ -e folders/else/moved.bin ] && break; sleep 0.05; done; cmp folders/else/moved.bin $SCRATCH/www/big.bin; is "$(ls -A folders/bobs)" ""
            """
        )
    }

    @Test func `nobody waits for URLs that a mount leaves to another`() throws {
        try withScratch { scratch in
            let (root, library) = ("\(scratch)/mount", "\(scratch)/library")
            try run("mkdir", root).check()
            // A server that accepts connections and never sends a byte.
            let silent = """
                import socket, sys, time
                server = socket.create_server(("127.0.0.1", 0)); open(sys.argv[1], "w").write(str(server.getsockname()[1])); time.sleep(600)
                """
            let server = Process()
            server.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
            server.arguments = ["-c", silent, "\(scratch)/port"]
            try server.run()
            defer { kill(server.processIdentifier, SIGKILL) }
            try remount(library, on: root, scratch: scratch, options: ["fetch=127.0.0.1/32"]) { mount in
                let script = """
                    while [ ! -s \(scratch)/port ]; do sleep 0.05; done; mkdir d
                    setfattr -n user.asset.fetch -v http://127.0.0.1:$(cat \(scratch)/port)/x d
                    timeout -s KILL 2 \(assetfs) jobs --wait \(root); [ $? = 137 ]
                    """
                try shell(script, in: mount.folders).check()
            }
            try remount(library, on: root, scratch: scratch) { _ in
                let said = try shell("timeout -s KILL 30 \(assetfs) jobs --wait \(root)").check().output
                #expect(said.contains("This mount fetches no URLs; one with -o fetch will."))
                #expect(said.hasSuffix("0 to be done, 1 failed.\n"))
            }
            // The state is kept.
            try remount(library, on: root, scratch: scratch, options: ["fetch=127.0.0.1/32"]) { mount in
                let said = try shell("cat uploads/jobs/*.json", in: mount.root).check().output
                #expect(said.contains(#""status":"progress""#) || said.contains(#""status":"waiting""#))
            }
        }
    }

    @Test func `a mount that does not allow it fetches nothing`() throws {
        try runScript(
            """
            mkdir folders/d; fails setfattr -n user.asset.fetch -v http://127.0.0.1:1/x folders/d
            is "$(value error folders/d)" "This mount fetches no URLs; mount it with -o fetch to allow that."; fails value job folders/d; is "$(ls uploads/jobs)" ""
            """
        )
    }
}
