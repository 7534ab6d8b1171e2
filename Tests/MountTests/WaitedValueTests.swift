import Foundation
import TestSupport
import Testing

/// Values that a program requests before the metadata of the file is extracted.
struct WaitedValueTests {
    @Test func `a value comes from the worker that is there, however long another takes to begin`() throws {
        try withPlace { place in
            try run("bash", "-c", Self.script, environment: ["ASSETFS": assetfs, "PLACE": place]).check()
        }
    }

    /// The first ExifTool worker continues; all others wait as long as the mount exists.
    private static let script = """
        set -eu; mkdir "$PLACE/bin"; cp "$ASSETFS" "$PLACE/bin/assetfs"; mkfifo "$PLACE/gate"
        ln -s "$(dirname "$ASSETFS")"/*.so "$PLACE/bin/" 2> /dev/null || true
        cat > "$PLACE/bin/assetfs-worker" << END
        #!/bin/sh
        if [ "\\$1" = exiftool ]; then
            if ! /bin/mkdir "$PLACE/begun" 2> /dev/null; then echo > "$PLACE/held"; read gate < "$PLACE/gate"; fi
        fi
        exec "$ASSETFS-worker" "\\$@"
        END
        chmod 755 "$PLACE/bin/assetfs-worker"
        "$PLACE/bin/assetfs" mount "$PLACE/library" "$PLACE/one"
        trap 'umount "$PLACE/one"' EXIT
        ask() {
            cp /usr/share/pixmaps/debian-logo.png "$PLACE/one/folders/$1.png"; echo "$1" >> "$PLACE/one/folders/$1.png"
            [ "$(getfattr --only-values -n user.asset.width "$PLACE/one/folders/$1.png")" = 48 ] || { echo "no value of the file $1"; exit 1; }
        }
        ask first
        # A second worker starts when two requests wait at once.
        for number in $(seq 400); do
            ask "$number" & ask "beside $number"; wait $!
            if [ -e "$PLACE/held" ] && [ "$number" -ge 20 ]; then exit 0; fi
        done
        echo "no second worker has begun"; exit 1
        """
}
