import Foundation
import TestSupport
import Testing

/// The programs of `on_event` get each event whole.
struct LongEventTests {
    @Test func `a program gets a line of any length whole, and one that reads nothing holds nothing up`() throws {
        try withScratch { scratch in
            let (root, library) = ("\(scratch)/mount", "\(scratch)/library")
            try shell("mkdir \(root)").check()
            let hook = "on_event=[ ! -e \(scratch)/deaf ] || exit 0; cat >> \(scratch)/told"
            try remount(library, on: root, scratch: scratch, options: [hook]) { mount in
                let script =
                    scriptPrelude(mount) + """
                        /usr/bin/python3 - <<'END'
                        import os
                        folder = os.open("folders", os.O_RDONLY)
                        for n in range(60): os.mkdir("\\x01" * 250, dir_fd=folder); folder = os.open("\\x01" * 250, os.O_RDONLY, dir_fd=folder)
                        file = os.open("long", os.O_CREAT | os.O_WRONLY, dir_fd=folder); os.write(file, b"l"); os.close(file)
                        END
                        echo x > folders/last; until grep -q '"path":"last"' $SCRATCH/told; do sleep 0.02; done
                        [ $(wc -L < $SCRATCH/told) -gt 20000 ]; /usr/bin/python3 -c 'import json, sys; [json.loads(line) for line in open(sys.argv[1])]' $SCRATCH/told
                        grep -v status uploads/events.jsonl > $SCRATCH/all; grep -v status $SCRATCH/told | cmp - $SCRATCH/all
                        # A program that exits without reading is not an error.
                        touch $SCRATCH/deaf; mv folders/last folders/moved; rm $SCRATCH/deaf; echo y > folders/end; until grep -q '"path":"end"' $SCRATCH/told; do sleep 0.02; done
                        """
                try run("bash", "-c", script).check()
            }
        }
    }
}
