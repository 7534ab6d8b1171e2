import AssetModel
import Testing

struct NumberedNameTests {
    /// Checks the rules of docs/SEMANTICS.md; `example_file` is HubSpot's own example.
    @Test func `a listed name has 255 bytes at most, its mark, its extension and whole characters`() {
        func listed(_ name: [UInt8]) -> [UInt8] { EntryName.listed("12-", name) }
        #expect(listed(Array("a.jpg".utf8)) == Array("12-a.jpg".utf8))
        #expect(listed(Array(repeating: 0x78, count: 252)) == Array("12-".utf8) + Array(repeating: 0x78, count: 252))
        let long = listed(Array(repeating: 0x78, count: 248) + Array(".tar.gz".utf8))
        #expect(long == Array("12-".utf8) + Array(repeating: 0x78, count: 245) + Array(".tar.gz".utf8))
        // Characters of two, three and four bytes each: the name is one, two or three bytes too long to keep
        // them whole.
        for character in ["é", "€", "😀"] {
            for lead in 0..<4 {
                let name = String(repeating: "a", count: lead) + String(repeating: character, count: 255)
                let cut = listed(Array(Array(name.utf8).prefix(255 - (255 - lead) % character.utf8.count)))
                #expect(cut.count <= 255 && cut.count > 251)
                #expect(String(validating: cut, as: UTF8.self) != nil)
            }
        }
        // Invalid UTF-8 is cut at any byte.
        #expect(listed(Array(repeating: 0x80, count: 255)).count == 255)
        #expect(listed(Array(repeating: 0xE9, count: 255)).count == 255)
    }

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
        // Numbering keeps invalid UTF-8.
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

    @Test(
        arguments: [
            ("2026-01-31T10:00:00Z", "P1M", "2026-02-28T10:00:00"),
            ("2028-01-31T10:00:00Z", "P1M", "2028-02-29T10:00:00"),
            ("2028-02-29T00:00:00Z", "P1Y", "2029-02-28T00:00:00"),
            ("2026-11-30T23:59:59Z", "P3M", "2027-02-28T23:59:59"),
            ("2026-12-31T00:00:00Z", "P1Y2M", "2028-02-29T00:00:00"),
            ("2026-11-26T00:00:00Z", "P1DT12H", "2026-11-27T12:00:00"),
            ("2026-12-15T00:00:00Z", "P13M", "2028-01-15T00:00:00"),
            ("2026-01-31T00:00:00Z", "P1M1D", "2026-03-01T00:00:00"),
            ("1969-12-31T23:00:00Z", "PT2H", "1970-01-01T01:00:00"),
            ("1965-03-31T00:00:00Z", "P11M", "1966-02-28T00:00:00"),
        ] as [(String, String, String)]
    )
    func `periods are added by the calendar`(start: String, period: String, end: String) throws {
        let sum = try #require(Period(period)).added(to: try #require(Timestamp(start)))
        #expect(sum.description == end + ".000000000Z")
    }

    @Test(
        arguments: [
            ("2026-03-01", "P1D", true), ("2026-03-01", "PT24H", true), ("2026-03-01", "P12M", true),
            ("2026-03-01", "P1Y", true), ("2026-03-01", "P365D", true), ("2026-03-01", "P366D", false),
            ("2027-03-01", "P366D", true), ("2027-03-01", "P367D", false), ("2026-03-01", "P52W", true),
            ("2026-03-01", "P53W", false), ("2026-03-01", "P0D", false), ("2026-03-01", "PT23H59M59S", false),
            ("2026-03-01", "P1Y1D", false), ("2026-03-01", "P999999Y", false),
        ] as [(String, String, Bool)]
    )
    func `lives are from a day to a year`(start: String, period: String, isGood: Bool) throws {
        let end = try #require(Period(period)).endOfLife(from: try #require(Timestamp(start)))
        #expect((end != nil) == isGood)
    }

