import AssetModel
import Testing

struct NameClassTests {
    @Test(
        arguments: [
            "photo.jpg", ".bashrc", ".config.backup", ".data.sqlite", "4914", "animation.swf", "a.tar.gz", "sediment",
            "Cargo.lock",
            "#1.jpg", "template", "~", ".", "part", ".part", "x.tmpl", "tmp", "._", "~$", ".nfsrc", "notes.partial.txt",
        ].filter { $0 != "." }
    )
    func `what people make is final`(name: String) throws {
        #expect(NameClass(ofFile: try EntryName(name)) == .final)
    }

    @Test(arguments: [
        ".photo.jpg.x1Y2z3", ".x.AbCdEf", "x.part", "x.crdownload", "x.filepart", "x.1a2b3c4d.partial",
        ".goutputstream-A1B2C3",
        ".syncthing.x.tmp", "~syncthing~x.tmp", ".unison.x.0a1b.unison.tmp", "4913", ".x.swp", ".x.swo", ".x.swa",
        "x.swp",
        "x~", "x.~1~", ".#x", "#x#", "lu8421abc.tmp", "1A2B3C4D.tmp", "sedX1y2Z3", ".x.ocTransferId1.part",
    ])
    func `what programs rename, or keep beside a file, is temporary`(name: String) throws {
        #expect(NameClass(ofFile: try EntryName(name)) == .temporary)
    }

    @Test(arguments: [
        ".DS_Store", "._photo.jpg", "Thumbs.db", "desktop.ini", ".directory", ".~lock.x.odt#", "~$x.docx",
        ".nfs0000000000012345", ".fuse_hidden0001", "Icon\r",
    ])
    func `what systems leave is junk`(name: String) throws {
        #expect(NameClass(ofFile: try EntryName(name)) == .junk)
    }

    @Test func `some folders speak for what is in them`() throws {
        #expect(NameClass(ofFolder: try EntryName(".Trash-1000")) == .junk)
        #expect(NameClass(ofFolder: try EntryName(".Spotlight-V100")) == .junk)
        #expect(NameClass(ofFolder: try EntryName(".rsync-partial")) == .temporary)
        #expect(NameClass(ofFolder: try EntryName("x.tmp")) == .final)
    }

    @Test(arguments: [
        ("a.jpg", "a.jpg~", true), ("a.jpg", "a.jpg.bak", true), ("a.jpg", ".bak.0.a.jpg", true),
        ("a.jpg", "a.bak", true),
        ("a.jpg", "a.jpg-2026", true), ("a.jpg", "b.jpg", false), ("a", "ab", false), ("a", "banana", false),
        ("a.jpg", "a.jpg", false), ("a.jpg", "a.png", false), ("é", "éé", false), ("f.blend", "f.blend1", true),
        ("a.jpg", "a.jpg1b", false),
        ("IMG", "IMG.jpg", false), ("1", "12", false), ("page", "page1", false), ("a.jpg", "Best a.jpg", false),
        ("a", "a.1", true),
    ])
    func `a backup has the name in its own`(name: String, other: String, isBackup: Bool) throws {
        #expect(try EntryName(other).isBackup(of: try EntryName(name)) == isBackup)
    }
}

struct AccessControlListTests {
    /// The list u::rwx, u:7:r-x, g::r--, m::rwx, o::r--.
    private let bytes: [UInt8] =
        [2, 0, 0, 0] + [1, 0, 7, 0, 255, 255, 255, 255] + [2, 0, 5, 0, 7, 0, 0, 0] + [4, 0, 4, 0, 255, 255, 255, 255]
        + [16, 0, 7, 0, 255, 255, 255, 255] + [32, 0, 4, 0, 255, 255, 255, 255]

    @Test func `a list is read and written`() throws {
        let list = try #require(AccessControlList(bytes))
        #expect(list.bytes == bytes)
        #expect(list.permissions == 0o774)
        #expect(!list.isMode)
    }

    @Test func `chmod changes the mask, not the group`() throws {
        let list = try #require(AccessControlList(bytes)).changed(to: 0o640)
        #expect(list.permissions == 0o640)
        #expect(list.items.map(\.permissions) == [6, 5, 4, 4, 0])
    }

    @Test func `a maker's mode leaves less of a default list`() throws {
        #expect(try #require(AccessControlList(bytes)).inherited(by: 0o660).permissions == 0o660)
    }

    @Test(
        arguments: [[], [1, 0, 0, 0], [2, 0, 0, 0], [2, 0, 0, 0, 1], [2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]] as [[UInt8]]
    )
    func `other bytes are no list`(bytes: [UInt8]) {
        #expect(AccessControlList(bytes) == nil)
    }
}
