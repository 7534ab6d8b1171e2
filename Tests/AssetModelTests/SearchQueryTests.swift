import AssetModel
import Testing

struct SearchQueryTests {
    private typealias Condition = SearchQuery.Condition

    private func condition(_ text: String) throws -> Condition { try SearchQuery(text).condition }

    private func word(_ text: String, in column: SearchQuery.Column? = nil, isPrefix: Bool = false) -> Condition {
        .text(text, in: column, isPrefix: isPrefix)
    }

    @Test func `words, phrases and beginnings`() throws {
        #expect(try condition(" lake ") == word("lake"))
        #expect(try condition("lake blue") == .all([word("lake"), word("blue")]))
        #expect(try condition("\"blue lake\" sun*") == .all([word("blue lake"), word("sun", isPrefix: true)]))
        #expect(
            try condition("title:\"blue lake\"* tag:x")
                == .all([word("blue lake", in: .title, isPrefix: true), word("x", in: .keywords)])
        )
        #expect(try condition("IMG_0042.jpg a-b") == .all([word("IMG_0042.jpg"), word("a-b")]))
        #expect(try condition("Straße 日本") == .all([word("Straße"), word("日本")]))
    }

    @Test func `OR, AND, NOT and brackets`() throws {
        #expect(try condition("a OR b c") == .any([word("a"), .all([word("b"), word("c")])]))
        #expect(try condition("(a OR b) c") == .all([.any([word("a"), word("b")]), word("c")]))
        #expect(try condition("a AND -b NOT c") == .all([word("a"), .not(word("b")), .not(word("c"))]))
        #expect(try condition("-(a b) or") == .all([.not(.all([word("a"), word("b")])), word("or")]))
    }

    @Test func `numbers, sizes and their ranges`() throws {
        #expect(try condition("size:>1M") == .number(.size, from: .integer(1_048_577), to: nil))
        #expect(try condition("size:1K..2K") == .number(.size, from: .integer(1024), to: .integer(2048)))
        #expect(try condition("width:>=4000") == .number(.width, from: .integer(4000), to: nil))
        #expect(try condition("WIDTH:<10") == .number(.width, from: nil, to: .integer(9)))
        #expect(try condition("pages:3") == .number(.pages, from: .integer(3), to: .integer(3)))
        #expect(try condition("rank:-1..") == .number(.rank, from: .integer(-1), to: nil))
        #expect(try condition("id:>9223372036854775807") == .number(.id, from: .real(.infinity), to: nil))
        #expect(try condition("rank:<-9223372036854775808") == .number(.rank, from: nil, to: .real(-.infinity)))
        #expect(try condition("duration:<=2.5") == .number(.duration, from: nil, to: .real(2.5)))
    }

    @Test func `dates begin with the first moment and end with the last`() throws {
        func moment(_ text: String) throws -> SearchQuery.Value { .integer(try #require(Timestamp(text)).rawValue) }
        func before(_ text: String) throws -> SearchQuery.Value { .integer(try #require(Timestamp(text)).rawValue - 1) }
        #expect(try condition("after:2024-01-01") == .number(.date, from: moment("2024-01-01"), to: nil))
        #expect(try condition("before:2024") == .number(.date, from: nil, to: before("2024-01-01")))
        #expect(try condition("date:2024-02") == .number(.date, from: moment("2024-02-01"), to: before("2024-03-01")))
        #expect(try condition("date:>2023-12") == .number(.date, from: moment("2024-01-01"), to: nil))
        #expect(
            try condition("uploaded:2024-05-17T14:03:09Z")
                == .number(.uploaded, from: moment("2024-05-17T14:03:09Z"), to: before("2024-05-17T14:03:10Z"))
        )
    }

    @Test(arguments: [
        "before:1000", "date:1600", "uploaded:<1500", "date:>9999", "after:9999", "date:9999..",
        "size:>9223372036854775807", "id:<-9223372036854775808", "near:0,0,1e300km",
    ])
    func `what is beyond all numbers is a query like any other`(text: String) throws { _ = try SearchQuery(text) }

    @Test func `the other filters`() throws {
        #expect(try condition("type:image") == .kind(.image))
        #expect(try condition("type:image/PNG") == .mediaType("image/png"))
        #expect(try condition("ext:.JPG") == .fileExtension("jpg"))
        #expect(try condition("access:PRIVATE") == .access([.private]))
        #expect(try condition("access:private") == .access([.private, .hiddenPrivate, .sensitive, .hiddenSensitive]))
        #expect(try condition("access:2") == .access([.publicNotIndexable]))
        #expect(try condition("duplicate:yes") == .duplicate(true))
        #expect(try condition("in:\"a b/c\"") == .folder("a b/c"))
        let position = try #require(Position("48.2,16.4"))
        #expect(try condition("near:48.2,16.4,10km") == .near(position, metres: 10_000))
        #expect(try condition("near:48.2,16.4,5m") == .near(position, metres: 5))
    }

    @Test(arguments: [
        ("", "Nothing is looked for"), ("a OR", "Nothing is looked for"), ("()", "Nothing is looked for"),
        ("(a", "no “)”"),
        ("a)", "no “(”"), ("\"a", "quotation mark"), ("a -", "without a space"), ("NOT", "not wanted"),
        ("---", "without a space"), ("*", "letter or digit"), ("…", "letter or digit"),
        ("foo:bar", "no filter “foo”"), ("size:", "comes a value"), ("size:big", "“big”"), ("size:..", "two ends"),
        ("width:1.5", "whole number"),
        ("date:soon", "“soon”"), ("after:2024-13", "“2024-13”"), ("access:none", "“none”"),
        ("duplicate:maybe", "yes or no"),
        ("near:1,2", "a distance"), ("near:91,2,1km", "a distance"), ("near:1,2,3", "a distance"),
        ("sha256:12", "64 hexadecimal"), ("type:1", "a MIME type"),
    ])
    func `what is no query, and why`(text: String, reason: String) throws {
        do throws(SearchQuery.Invalid) {
            _ = try SearchQuery(text)
            Issue.record("this is a query: \(text)")
        } catch {
            #expect(error.reason.contains(reason))
        }
    }

    @Test func `a query has a hundred terms at most, and goes no deeper`() throws {
        #expect(throws: SearchQuery.Invalid.self) {
            try SearchQuery(Array(repeating: "a", count: 101).joined(separator: " "))
        }
        #expect(throws: SearchQuery.Invalid.self) { try SearchQuery(String(repeating: "(", count: 100_000) + "a") }
        #expect(throws: SearchQuery.Invalid.self) { try SearchQuery(String(repeating: "-", count: 100_000) + "a") }
    }

    @Test(arguments: ["a", "in:a/b", "100%", "%2F/%25", "ä/ö", "/\u{301}", "%\u{301}2F", "%2f"])
    func `a query as a name and back`(text: String) {
        let name = SearchQuery.name(of: text)
        #expect(!name.utf8.contains(0x2F) && SearchQuery.text(ofName: name) == text)
    }

    @Test(arguments: [
        ("image/jpeg", "image"), ("video/mp4", "video"), ("application/pdf", "document"),
        ("application/zip", "archive"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "document"),
        ("application/json", "text"),
        ("inode/x-empty", "other"), ("application/octet-stream", "other"),
    ])
    func `kinds of types`(type: String, kind: String) { #expect(MediaKind(mediaType: type).rawValue == kind) }
}
