import Foundation
import TestSupport
import Testing

/// Commands that process all files and folders of all users.
@Suite(.serialized)
struct DeepFolderTests {
    private let deep = """
        F=$MOUNT/folders; mkdir $F/a $F/b; chown 5001:5001 $F/a; chown 5002:5002 $F/b
        few() { (ulimit -n 512; "$@"); }

        """

    @Test func `a folder of more levels than descriptors ends no command, and all files are found in their order`()
        throws
    {
        try runScript(
            deep + """
                # Every twentieth level lists one file after the folder: for that file the folder above must
                # be opened again.
                as 5002 /usr/bin/python3 - $F/b <<'END'
                import os, sys
                folder = os.open(sys.argv[1], os.O_RDONLY)
                for n in range(900):
                    if n % 20 == 0: file = os.open("z", os.O_CREAT | os.O_WRONLY, dir_fd=folder); os.write(file, b"%d" % n); os.close(file)
                    os.mkdir("d", dir_fd=folder); next = os.open("d", os.O_RDONLY, dir_fd=folder); os.close(folder); folder = next
                END
                as 5001 sh -c "echo one > $F/a/1; echo two > $F/a/2"; echo c > $F/c
                is "$(few $ASSETFS describe -r --caption k $F)" "48 of 48 files described."; is "$(value caption $F/c)" k; is "$(value caption $F/b/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/z)" k
                is "$(few $ASSETFS export $F $SCRATCH/out)" "48 of 48 files exported."; is "$(cat $SCRATCH/out/a/2)" two; is "$(cat $SCRATCH/out/b/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/z)" 20
                """
        )
    }

    @Test func `a folder that cannot be listed is named, and all others are gone through`() throws {
        try runScript(
            deep + """
                chmod 777 $F; as 5001 mkdir -m 755 $F/a/open; as 5001 sh -c "echo one > $F/a/open/1"; as 5002 sh -c "mkdir -m 700 $F/b/closed; echo two > $F/b/closed/2"; as 5002 mkdir -m 711 $F/b/hidden
                as 5001 sh -c "echo z > $F/z"; chown 5001 $F/z; status=0; as 5001 $ASSETFS describe -r --caption k $F > $SCRATCH/out 2> $SCRATCH/err || status=$?
                is $status 1; is "$(cat $SCRATCH/out)" "2 of 2 files described."; for name in closed hidden; do grep -q "b/$name cannot be listed: Permission denied" $SCRATCH/err; done
                is "$(value caption $F/a/open/1)$(value caption $F/z)" kk
                """
        )
    }

    @Test func `holes stay holes in exported copies`() throws {
        try runScript(
            """
            /usr/bin/python3 - folders/s.bin folders/end.bin <<'END'
            import os, sys
            file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY); os.pwrite(file, b"begin", 0); os.pwrite(file, b"middle", 100 << 20); os.ftruncate(file, 256 << 20); os.close(file)
            file = os.open(sys.argv[2], os.O_CREAT | os.O_WRONLY); os.ftruncate(file, 255 << 20); os.pwrite(file, b"end", 255 << 20); os.close(file)
            END
            head -c 3000000 /dev/urandom > folders/full; : > folders/none; mkdir $SCRATCH/out; is "$($ASSETFS export folders/* $SCRATCH/out)" "4 of 4 files exported."
            for name in s.bin end.bin full none; do cmp folders/$name $SCRATCH/out/$name; done
            for name in s.bin end.bin; do [ $(stat -c %b $SCRATCH/out/$name) -lt 4096 ]; done
            """
        )
    }
}
