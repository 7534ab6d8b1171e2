import AssetModel
import Testing

struct DigestTests {
    @Test func `prints as sha256sum does`() throws {
        let digest = try #require(Digest(0..<32))
        #expect(digest.description == "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
        #expect(digest.bytes == Array(0..<32))
        #expect(Digest(digest.bytes) == digest)
    }

    @Test func `has 32 bytes`() { #expect(Digest(0..<31) == nil) }
}

struct EntryNameTests {
    @Test(arguments: [[], [0x2E], [0x2E, 0x2E], [0x61, 0x2F], [0x61, 0]] as [[UInt8]])
    func `refuses what cannot be a name`(bytes: [UInt8]) {
        #expect(throws: EntryName.Invalid.malformed) { try EntryName(bytes) }
    }

    @Test func `has at most 255 bytes`() throws {
        #expect(try EntryName([UInt8](repeating: 0x61, count: 255)).bytes.count == 255)
        #expect(throws: EntryName.Invalid.tooLong(256)) { try EntryName([UInt8](repeating: 0x61, count: 256)) }
    }

    @Test func `is compared byte for byte`() throws {
        #expect(try EntryName("e\u{301}") != EntryName("\u{E9}"))
        #expect(try EntryName([0xFF]).bytes == [0xFF])
    }
}

struct TimestampTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000000000Z"), (-1, "1969-12-31T23:59:59.999999999Z"),
            (951_782_400_000_000_001, "2000-02-29T00:00:00.000000001Z"), (Int64.max, "2262-04-11T23:47:16.854775807Z"),
            (Int64.min, "1677-09-21T00:12:43.145224192Z"),
        ] as [(Int64, String)]
    )
    func `prints RFC 3339`(nanoseconds: Int64, text: String) {
        #expect(Timestamp(rawValue: nanoseconds).description == text)
    }
}

struct JSONObjectTests {
    @Test func `escapes what JSON demands`() throws {
        var object = JSONObject()
        object.add("a", "quote \" backslash \\ newline \n bell \u{7} é")
        object.add("n", 12)
        object.add("none", nil as String?)
        object.add("name", try EntryName([0x61, 0xFF]))
        #expect(
            String(decoding: object.bytes, as: UTF8.self)
                == #"{"a":"quote \" backslash \\ newline \n bell \u0007 é","n":12,"name":"a�","name_hex":"61ff"}"#
        )
    }
}

struct CapabilityTests {
    @Test func `a token is readable, and only one is a capability's`() throws {
        let capability = Capability(.upload, 70, expires: 1_764_201_600, signer: 1000)
        let token = capability.token(signature: [0, 255])
        #expect(token == "upload.70.1764201600.1000.00ff")
        let parsed = try #require(Capability.parse(token))
        #expect(parsed.capability == capability && parsed.signature == [0, 255])
        #expect(capability.end.description == "2025-11-27T00:00:00.000000000Z")
        #expect(Capability.parse("read.8.9.0") != nil && Capability.parse("read.8.9.0")?.signature == nil)
        let former = "read.8.1764201600." + String(repeating: "0", count: 64)
        #expect(Capability.parse(former) == nil && Capability.isFormer(former) && !Capability.isFormer(token))
    }

    @Test(arguments: [
        "", "read", "read.8", "read.8.9", "read.08.9.0.00", "read.+8.9.0.00", "write.8.9.0.00", "read.8.9.0.00.00",
        "read.8..0.00", "read.8.9.00.00", "read.8.9.-1.00", "read.8.9.4294967296.00",
    ])
    func `what is no token`(text: String) { #expect(Capability.parse(text) == nil) }

    @Test(arguments: [("90s", 90), ("15m", 900), ("1.5h", 5400), ("2d", 172_800), ("1w", 604_800), ("PT1H", 3600)])
    func `ends are read as people write them`(text: String, seconds: Int64) {
        let now = Timestamp(rawValue: 1_000_000_000)
        #expect(Timestamp(end: text, from: now) == now.advanced(bySeconds: seconds))
    }

    @Test(arguments: ["", "h", "1", "-1h", "1y", "soon", "99999999999d"])
    func `what is no end`(text: String) { #expect(Timestamp(end: text, from: .now) == nil) }
}
