import Foundation
import TestSupport
import Testing

struct EventTests {
    /// `events` prints the kinds of the events since its last call, with paths.
    private let helpers = """
        seen=0
        events() { $ASSETFS jobs --wait $MOUNT > /dev/null; tail -c +$((seen + 1)) uploads/events.jsonl > $SCRATCH/new; seen=$(stat -c %s uploads/events.jsonl)
            python3 -c 'import json, sys
        for line in open(sys.argv[1]):
            e = json.loads(line)
            if e.get("status"): continue
            print(e["event"].replace("file.", ""), e.get("path", "-"), *[e[k] if isinstance(e[k], str) else ",".join(e[k]) for k in ("outcome", "from", "changed", "reason") if k in e], sep=":", end=" ")' $SCRATCH/new; }

        """

    @Test func `what happens to files is told, in its order`() throws {
        try runScript(
            helpers + """
                mkdir folders/d; echo one > folders/a; events > $SCRATCH/out; is "$(cat $SCRATCH/out)" "uploaded:a:created "
                echo two > folders/a; echo two > folders/a; events > $SCRATCH/out; is "$(cat $SCRATCH/out)" "uploaded:a:replaced "
                setfattr -n user.asset.caption -v x folders/a; setfattr -x user.asset.caption folders/a; setfattr -n user.asset.access -v PRIVATE folders/a; events > $SCRATCH/out
                is "$(cat $SCRATCH/out)" "info_updated:a:user.asset.caption info_updated:a:user.asset.caption info_updated:a:user.asset.access "
                mv folders/a folders/d/b; mv folders/d folders/e; events > $SCRATCH/out; is "$(cat $SCRATCH/out)" "moved:d/b:a folder.moved:e:d "
                rm folders/e/b; id=$(ls trash | sed 's/-.*//'); mv trash/* folders/c; rm folders/c; rm trash/*; events > $SCRATCH/out; is "$(cat $SCRATCH/out)" "deleted:e/b restored:c deleted:c purged:c "
                setfattr -n user.policy.max_size -v 3 folders/e; fails bash -c "echo toolong > folders/e/x" ; events > $SCRATCH/out
                is "$(cat $SCRATCH/out)" "rejected:e/x:The maximum allowed upload file size is 3. "
                setfattr -n user.policy.store -v 0 folders/e; echo y > folders/e/y; setfattr -n user.asset.stored -v 1 folders/e/y; setfattr -n user.asset.expires -v $(date -u -d '+3 seconds' +%FT%TZ) folders/e/y
                for n in $(seq 1200); do grep -q file.expired uploads/events.jsonl && break; sleep 0.1; done; events > $SCRATCH/out
                is "$(cat $SCRATCH/out)" "uploaded:e/y:created stored:e/y info_updated:e/y:user.asset.expires expired:e/y "
                setfattr -n user.policy.overwrite -v false folders/e; echo 1 > folders/e/n; echo 2 > folders/e/n; events > $SCRATCH/out; is "$(cat $SCRATCH/out)" "uploaded:e/n:created uploaded:e/n-1:renamed "
                head -n 1 uploads/events.jsonl | grep -qE '^\\{"at":"[0-9T:.-]+Z","event":"file.uploaded","asset":1,"path":"a","uid":0,"outcome":"created","size":4,"sha256":"[0-9a-f]{64}"\\}$'
                is "$(stat -c %a uploads/events.jsonl)" 600; fails as 8 cat uploads/events.jsonl; fails bash -c "echo x > uploads/events.jsonl"
                """
        )
    }

    @Test func `events are followed and chosen`() throws {
        try runScript(
            """
            echo 1 > folders/a; tail -n +1 -f uploads/events.jsonl > $SCRATCH/tail & tail=$!; $ASSETFS events --follow --kind file.uploaded $MOUNT > $SCRATCH/cli & cli=$!
            trap 'kill -KILL $tail $cli 2> /dev/null' EXIT; sleep 0.5; echo 2 > folders/b; rm folders/a
            for n in $(seq 1200); do grep -q file.deleted $SCRATCH/tail && [ $(wc -l < $SCRATCH/cli) = 2 ] && break; sleep 0.1; done
            grep -q file.deleted $SCRATCH/tail; grep -q 'file.uploaded      b (created), asset 2' $SCRATCH/cli; is "$(wc -l < $SCRATCH/cli)" 2
            is "$($ASSETFS events --json --kind file.deleted $MOUNT | wc -l)" 1; is "$($ASSETFS events --since 1h --kind file.uploaded $MOUNT | wc -l)" 2
            """
        )
    }

    @Test func `a program is told of each event once, in order, and holds nobody up`() throws {
        try withScratch { scratch in
            let (root, library) = ("\(scratch)/mount", "\(scratch)/library")
            try shell(
                "mkdir \(root); echo 'cat >> \(scratch)/told; case $(tail -n 1 \(scratch)/told) in *slow*) sleep 1;; *bad*) exit 3;; esac' > \(scratch)/hook"
            ).check()
            let options = ["on_event=exec sh \(scratch)/hook"]
            func told(_ count: Int) throws -> [String] {
                for _ in 0..<1200 {
                    let text = (try? String(contentsOfFile: "\(scratch)/told", encoding: .utf8)) ?? ""
                    if text.split(separator: "\n").count >= count { break }
                    usleep(50_000)
                }
                return try String(contentsOfFile: "\(scratch)/told", encoding: .utf8).split(separator: "\n").map(
                    String.init
                )
            }
            // Events before a program is configured are reported to no program.
            try remount(library, on: root, scratch: scratch) { mount in
                try mount.write("before", [1])
                try run(assetfs, "jobs", "--wait", root).check()
            }
            try remount(library, on: root, scratch: scratch, options: options) { mount in
                try shell("for n in slow bad c d e; do echo $n > $n; done", in: mount.folders).check()
                let names = try told(10).filter { $0.contains("file.uploaded") }.map {
                    $0.contains("\"path\":\"slow\"")
                        ? "slow" : $0.contains("bad") ? "bad" : String($0.split(separator: "\"")[12])
                }
                #expect(names.count == 5 && names.first == "slow" && !names.contains { $0.contains("before") })
            }
            let lines = try told(0)
            #expect(Set(lines).count == lines.count)
            // An event that was not reported when the mount ended is reported by the next mount.
            try remount(library, on: root, scratch: scratch, options: options) { mount in try mount.write("last", [1]) }
            try remount(library, on: root, scratch: scratch, options: options) { mount in
                let all = try told(lines.count + 1)
                #expect(
                    all.count { $0.contains("\"path\":\"last\"") && $0.contains("uploaded") } == 1
                        && !all.contains { $0.contains("before") }
                )
            }
            try checkLibrary(library)
        }
    }
}