    @Test(
        arguments: [
            ("2027-01-31T12:00:00Z", "2027-01-31T12:00:00.000000000Z"),
            ("2027-01-31", "2027-01-31T00:00:00.000000000Z"),
            ("2027-01-31T12:00:00.5+02:00", "2027-01-31T10:00:00.500000000Z"),
            ("2027-01-31 12:00", "2027-01-31T12:00:00.000000000Z"), ("2027", nil), ("2027-02-30", nil), ("soon", nil),
            ("2400-01-01T00:00:00Z", nil), ("2026-11-26T21:05:00.837704393Z", "2026-11-26T21:05:00.837704393Z"),
        ] as [(String, String?)]
    )
    func `moments are read as people write them`(text: String, moment: String?) {
        #expect(Timestamp(text)?.description == moment)
    }

    @Test func `access has HubSpot's words and OpenAsset's numbers`() {
        for access in Access.allCases { #expect(Access(access.name) == access) }
        #expect(["1", "2", "3"].map { Access($0)?.name } == ["PUBLIC_INDEXABLE", "PUBLIC_NOT_INDEXABLE", "PRIVATE"])
        for text in ["", "0", "4", "01", "+1", "private", "HIDDEN"] { #expect(Access(text) == nil) }
        #expect(Access.allCases.filter(\.isPrivate).map(\.rawValue) == [3, 6, 7, 8])
        #expect(Access.allCases.filter(\.isHidden).map(\.rawValue) == [4, 5, 6, 7])
        for one in Access.allCases {
            #expect(one.closed(with: nil) == one)
            for other in Access.allCases {
                let both = one.closed(with: other)
                #expect(both == other.closed(with: one))
                #expect(both.level == max(one.level, other.level) && both.isHidden == (one.isHidden || other.isHidden))
            }
        }
    }

    @Test(
        arguments: [
            ("20,P30D", 20, "P30D", "PT1M"), ("all", nil, nil, nil), ("5", 5, nil, "PT1M"), ("P1Y", nil, "P1Y", "PT1M"),
            ("0,P1D,PT0S", 0, "P1D", "PT0S"),
        ] as [(String, Int?, String?, String?)]
    )
    func `versions are kept by number and by age`(text: String, count: Int?, period: String?, stay: String?) throws {
        var policy = Policy()
        try policy.apply(.versions, text)
        #expect(policy.versions.count == count)
        #expect(policy.versions.period == period.flatMap { Period($0) })
        #expect(policy.versions.shortestStay == stay.flatMap { Period($0) })
    }

    @Test(arguments: ["", "-1", "x", "20,", ",P1D", "20,P1D,PT0S,P1D", "P1D,20", "1.5"])
    func `other values for versions are refused`(text: String) {
        var policy = Policy()
        #expect(throws: Policy.Objection.self) { try policy.apply(.versions, text) }
    }

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

    @Test func `a policy that spares as another keeps all that one of the two keeps`() throws {
        var (strict, base) = (Policy(), Policy())
        for (key, value) in [
            (PolicyKey.trash, "none"), (.versions, "0"), (.ttl, "P1D"), (.store, "0"), (.autostore, "false"),
            (.maxSize, "5M"),
        ] { try strict.apply(key, value) }
        let spared = strict.sparing(as: base)
        #expect(spared.trashLife == Period("P1D") && spared.life == nil && !spared.isTemporary)
        #expect(spared.versions.count == 20 && spared.versions.period == nil && spared.versions.keepsOriginal)
        #expect(spared.maxSize == ByteCount("5M"))
        // No value becomes stricter if the other policy is the stricter one.
        for (key, value) in [(PolicyKey.trash, "PT1H"), (.versions, "all"), (.ttl, "P30D")] {
            try base.apply(key, value)
        }
        try strict.apply(.trash, "P2D")
        #expect(strict.sparing(as: base).trashLife == Period("P2D") && strict.sparing(as: base).versions.keepsAll)
        #expect(strict.sparing(as: base).life == Period("P30D") && base.sparing(as: strict).life == Period("P30D"))
    }
}
