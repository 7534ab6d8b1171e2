import Testing

/// A way in which a program replaces the content of a file.
struct SavePattern: CustomTestStringConvertible, Sendable {
    /// The name of the program, and the special feature of this call.
    let testDescription: String
    /// The preparation, in the folder of the file.
    var prepare = "true"
    /// The command that replaces the content of `doc.txt`, `one`, by `two`: it runs in the folder of the
    /// file, with the new content in `$NEW/doc.txt` and a folder for other files in `$WORK`.
    let save: String
    /// Whether the program keeps further files in the folder, and removes some of them.
    var keepsOthers: Bool { testDescription.hasPrefix("git") }

    /// Whether the command can run again after the file has its former content again.
    var canRepeat: Bool { prepare == "true" && !save.contains(" init ") }

    init(_ description: String, prepare: String = "true", _ save: String) {
        testDescription = description
        self.prepare = prepare
        self.save = save
    }
}

private let vim = "vim -Nu NONE -i NONE -es -c 'set"
private let restic = "restic -q -r $WORK/repository --no-cache"
private let python = "python3 -c 'import os, sys\n"

private let twoBranches = """
    git init -q . && git config user.name t && git config user.email t@t && git add doc.txt && git commit -qm one &&
    git branch one && echo two >doc.txt && git commit -qam two && git branch two && git checkout -q one
    """

