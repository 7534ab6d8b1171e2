/// What a file's name says about it: whether it is a person's work, on the way to be, or a program's.
public enum NameClass: Sendable {
    /// A file that people care about: what is written to it is an upload.
    case final
    /// A file that a program will rename when it is complete, or a backup or lock of an editor: works as any file, and enters the
    /// pipeline when it is renamed to a final name.
    case temporary
    /// What an operating system leaves in folders: stored and shown, never an asset.
    case junk

    /// The class of a file's name, whatever folder it is in.
    ///
    /// With `isStrict` a name that may be one of mkstemp(3)'s is temporary also where a person may have given it: `.x.backup`.
    public init(ofFile name: EntryName, isStrict: Bool = false) {
        let name = name.bytes
        let isTemporary = Self.isTemporary(name) || isStrict && (Self.isOfRsync(name) || Self.isOfMkstemp(name))
        self = Self.isJunk(name) ? .junk : isTemporary ? .temporary : .final
    }

    /// What a folder's name says about all that is in the folder.
    public init(ofFolder name: EntryName) {
        let text = name.description
        let isTrash = text.hasPrefix(".Trash-")
        self = isTrash || junkFolders.contains(text) ? .junk : temporaryFolders.contains(text) ? .temporary : .final
    }

    private static func isJunk(_ name: [UInt8]) -> Bool {
        if junkNames.contains(where: { name.elementsEqual($0.utf8) }) { return true }
        // LibreOffice and OpenOffice lock `x` with `.~lock.x#`, Microsoft Office with `~$x`; AppleDouble's files are `._x`.
        if name.has(prefix: "._") || name.has(prefix: "~$") || name.has(prefix: ".fuse_hidden") { return true }
        if name.has(prefix: ".~lock."), name.last == UInt8(ascii: "#") { return true }
        return name.has(prefix: ".nfs") && name.count >= 12 && name.dropFirst(4).allSatisfy(\.isHexDigit)
    }

    private static func isTemporary(_ name: [UInt8]) -> Bool {
        if temporarySuffixes.contains(where: { name.has(suffix: $0) }) { return true }
        if temporaryPrefixes.contains(where: { name.has(prefix: $0) }) { return true }
        // vim asks whether a folder can be written to with a file called 4913.
        if name.elementsEqual("4913".utf8) { return true }
        // Emacs: `#x#` saves by itself, `.#x` locks.
        if name.count > 2, name.first == UInt8(ascii: "#"), name.last == UInt8(ascii: "#") { return true }
        // vim's `.x.swp`, `.x.swo` … `.x.swa`; a film in `x.swf` has no dot before it.
        if name.first == UInt8(ascii: "."), name.suffix(4).dropLast().elementsEqual(".sw".utf8) { return true }
        return (isOfRsync(name) || isOfMkstemp(name)) && name.suffix(6).looksRandom
    }

    /// Whether mkstemp(3) may have made it for sed -i (`sedXXXXXX`), or emacs with file-precious-flag (`tmpXXXXXX`).
    private static func isOfMkstemp(_ name: [UInt8]) -> Bool {
        name.count == 9 && (name.has(prefix: "sed") || name.has(prefix: "tmp"))
            && name.suffix(6).allSatisfy { $0.isDigit || $0.isUpper || $0.isLower }
    }

    /// Whether rsync may have made it: `.x.XXXXXX`.
    private static func isOfRsync(_ name: [UInt8]) -> Bool {
        name.count > 8 && name.first == UInt8(ascii: ".") && name[name.count - 7] == UInt8(ascii: ".")
            && name.suffix(6).allSatisfy { $0.isDigit || $0.isUpper || $0.isLower }
    }
}

extension EntryName {
    /// Whether a program would call a file so to keep what it was while it writes `original` anew: `x.bak`, `x.~1~`, `x.blend1`,
    /// `.bak.0.x`; but not `x.jpg` for `x`.
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

    /// Whether a program may have called a file so for the same reason: `x~2024.jpg`, `x.bak.jpg`, `x.2024.FCBak`, `.x.mscz,`.
    public func mayBeBackup(of original: EntryName) -> Bool {
        let stem = original.stem
        guard stem.count >= 2, bytes.count > original.bytes.count else { return false }
        guard let start = (0...bytes.count - stem.count).first(where: { bytes[$0..<$0 + stem.count] == stem }) else {
            return false
        }
        let added = bytes[..<start] + bytes[(start + stem.count)...]
        return added.contains { $0 == UInt8(ascii: "~") || $0 == UInt8(ascii: ",") } || added.hasBackupWord
    }

    /// Whether a folder of this name is where programs put what they replace.
    public var isOfBackupFolder: Bool { bytes[...].hasBackupWord || bytes.elementsEqual(".stversions".utf8) }

    /// All before the last dot, unless that is the first byte.
    private var stem: ArraySlice<UInt8> {
        guard let dot = bytes.lastIndex(of: UInt8(ascii: ".")), dot > 0 else { return bytes[...] }
        return bytes[..<dot]
    }
}

// Names by program, gathered from what their documentation and their sources say. Lower and upper case as the programs write
// them.
private let temporarySuffixes = [
    // browsers and downloaders
    ".part", ".crdownload", ".download", ".opdownload", ".aria2", ".filepart", ".tacitpart",
    // rclone, Nextcloud (`.ocTransferId….part` above), unison, syncthing, LibreOffice's `lu….tmp`, Office's `XXXXXXXX.tmp`
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

    /// Whether one of the words for backups is in it.
    fileprivate var hasBackupWord: Bool { backupWords.contains { lowercased.contains($0) } }

    /// Whether it is no more than a sign that what it was added to is a backup: no letter or digit at its side, and then nothing,
    /// a number or a word for it.
    fileprivate var isBackupMark: Bool {
        guard contains(where: { !$0.isWord }), first?.isWord == false || last?.isWord == false else { return false }
        let words = split { !$0.isWord }
        return words.allSatisfy {
            $0.allSatisfy(\.isDigit) || $0.hasBackupWord || backupEndings.contains($0.lowercased)
        }
    }

    /// Whether letters and digits come from mkstemp(3) and not from a person: `.config.backup` is nobody's temporary file.
    ///
    /// One in two hundred of mkstemp's is all lower case and goes for a person's; then it becomes an asset a moment too early.
    fileprivate var looksRandom: Bool {
        allSatisfy { $0.isDigit || $0.isUpper || $0.isLower } && contains { $0.isDigit || $0.isUpper }
    }
}
