import AssetModel
import Testing

struct NumberedNameTests {
    /// The rules of docs/SEMANTICS.md; `example_file` is HubSpot's own example.
    @Test(arguments: [
        ("example_file.txt", "example_file-1.txt"), ("a-1.txt", "a-1-1.txt"), ("archive.tar.gz", "archive-1.tar.gz"),
        ("Archive.TAR.GZ", "Archive-1.TAR.GZ"), ("x.tar", "x-1.tar"), ("x.gz", "x-1.gz"), ("README", "README-1"),
        (".env", ".env-1"), (".bashrc", ".bashrc-1"), (".config.json", ".config-1.json"), ("name.", "name.-1"),
        ("name..", "name..-1"), ("photo.JPG", "photo-1.JPG"), ("..x", "..x-1"), ("Mr. Smith", "Mr. Smith-1"),
        ("v1.2 notes.md", "v1.2 notes-1.md"), (".tar.gz", ".tar-1.gz"), ("é.png", "é-1.png"), ("-1.txt", "-1-1.txt"),
    ])
    func `a number goes before the extension`(name: String, expected: String) throws {
        let name = try EntryName(name)
        #expect(name.numbered(1).description == expected)
        #expect(name.number(of: name.numbered(17)) == 17)
        #expect(name.numbered(17).unnumbered == name)
    }

    @Test(arguments: [
        ("a.txt", "a-0.txt"), ("a.txt", "a-01.txt"), ("a.txt", "a-.txt"), ("a.txt", "a-1.jpg"), ("a.txt", "b-1.txt"),
        ("a.txt", "a-1.TXT"), ("a.txt", "a--1.txt"), ("a.txt", "a.txt"), ("a.txt", "a-99999999999999999999.txt"),
        ("a", "-1"),
    ])
    func `other names are not numbered ones`(name: String, other: String) throws {
        #expect(try EntryName(name).number(of: EntryName(other)) == nil)
    }

    @Test func `what does not fit is cut between two characters`() throws {
        for (name, ending) in [
            (String(repeating: "é", count: 125) + ".jpeg", ".jpeg"), (String(repeating: "😀", count: 63) + "a.c", ".c"),
            (String(repeating: "x", count: 255), ""),
            (String(repeating: "y", count: 200) + "." + String(repeating: "z", count: 54), ""),
        ] {
            let name = try EntryName(name)
            for number in [1, 12, 99_999] {
                let numbered = name.numbered(number)
                #expect(numbered.bytes.count <= 255 && numbered.bytes.count > 245)
                #expect(String(validating: numbered.bytes, as: UTF8.self)?.hasSuffix("-\(number)\(ending)") == true)
                #expect(name.number(of: numbered) == number)
            }
        }
        // Bytes that are no characters are not lost.
        let bytes = try EntryName([UInt8](repeating: 0xFF, count: 250) + Array(".bin".utf8))
        #expect(bytes.number(of: bytes.numbered(1)) == 1)
    }
}

struct PolicyModelTests {
    @Test(
        arguments: [
            ("5M", 5_242_880), ("5MiB", 5_242_880), ("5mb", 5_242_880), ("1024", 1024), ("0", 0),
            ("20G", 21_474_836_480),
            ("1T", 1_099_511_627_776), ("10B", 10),
        ] as [(String, Int64)]
    )
    func `sizes are read as people write them`(text: String, bytes: Int64) {
        #expect(ByteCount(text)?.bytes == bytes)
        #expect(ByteCount(text)?.description == text)
    }

    @Test(arguments: ["", "M", "5X", "-1", "5 M", "1.5G", "99999999999T", "9223372036854775808", "5iB5", "0x10", "٣"])
    func `other sizes are refused`(text: String) { #expect(ByteCount(text) == nil) }

    @Test(arguments: ["P1D", "P3M", "P1Y", "P2W", "P1Y2M3W4D", "P1DT12H", "PT24H", "p30d"])
    func `periods are ISO 8601's`(text: String) { #expect(Period(text) != nil) }

    @Test(arguments: [
        "", "P", "1D", "PD", "P1", "P1DT", "P1H", "P1D1M", "P-1D", "P1.5D", "P1DD", "PT", "P99999999999999999999D",
    ])
    func `others are refused`(text: String) { #expect(Period(text) == nil) }

    @Test func `a list of types takes MIME types and extensions`() throws {
        var policy = Policy()
        try policy.apply(.forbiddenTypes, "image/*, .exe *.Php application/pdf")
        let types = policy.forbiddenTypes
        for type in ["image/png", "IMAGE/jpeg", "application/pdf"] { #expect(types.contains(type: type)) }
        for type in ["text/plain", "application/pdfx", "x/image"] { #expect(!types.contains(type: type)) }
        for name in ["a.exe", "A.EXE", "b.php", "x.tar.exe", ".exe"] {
            #expect(types.contains(extensionOf: try EntryName(name)))
        }
        for name in ["exe", "a.exe.txt", "a.phpx", "pdf", "a."] {
            #expect(!types.contains(extensionOf: try EntryName(name)))
        }
    }

    @Test(arguments: Preset.allCases)
    func `each preset is made of good values, for the same keys`(preset: Preset) throws {
        var policy = Policy()
        for (key, value) in preset.settings { try policy.apply(key, value) }
        #expect(preset.settings.map(\.key) == Preset.posix.settings.map(\.key))
    }

    @Test func `ResourceSpace's banned extensions are all there`() throws {
        var policy = Policy()
        try policy.apply(.preset, "resourcespace")
        let banned = """
            php cgi pl exe asp aspx js jsp sh bash phtml xhtml rhtml shtml phps phpt phar py jar css swf htaccess htpasswd
            """
        for ending in banned.split(whereSeparator: \.isWhitespace) {
            #expect(policy.forbiddenTypes.contains(extensionOf: try EntryName("x.\(ending)")), "\(ending)")
        }
    }
}