/// Real programs, and the system calls of those that need a screen.
let savePatterns: [SavePattern] = [
    // Editors
    SavePattern("vim, backupcopy=yes", "\(vim) backup backupcopy=yes' -c '%s/one/two/' -c wq doc.txt"),
    SavePattern("vim, backupcopy=no", "\(vim) backup backupcopy=no' -c '%s/one/two/' -c wq doc.txt"),
    SavePattern("vim, backupcopy=auto", "\(vim) backupcopy=auto' -c '%s/one/two/' -c wq doc.txt"),
    SavePattern("vim, no backup kept", "\(vim) nobackup backupcopy=no writebackup' -c '%s/one/two/' -c wq doc.txt"),
    SavePattern(
        "nano",
        #"(sleep 0.5; printf '\013two\017\r\030') | TERM=xterm script -qec 'nano -I doc.txt' /dev/null"#
    ),
    SavePattern(
        "nano, backup",
        #"(sleep 0.5; printf '\013two\017\r\030') | TERM=xterm script -qec 'nano -I -B doc.txt' /dev/null"#
    ),
    SavePattern(
        "emacs",
        #"emacs -Q --batch doc.txt --eval '(progn (erase-buffer) (insert "two\n") (save-buffer))'"#
    ),
    SavePattern(
        "emacs, backup-by-copying",
        #"emacs -Q --batch --eval '(setq backup-by-copying t)' doc.txt --eval '(progn (erase-buffer) (insert "two\n") (save-buffer))'"#
    ),
    SavePattern(
        "emacs, file-precious-flag",
        #"emacs -Q --batch --eval '(setq file-precious-flag t)' doc.txt --eval '(progn (erase-buffer) (insert "two\n") (save-buffer))'"#
    ),
    SavePattern("sed -i", "sed -i s/one/two/ doc.txt"),
    SavePattern("sed -i.bak", "sed -i.bak s/one/two/ doc.txt"),
    SavePattern("perl -i", "perl -i -pe s/one/two/ doc.txt"),
    SavePattern("perl -i.orig", "perl -i.orig -pe s/one/two/ doc.txt"),
    SavePattern("patch", #"printf -- '--- doc.txt\n+++ doc.txt\n@@ -1 +1 @@\n-one\n+two\n' | patch -s doc.txt"#),
    SavePattern("gio save", "gio save doc.txt <$NEW/doc.txt"),
    SavePattern("gio save, backup", "gio save -b doc.txt <$NEW/doc.txt"),
    SavePattern(
        "GIMP and GIO: renamed before it is closed",
        python
            + """
            new = os.open(".goutputstream-A1B2C3", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            os.write(new, b"two\\n"); os.fsync(new)
            os.rename(".goutputstream-A1B2C3", "doc.txt")
            os.close(new)'
            """
    ),
    SavePattern(
        "LibreOffice: lock, temporary file, rename",
        """
        echo me >.~lock.doc.txt# && echo tw >lu8421abc.tmp && echo two >lu8421abc.tmp && mv doc.txt lu8421old.tmp &&
        mv lu8421abc.tmp doc.txt && rm lu8421old.tmp .~lock.doc.txt#
        """
    ),
    SavePattern(
        "LibreOffice: copies over what is there",
        "echo me >.~lock.doc.txt# && echo two >lu8421abc.tmp && cat lu8421abc.tmp >doc.txt && rm lu8421abc.tmp .~lock.doc.txt#"
    ),
    SavePattern(
        "Microsoft Office: chain of renames",
        """
        echo me >'~$doc.txt' && echo two >1A2B3C4D.tmp && mv doc.txt 5E6F7A8B.tmp && mv 1A2B3C4D.tmp doc.txt &&
        rm 5E6F7A8B.tmp '~$doc.txt'
        """
    ),
    SavePattern("KDE: .part", "cp $NEW/doc.txt doc.txt.part && mv doc.txt.part doc.txt"),
    SavePattern("Qt: QSaveFile", "cp $NEW/doc.txt doc.txt.AbCdEf && mv doc.txt.AbCdEf doc.txt"),
    SavePattern(
        "an exchange of names",
        python
            + """
            import ctypes
            open("doc.txt.tmp", "w").write("two\\n")
            assert ctypes.CDLL(None).renameat2(-100, b"doc.txt.tmp", -100, b"doc.txt", 2) == 0
            os.unlink("doc.txt.tmp")'
            """
    ),
    SavePattern("Blender", "cp $NEW/doc.txt doc.txt@ && mv doc.txt doc.txt1 && mv doc.txt@ doc.txt"),
    SavePattern(
        "FreeCAD",
        "cp $NEW/doc.txt doc.txt.2f && mv doc.txt doc.20240101-120000.FCBak && mv doc.txt.2f doc.txt"
    ),
    SavePattern("MuseScore", "cp $NEW/doc.txt doc.txt.Ab12Cd && mv doc.txt .doc.txt, && mv doc.txt.Ab12Cd doc.txt"),
    // The shell
    SavePattern("cat >", "cat $NEW/doc.txt >doc.txt"),
    SavePattern("dd conv=notrunc", "dd if=$NEW/doc.txt of=doc.txt conv=notrunc status=none"),
    SavePattern("cp", "cp $NEW/doc.txt doc.txt"),
    SavePattern("cp -f", "cp -f $NEW/doc.txt doc.txt"),
    SavePattern("cp --remove-destination", "cp --remove-destination $NEW/doc.txt doc.txt"),
    SavePattern("cp -b", "cp -b $NEW/doc.txt doc.txt"),
    SavePattern("install", "install -m 644 $NEW/doc.txt doc.txt"),
    SavePattern("mv from another filesystem", "cp $NEW/doc.txt $WORK/doc.txt && mv $WORK/doc.txt doc.txt"),
    SavePattern("moved aside by hand", "mv doc.txt doc.txt.bak && cp $NEW/doc.txt doc.txt"),
    // Copying and synchronising
    SavePattern("rsync", "rsync -a $NEW/ ."),
    SavePattern("rsync --inplace", "rsync -a --inplace $NEW/ ."),
    SavePattern("rsync --partial-dir", "rsync -a --partial-dir=.rsync-partial $NEW/ ."),
    SavePattern("rsync --delay-updates", "rsync -a --delay-updates $NEW/ ."),
    SavePattern("rsync --backup", "rsync -a --backup $NEW/ ."),
    SavePattern("rsync --backup-dir", "rsync -a --backup --backup-dir=former $NEW/ ."),
    SavePattern(
        "syncthing with versions",
        """
        mkdir -p .stversions && cp $NEW/doc.txt .syncthing.doc.txt.tmp && mv doc.txt .stversions/doc~20240101-120000.txt &&
        mv .syncthing.doc.txt.tmp doc.txt
        """
    ),
    SavePattern(
        "rclone --suffix-keep-extension",
        "cp $NEW/doc.txt doc.txt.1a2b3c4d.partial && mv doc.txt doc.bak.txt && mv doc.txt.1a2b3c4d.partial doc.txt"
    ),
    SavePattern("the folder made anew", #"d="$PWD"; cd ..; rm -r "$d"; mkdir "$d"; cp $NEW/doc.txt "$d/""#),
    SavePattern("rsync -X", "rsync -aX --filter='-x user.asset.*' $NEW/ ."),
    SavePattern("tar", "tar -C $NEW -cf - doc.txt | tar -xf -"),
    SavePattern("tar --overwrite", "tar -C $NEW -cf - doc.txt | tar --overwrite -xf -"),
    SavePattern("tar --unlink-first", "tar -C $NEW -cf - doc.txt | tar -U -xf -"),
    SavePattern(
        "unison",
        prepare:
            "cp -p doc.txt $WORK/doc.txt && UNISON=$WORK/.u unison -silent -batch -ui text $WORK/ . -ignore 'Name .u'",
        "cat $NEW/doc.txt >$WORK/doc.txt && UNISON=$WORK/.u unison -silent -batch -ui text $WORK/ . -ignore 'Name .u'"
    ),
    SavePattern("rclone copy", "rclone --config=$WORK/c copy $NEW/ ."),
    SavePattern("rclone sync --inplace", "rclone --config=$WORK/c sync $NEW/ ."),
    SavePattern(
        "restic restore",
        "export RESTIC_PASSWORD=x && \(restic) init && (cd $NEW && \(restic) backup doc.txt) && \(restic) restore latest --target ."
    ),
    SavePattern(
        "borg extract",
        """
        export BORG_BASE_DIR=$WORK/b && borg init -e none $WORK/repository && (cd $NEW && borg create $WORK/repository::a doc.txt) &&
        borg extract $WORK/repository::a
        """
    ),
    SavePattern(
        "git checkout",
        prepare: twoBranches,
        "git checkout -q two"
    ),
    SavePattern(
        "git checkout of a file",
        prepare: twoBranches,
        "git checkout -q two -- doc.txt"
    ),
]
