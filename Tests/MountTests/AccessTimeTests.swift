import Foundation
import TestSupport
import Testing

/// Access times, as set by the mount options.
struct AccessTimeTests {
    private let functions = """
        set -eu; umask 022
        accessed() { stat -c %.9X "$1"; }
        later() { [ "$(printf '%s\\n%s\\n' "$1" "$2" | sort -n | tail -n 1)" = "$2" ] && [ "$1" != "$2" ]; }
        is() { [ "$1" = "$2" ] || { echo "line ${BASH_LINENO[0]}: “$1” is not “$2”" >&2; exit 1; }; }

        """

    private func script(_ text: String, _ options: [String], _ name: String = #function) throws {
        try withMountedLibrary(name, options: options) { mount in
            try run("bash", "-c", functions + "cd \(mount.folders)\n" + text).check()
        }
    }

    @Test func `relatime moves the time of access at the first reading after a change`() throws {
        try script(
            """
            echo x > f; before=$(accessed f); cat f > /dev/null; first=$(accessed f); later $before $first
            cat f > /dev/null; is "$(accessed f)" $first
            echo y >> f; changed=$(stat -c %.9Z f); cat f > /dev/null; later $first "$(accessed f)"; is "$(stat -c %.9Z f)" $changed
            # An access time older than a day is updated.
            touch -a -d 2001-01-01 f; cat f > /dev/null; later 978307300 "$(accessed f)"
            touch -a -d 2031-01-01 f; is "$(accessed f | cut -c1-3)" 192; cat f > /dev/null; is "$(accessed f | cut -c1-3)" 192
            echo z > g; before=$(accessed g); dd if=g iflag=noatime status=none > /dev/null; is "$(accessed g)" $before
            """,
            []
        )
    }

    @Test func `noatime and strictatime are what they say`() throws {
        try script(
            """
            echo x > f; before=$(accessed f); cat f > /dev/null; is "$(accessed f)" $before
            """,
            ["noatime"]
        )
        try script(
            """
            echo x > f; cat f > /dev/null; first=$(accessed f); cat f > /dev/null; later $first "$(accessed f)"
            """,
            ["strictatime"]
        )
    }

    @Test func `a time of access is there at the next mount`() throws {
        try withScratch("accessed") { scratch in
            let (root, library) = (scratch + "/mount", scratch + "/library")
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            var before = ""
            try remount(library, on: root, scratch: scratch) { mount in
                before = try shell("cd \(mount.folders); echo x > f; cat f > /dev/null; stat -c '%.9X %.9Z' f").check()
                    .output
            }
            try remount(library, on: root, scratch: scratch) { mount in
                let after = try run("stat", "-c", "%.9X %.9Z", mount.path("f")).check().output
                #expect(after == before)
            }
        }
    }
}
