@testable import LibraryRules
import TestSupport
import Testing

/// The free space of statfs(2) reveals no content of other users: alice is 5001, bob 5002.
struct FreeSpaceTests {
    private static let prelude = """
        alice() { as 5001 "$@"; }; bob() { as 5002 "$@"; }
        for user in 5001 5002; do mkdir -m 755 folders/$user; chown $user:$user folders/$user; done
        A=$MOUNT/folders/5001; B=$MOUNT/folders/5002; N=8388608
        # The kernel reports the last close(2) of a file later: until then a removed file keeps its blocks.
        released() { while ls -l /proc/$DAEMON/fd | grep -q 'library/.*(deleted)$'; do sleep .01; done; }
        free() { released; sync -f folders; stat -f -c '%a %S' folders | { read blocks size; echo $((blocks * size)); }; }
        # The change of the free space by a command, in contents of N bytes: the growth of the catalog itself
        # is less than a quarter of one.
        moved() { local before=$(free); "$@"; echo $(( ($(free) - before + 100 * N + N / 2) / N - 100 )); }

        """

    /// Mounts a library on a disk that no other program writes to.
    private func withDisk(_ name: String = #function, _ body: (MountedLibrary) throws -> Void) throws {
        try withScratch(name) { disk in
            try run("mount", "-t", "tmpfs", "none", disk).check()
            defer { _ = try? run("umount", "-l", disk) }
            try run("chmod", "755", disk).check()
            try withMountedLibrary(name, options: ["allow_other"], in: disk) { mount in
                try run("chmod", "755", mount.scratch).check()
                try body(mount)
            }
        }
    }

    @Test func `what is free moves by a content's size, whether the library has it already or not`() throws {
        try withDisk { mount in
            try run(
                "bash",
                "-c",
                scriptPrelude(mount) + Self.prelude + """
                    cd $SCRATCH; for n in known new shared; do head -c $N /dev/urandom > $n; done; chmod 644 known new shared; cd $MOUNT
                    alice sh -c "umask 077; cat $SCRATCH/known > $A/k"; alice sh -c "cat $SCRATCH/shared > $A/s"
                    purge() { rm trash/$1-*; while [ -n "$(ls trash | grep "^$1-")" ]; do sleep .1; done; sleep 1; }
                    for n in known new; do
                        is "$n arrives: $(moved bob cp $SCRATCH/$n $B/$n)" "$n arrives: -1"
                        id=$(value id $B/$n); is "$n is removed: $(moved bob rm $B/$n)" "$n is removed: 1"
                        is "$n comes back: $(moved bob mv trash/$id-$n $B/$n)" "$n comes back: -1"
                        is "$n is rewritten: $(moved bob sh -c "echo x > $B/$n")" "$n is rewritten: 1"
                        bob cp $SCRATCH/$n $B/$n.2; id=$(value id $B/$n.2); bob rm $B/$n.2
                        is "$n is purged: $(moved purge $id)" "$n is purged: 0"
                        is "$n by a temporary name: $(moved bob cp $SCRATCH/$n $B/.$n.Ab12Cd)" "$n by a temporary name: -1"
                        is "$n is renamed: $(moved bob mv $B/.$n.Ab12Cd $B/$n)" "$n is renamed: 0"
                    done
                    # Content that bob may read is stored once, and he may know that.
                    is "$(moved bob cp $SCRATCH/shared $B/s)" 0
                    # The removal by the other user frees as much as if that user were alone.
                    is "alice: $(moved alice rm $A/k)" "alice: 1"; is "bob: $(moved bob rm $B/known)" "bob: 1"
                    """
            ).check()
        }
    }

    @Test func `of several copies the last gives a content's size back, whether the library has it already or not`()
        throws
    {
        try withDisk { mount in
            try run(
                "bash",
                "-c",
                scriptPrelude(mount) + Self.prelude + """
                    cd $SCRATCH; for n in known new; do head -c $N /dev/urandom > $n; done; chmod 644 known new; cd $MOUNT
                    alice sh -c "umask 077; cat $SCRATCH/known > $A/k"
                    clone() { bob /usr/bin/python3 -c "
                    import os, sys
                    source, target = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
                    assert os.copy_file_range(source, target, $N) == $N" $1 $2; }
                    for n in known new; do
                        is "$n arrives: $(moved bob cp $SCRATCH/$n $B/$n)" "$n arrives: -1"
                        is "$n once more: $(moved bob cp $SCRATCH/$n $B/$n.2)" "$n once more: 0"
                        is "$n cloned: $(moved clone $B/$n $B/$n.3)" "$n cloned: 0"
                        is "$n goes: $(moved bob rm $B/$n)" "$n goes: 0"
                        is "$n again: $(moved bob cp $SCRATCH/$n $B/$n.4)" "$n again: 0"
                        is "$n.2 goes: $(moved bob rm $B/$n.2)" "$n.2 goes: 0"; is "$n.3 goes: $(moved bob rm $B/$n.3)" "$n.3 goes: 0"
                        is "$n.4 goes: $(moved bob rm $B/$n.4)" "$n.4 goes: 1"
                        is "$n comes: $(moved bob mv trash/*-$n.2 $B/$n)" "$n comes: -1"; is "$n goes: $(moved bob rm $B/$n)" "$n goes: 1"
                    done
                    # The removal by the first user frees as much as if that user were alone.
                    for n in 5 6; do bob cp $SCRATCH/known $B/$n; done
                    is "alice: $(moved alice rm $A/k)" "alice: 1"; is "bob: $(moved bob rm $B/5)" "bob: 0"; is "bob: $(moved bob rm $B/6)" "bob: 1"
                    """
            ).check()
        }
    }
}
