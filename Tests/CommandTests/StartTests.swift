import Foundation
import TestSupport
import Testing

/// Mounts by callers with closed descriptors, low limits and odd names.
@Suite(.serialized)
struct StartTests {
    /// Functions that the scripts share: `says N WORDS COMMAND` expects a status and words on stderr;
    /// `daemon` is the process that serves `lib`.
    static let prelude = """
        set -eu; is() { [ "$1" = "$2" ] || { echo "line ${BASH_LINENO[0]}: “$1” is not “$2”" >&2; exit 1; }; }
        daemon() { pgrep -o -f "[a]ssetfs mount.* $PWD/${1:-lib} "; }
        says() { local s=0; "${@:3}" 2> said || s=$?
            [ $s = $1 ] && grep -q -e "$2" said || { echo "line ${BASH_LINENO[0]}: status $s, $(cat said)" >&2; exit 1; }; }
        mounts() { awk -v p="$PWD/$1" '$5 == p' /proc/self/mountinfo | wc -l; }

        """

    private func script(_ text: String, _ name: String = #function) throws {
        try withPlace(name) { path in
            try shell("ASSETFS=\(assetfs); " + Self.prelude + text, in: path).check()
        }
    }

    @Test(arguments: ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
    func `closed standard descriptors change nothing`(closed: String) throws {
        try script(
            """
            $ASSETFS mount -o on_event='cat > \\(told); cat >> $PWD/told' $PWD/lib $PWD/one \(closed); echo new > one/folders/new
            is "$(cat one/folders/new)" new; ! flock -n lib/lock true
            for n in 0 1; do is "$(readlink /proc/$(daemon)/fd/$n)" /dev/null; done; is "$(readlink /proc/$(daemon)/fd/2)" $PWD/lib/assetfs.log
            $ASSETFS describe one/folders/new --caption A \(closed); $ASSETFS export one/folders/new copy \(closed); cmp copy one/folders/new
            $ASSETFS umount one \(closed); flock -n lib/lock true
            $ASSETFS mount $PWD/lib $PWD/one; is "$(cat one/folders/new)" new; $ASSETFS umount one
            """.replacingOccurrences(of: "cat > \\(told); ", with: "")
        )
    }

    @Test func `a library that its own mount would hide is refused, and nothing is made`() throws {
        try script(
            """
            mkdir -p photos/deep bound; ln -s photos link; mount --bind photos bound; trap 'umount bound' EXIT
            refused() { says 9 "$1" timeout -s KILL 60 $ASSETFS mount "${@:2}"; is "$(mounts photos)$(mounts one)$(mounts bound)" 001; }
            refused 'would be hidden by the mount' photos/.library photos
            refused 'would be hidden by the mount' link/a/.. photos/; refused 'would be hidden' photos/deep link
            refused 'would be hidden by the mount' photos photos; refused 'would be hidden' bound/lib photos; refused 'would be hidden' photos bound
            is "$(ls -A photos)" deep
            refused "which is assetfs's alone" photos photos/deep
            refused 'The store .* is in the mountpoint' lib photos -o store=a:$PWD/photos/deep
            refused 'are in one another' lib one -o store=a:$PWD/lib/store; [ ! -e lib ]
            $ASSETFS mount lib one; mkdir one/folders/sub
            says 9 'is in the assetfs mount' $ASSETFS mount one/folders/sub/lib two; says 9 'is in the assetfs mount' $ASSETFS mount one/folders/sub two
            says 9 'is in the assetfs mount' $ASSETFS mount other two -o store=a:$PWD/one/folders/sub; is "$(mounts two)" 0; [ ! -e other ]
            $ASSETFS umount one
            """
        )
    }

    @Test func `links, dots and slashes lead all commands to one mount`() throws {
        try script(
            """
            ln -s one link; ln -s link chain; mkdir work; ln -s lib library
            $ASSETFS mount library link; is "$(mounts one)" 1; says 7 'mounted on it already' $ASSETFS mount lib chain/
            echo x > chain/folders/x; $ASSETFS status ./link/ > status; case $($ASSETFS sign chain/folders/x) in $PWD/one/signed/*) ;; *) exit 1;; esac
            cd work; $ASSETFS umount ..//chain/../link/; cd ..; is "$(mounts one)" 0
            for name in link chain/ ./one//; do
                $ASSETFS mount lib $name; kill -9 $(pgrep -f "[a]ssetfs mount lib $name"); while [ -d one/folders ]; do sleep 0.01; done
                (cd link && $ASSETFS mount $OLDPWD/lib $PWD) 2> /dev/null || $ASSETFS mount lib $name; is "$(mounts one)" 1; is "$(cat one/folders/x)" x; $ASSETFS umount $name
            done
            $ASSETFS mount lib link; kill -9 $(pgrep -f "[a]ssetfs mount lib link"); while [ -d one/folders ]; do sleep 0.01; done
            $ASSETFS umount chain; is "$(mounts one)" 0; says 10 'No assetfs is mounted' $ASSETFS umount link
            mkdir gone; cd gone; rmdir ../gone; $ASSETFS mount $OLDPWD/lib $OLDPWD/one; says() { :; }
            ! $ASSETFS umount one 2> ../said 3>&1; $ASSETFS umount $OLDPWD/one; cd ..; is "$(mounts one)" 0
            """
        )
    }

    @Test func `paths that are not UTF-8 are taken as they are by all commands`() throws {
        try script(
            #"""
            b=$(printf '\xe9'); n=$(printf 'caf\xe9 \xf4\x8f\xba\x80.txt'); mkdir "m$b"; M=$PWD/m$b; L=$PWD/l$b; trap 'umount -l "$M" 2> /dev/null || true' EXIT
            $ASSETFS mount "$L" "$M"; echo "hello cafe" > "$M/folders/$n"; mkdir "$M/folders/d$b"; echo inner > "$M/folders/d$b/i$b"
            $ASSETFS info "$M/folders/$n" > out; grep -q SHA-256 out; $ASSETFS describe "$M/folders/$n" --caption cafe > out
            $ASSETFS policy "$M/folders/d$b" max_size=5M > out; $ASSETFS explain "$M/folders/d$b/$n" | grep -q 'new asset'; $ASSETFS explain "$M/folders/$n" | grep -q 'new version'
            $ASSETFS export "$M/folders/$n" "$M/folders/d$b" . > out; cmp "$n" "$M/folders/$n"; is "$(cat "d$b/i$b")" inner; $ASSETFS export "$M/folders/$n" "out$b" --sidecar > out; [ -e "out$b.xmp" ]
            raw() { "$ASSETFS" "$@" | tr '\0' '\n'; }; is "$(raw search -0 --mount "$M" cafe | od -c)" "$(echo "$M/folders/$n" | od -c)"
            is "$(printf %b "$($ASSETFS search --mount "$M" cafe)" | od -c)" "$(printf %s "$M/folders/$n" | od -c)"
            [ -e "$(raw sign -0 "$M/folders/$n")" ]; is "$(raw create -0 "$M" | od -c)" "$(echo "$M/resources/3" | od -c)"; [ -d "$(raw group -0 "$M/folders/$n")" ]
            says 1 'not mounted with\|does not allow\|not allowed\|-o fetch' $ASSETFS fetch http://example.org/ "$M/folders/d$b"
            for c in status jobs receipts events scrub; do $ASSETFS $c "$M" > out; done; mv "$M/folders/$n" "$M/folders/d$b/"; is "$(getfattr --absolute-names --only-values -n user.asset.path "$M/folders/d$b/$n")" "d$b/$n"; rmdir "$M"/collections/*; rm "$M/folders/d$b/$n"
            $ASSETFS trash "$M" | grep -q '^1 '; is "$(raw restore -0 --mount "$M" 1 | od -c)" "$(echo "$M/folders/d$b/$n" | od -c)"
            rm "$M/folders/d$b/$n"; $ASSETFS restore "$M"/trash/1-* > out; is "$(cat "$M/folders/d$b/$n")" "hello cafe"
            $ASSETFS umount "$M"; ! $ASSETFS umount "$M" 2> said; [ -e "$L/catalog.sqlite" ]; is "$(stat -c %a "$L")" 700
            $ASSETFS mount "$L" "$M"; kill -9 $(pgrep -f "[a]ssetfs mount $PWD/l"); while [ -d "$M/folders" ]; do sleep 0.01; done; $ASSETFS mount "$L" "$M"; $ASSETFS umount "$M"
            touch "file$b"; says 4 "Not a directory" $ASSETFS mount "file$b" "$M"; mkdir "other$b"; touch "other$b/x"; says 3 "not an assetfs library" $ASSETFS mount "other$b" "$M"
            """#
        )
    }

    @Test func `limits of the caller end nothing, or are refused with a sentence`() throws {
        try script(
            """
            echo 'ulimit $1 $2; shift 2; exec setpriv --bounding-set -sys_resource --inh-caps -sys_resource "$@"' > little.sh; little="bash little.sh"
            $little -Sf 100 $ASSETFS mount lib one; head -c 3M /dev/zero > one/folders/a; is "$(stat -c %s one/folders/a)" 3145728; $ASSETFS umount one
            $little -f 65536 $ASSETFS mount lib one; ! head -c 65M /dev/zero > one/folders/b 2> said; grep -q 'File too large' said
            echo c > one/folders/c; is "$(cat one/folders/c)" c; $ASSETFS umount one
            for limit in '-s 100' '-n 1000' '-c 0'; do $little $limit $ASSETFS mount lib one; find one > /dev/null; echo d > one/folders/d; $ASSETFS umount one; done
            # A message that cannot be written changes no status and ends no other process.
            status=0; $little -f 0 $ASSETFS mount lib one 2> said || status=$?; is "$status" 1
            status=0; $ASSETFS mount nowhere/lib none 2> /dev/full || status=$?; is "$status" 6
            for size in 100 65535; do says 1 "at most $((size * 1024)) bytes (ulimit -f)" $little -f $size $ASSETFS mount lib one; done
            says 1 'ulimit -n' $little -n 40 $ASSETFS mount lib one; says 1 'ulimit -v' $little -v 300000 $ASSETFS mount lib one; says 1 'ulimit -v, -d' $little -d 50000 $ASSETFS mount lib one
            says 1 'ulimit -v, -d' $little -v 1000000 $ASSETFS mount lib one; says 1 'ulimit -i' $little -i 0 $ASSETFS mount lib one
            is "$(mounts one)" 0
            """
        )
    }

    @Test func `neither umask nor environment of the caller matter`() throws {
        try script(
            """
            umask 000; env -i LC_ALL=nonsense TZ=Nowhere $(printf 'ODD=\\xe9') $ASSETFS mount -o on_event='cat >> '$PWD/told lib one; echo x > one/folders/x; sync one/folders/x
            is "$(find lib -type f -perm /077; find lib -type d -perm /077)" ""; is "$(stat -c %a one/folders/x)" 666
            tr '\\0' '\\n' < /proc/$(pgrep -f "[a]ssetfs mount -o on_event=cat >> $PWD/told")/environ | grep -q -a "$(printf 'ODD=\\xe9')"
            for n in $(seq 1200); do [ -s told ] && break; sleep 0.05; done; is "$(stat -c %a told)" 666; env -i $ASSETFS umount one
            umask 777; $ASSETFS mount lib one; umask 022; is "$(cat one/folders/x)" x; $ASSETFS umount one
            """
        )
    }

    @Test func `a daemon that dies before its mount answers is a failure, and leaves no mount`() throws {
        try script(
            """
            # The daemon is killed at its first reply: its /dev/fuse is open, and no request was answered.
            s=0; timeout 60 strace -f -qq -o trace -e inject=writev:signal=KILL:when=1 -P /dev/fuse $ASSETFS mount lib one 2> said || s=$?
            [ $s != 0 ] && [ $s != 124 ]; grep -q 'assetfs: ' said; is "$(mounts one)" 0; flock -w 20 lib/lock true
            $ASSETFS mount lib one; $ASSETFS umount one
            """
        )
    }
}
