/// The class of a file by its name: the work of a user, an unfinished file, or a file of a system.
public enum NameClass: Sendable {
    /// A file for users: writing to it is an upload.
    case final
    /// A file that a program renames when it is complete, or a backup or lock of an editor: it works as any
    /// file, and becomes an upload when it is renamed to a final name.
    case temporary
    /// A file that an operating system leaves in folders: it is stored and shown, but never an asset.
    case junk

    /// Classifies a file by its name, in any folder.
    ///
    /// With `isStrict` a name that mkstemp(3) may have made is temporary even if a user may have chosen it:
    /// `.x.backup`.
    public init(ofFile name: EntryName, isStrict: Bool = false) {
        let name = name.bytes
        let isTemporary = Self.isTemporary(name) || isStrict && (Self.isOfRsync(name) || Self.isOfMkstemp(name))
        self = Self.isJunk(name) ? .junk : isTemporary ? .temporary : .final
    }

    /// Classifies all files in a folder by the folder's name.
    public init(ofFolder name: EntryName) {
        let text = name.description
        let isTrash = text.hasPrefix(".Trash-")
        self = isTrash || junkFolders.contains(text) ? .junk : temporaryFolders.contains(text) ? .temporary : .final
    }

    private static func isJunk(_ name: [UInt8]) -> Bool {
        if junkNames.contains(where: { name.elementsEqual($0.utf8) }) { return true }
        // LibreOffice and OpenOffice lock `x` with `.~lock.x#`, Microsoft Office with `~$x`; AppleDouble's
        // files are `._x`.
        if name.has(prefix: "._") || name.has(prefix: "~$") || name.has(prefix: ".fuse_hidden") { return true }
        if name.has(prefix: ".~lock."), name.last == UInt8(ascii: "#") { return true }
        return name.has(prefix: ".nfs") && name.count >= 12 && name.dropFirst(4).allSatisfy(\.isHexDigit)
    }

    private static func isTemporary(_ name: [UInt8]) -> Bool {
        if temporarySuffixes.contains(where: { name.has(suffix: $0) }) { return true }
        if temporaryPrefixes.contains(where: { name.has(prefix: $0) }) { return true }
        // vim tests whether a folder is writable with a file called 4913.
        if name.elementsEqual("4913".utf8) { return true }
        // Emacs: `#x#` is an automatic save, `.#x` a lock.
        if name.count > 2, name.first == UInt8(ascii: "#"), name.last == UInt8(ascii: "#") { return true }
        // vim's `.x.swp`, `.x.swo` … `.x.swa`; a film in `x.swf` has no dot before it.
        if name.first == UInt8(ascii: "."), name.suffix(4).dropLast().elementsEqual(".sw".utf8) { return true }
        return (isOfRsync(name) || isOfMkstemp(name)) && name.suffix(6).looksRandom
    }

    /// Returns whether a name may come from mkstemp(3) in sed -i (`sedXXXXXX`), or in emacs with
    /// file-precious-flag (`tmpXXXXXX`).
    private static func isOfMkstemp(_ name: [UInt8]) -> Bool {
        name.count == 9 && (name.has(prefix: "sed") || name.has(prefix: "tmp"))
            && name.suffix(6).allSatisfy { $0.isDigit || $0.isUpper || $0.isLower }
    }

    /// Returns whether a name may come from rsync: `.x.XXXXXX`.
    private static func isOfRsync(_ name: [UInt8]) -> Bool {
        name.count > 8 && name.first == UInt8(ascii: ".") && name[name.count - 7] == UInt8(ascii: ".")
            && name.suffix(6).allSatisfy { $0.isDigit || $0.isUpper || $0.isLower }
    }
}

extension EntryName {
    /// Returns whether a program would use this name to keep the former file while it writes `original` anew:
    /// `x.bak`, `x.~1~`, `x.blend1`, `.bak.0.x`; but not `x.jpg` for `x`.
    public func isBackup(of original: EntryName) -> Bool {
        let (own, other) = (bytes, original.bytes)
        if own.count > other.count {
            let behind = own.dropFirst(other.count)
            if own.starts(with: other), behind.isBackupMark { return true }
            // Blender's `x.blend1`; a file without an extension has a number of its own.
            if own.starts(with: other), original.stem.count < other.count, behind.allSatisfy(\.isDigit) { return true }
            if own.suffix(other.count) == other[...], own.dropLast(other.count).isBackupMark { return true }
        }
        guard own != other, let dot = own.lastIndex(of: UInt8(ascii: ".")) else { return false }
        return own[..<dot] == original.stem && own[dot...].isBackupMark
    }

