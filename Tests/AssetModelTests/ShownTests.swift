import AssetModel
import Foundation
import Testing

struct ShownTests {
    @Test func `names that a terminal shows as they are stay as they are`() {
        for name in ["photo.jpg", "Grüße 東京.txt", "שלום.txt", "a 'b' \"c\" $d", "👍🏽❤️.png", "né\u{301}", ""] {
            #expect(Shown.name(name) == name && Shown.sentence(name) == name && Shown.json(name) == name)
        }
    }

    @Test(arguments: [
        ("\u{1B}[2J\r\n\t\u{7F}", #"\x1b[2J\x0d\x0a\x09\x7f"#),
        ("\u{9B}31m", #"\xc2\x9b31m"#), ("a\u{202E}gpj.exe", #"a\xe2\x80\xaegpj.exe"#),
        ("\u{2066}\u{200F}\u{61C}", #"\xe2\x81\xa6\xe2\x80\x8f\xd8\x9c"#),
        ("a\u{200B}b\u{FEFF}\u{2060}", #"a\xe2\x80\x8bb\xef\xbb\xbf\xe2\x81\xa0"#),
        ("\u{2028}\u{2029}\u{85}", #"\xe2\x80\xa8\xe2\x80\xa9\xc2\x85"#),
        ("\u{E0041}\u{3164}", #"\xf3\xa0\x81\x81\xe3\x85\xa4"#), (#"a\x1b"#, #"a\\x1b"#),
    ])
    func `what a terminal obeys or hides is escaped`(name: String, shown: String) {
        #expect(Shown.name(name) == shown)
        #expect(Shown.bytes(ofName: shown) == Array(name.utf8))
    }

    @Test func `bytes that are not UTF-8 are escaped, and all bytes can be had back`() {
        #expect(Shown.name([0x61, 0xE9, 0xF4, 0x8F, 0x62, 0xC0, 0x80]) == #"a\xe9\xf4\x8fb\xc0\x80"#)
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            let pool: [[UInt8]] = [
                [0x5C], [0x78], [0x31], [0x62], [0x1B], [0xC2, 0x9B], [0xE9], [0xC3, 0xA9], [0x0A],
            ]
            let bytes = (0..<Int.random(in: 0...12, using: &generator)).flatMap { _ in
                pool[Int.random(in: 0..<pool.count, using: &generator)]
            }
            let shown = Shown.name(bytes)
            #expect(Shown.bytes(ofName: shown) == bytes)
            #expect(shown.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control })
            // Escaping is idempotent in a sentence.
            #expect(Shown.sentence(shown) == shown)
        }
    }

    @Test func `JSON means the same when it is shown`() throws {
        let value = "x\u{9B}31m\u{7F}\u{202E}\u{E0041}é\u{1B}\n\\"
        let text = String(decoding: try JSONSerialization.data(withJSONObject: ["k": value]), as: UTF8.self)
        let shown = Shown.json(text)
        #expect(shown.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control })
        #expect(shown.contains(#"\u202e"#) && shown.contains(#"\u009b"#) && shown.contains(#"\udb40\udc41"#))
        let back = try JSONSerialization.jsonObject(with: Data(shown.utf8)) as? [String: String]
        #expect(back?["k"] == value)
    }
}