    /// Returns whether this may be a program's name for a backup of `original`: `x~2024.jpg`, `x.bak.jpg`,
    /// `x.2024.FCBak`, `.x.mscz,`.
    public func mayBeBackup(of original: EntryName) -> Bool {
        let stem = original.stem
        guard stem.count >= 2, bytes.count > original.bytes.count else { return false }
        guard let start = (0...bytes.count - stem.count).first(where: { bytes[$0..<$0 + stem.count] == stem }) else {
            return false
        }
        let added = bytes[..<start] + bytes[(start + stem.count)...]
        return added.contains { $0 == UInt8(ascii: "~") || $0 == UInt8(ascii: ",") } || added.hasBackupWord
    }

    /// Whether the name is that of a folder into which programs move replaced files.
    public var isOfBackupFolder: Bool { bytes[...].hasBackupWord || bytes.elementsEqual(".stversions".utf8) }

    /// The bytes before the last dot, or all bytes if that dot is the first byte.
    private var stem: ArraySlice<UInt8> {
        guard let dot = bytes.lastIndex(of: UInt8(ascii: ".")), dot > 0 else { return bytes[...] }
        return bytes[..<dot]
    }
}

// Names by program, from the programs' documentation and sources, with their upper and lower case.
private let temporarySuffixes = [
    // browsers and downloaders
    ".part", ".crdownload", ".download", ".opdownload", ".aria2", ".filepart", ".tacitpart",
    // rclone, Nextcloud (`.ocTransferId….part` above), unison, syncthing, LibreOffice's `lu….tmp`, Office's
    // `XXXXXXXX.tmp`
    ".partial", ".tmp", ".temp",
    // vim's swap files without a leading dot; backups of vim, emacs, nano
    ".swp", ".swo", ".swx", ".kate-swp", "~",
    // Blender
    ".blend@",
]
private let temporaryPrefixes = [
    ".goutputstream-", ".syncthing.", "~syncthing~", ".unison.", ".#", ".com.google.Chrome.", "AEtemp-",
]
private let temporaryFolders: Set<String> = [".~tmp~", ".rsync-partial", ".rsync-tmp"]
private let backupWords = ["bak", "backup", "orig"]
private let backupEndings: Set<String> = ["old", "save", "sav", "prev"]
private let junkNames = [
    ".DS_Store", ".localized", ".apdisk", ".VolumeIcon.icns", "Icon\r", "Thumbs.db", "thumbs.db", "ehthumbs.db",
    "desktop.ini", "Desktop.ini", ".directory",
]
private let junkFolders: Set<String> = [
    ".AppleDouble", ".DocumentRevisions-V100", ".Spotlight-V100", ".TemporaryItems", ".Trashes", ".fseventsd", "@eaDir",
    "$RECYCLE.BIN", "System Volume Information", ".dropbox.cache", ".stfolder",
]

extension [UInt8] {
    fileprivate func has(prefix: String) -> Bool { count > prefix.utf8.count && starts(with: prefix.utf8) }

    fileprivate func has(suffix: String) -> Bool {
        count > suffix.utf8.count && self.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
    }
}

extension UInt8 {
    /// A letter or digit, or a part of one that is not ASCII.
    fileprivate var isWord: Bool { isDigit || isUpper || isLower || self >= 0x80 }
    fileprivate var isHexDigit: Bool { isDigit || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(self) }
    fileprivate var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
    fileprivate var isUpper: Bool { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) }
    fileprivate var isLower: Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self) }
}

extension ArraySlice<UInt8> {
    private var lowercased: String { String(decoding: self, as: UTF8.self).lowercased() }

    /// Whether a word for backups is in it.
    fileprivate var hasBackupWord: Bool { backupWords.contains { lowercased.contains($0) } }

    /// Whether it only marks a name as a backup: it has no letter or digit at its side, and consists of a
    /// number or a word for backups, if of any.
    fileprivate var isBackupMark: Bool {
        guard contains(where: { !$0.isWord }), first?.isWord == false || last?.isWord == false else { return false }
        let words = split { !$0.isWord }
        return words.allSatisfy {
            $0.allSatisfy(\.isDigit) || $0.hasBackupWord || backupEndings.contains($0.lowercased)
        }
    }

    /// Whether letters and digits come from mkstemp(3) and not from a user: `.config.backup` is not a
    /// temporary file.
    ///
    /// One in two hundred names of mkstemp is all lower case and passes for a user's; such a file becomes an
    /// asset too early.
    fileprivate var looksRandom: Bool {
        allSatisfy { $0.isDigit || $0.isUpper || $0.isLower } && contains { $0.isDigit || $0.isUpper }
    }
}
