import AssetModel
import Testing

struct FieldTypeTests {
    /// Takes milliseconds; a linear search of the list for each value took minutes.
    @Test(.timeLimit(.minutes(1)))
    func `a list as long as an attribute is read at once, and so are its values`() throws {
        let values = (0..<14_000).map { String($0, radix: 36) }
        let type = try FieldType("many:" + values.joined(separator: "|"))
        #expect(type.objection(to: Array(values.reversed().joined(separator: ",").utf8)) == nil)
        #expect(throws: Policy.Objection.self) { try FieldType("one:" + (values + ["1"]).joined(separator: "|")) }
    }

    @Test(arguments: [
        ("text:5", ["", "fünf5"], ["sechs6"]),
        ("integer", ["0", "-7", "9223372036854775807"], ["", "1.5", "9223372036854775808", "x", "1 "]),
        ("integer:1..999", ["1", "999"], ["0", "1000", "-1"]), ("integer:..5", ["-100", "5"], ["6"]),
        ("number:0.5..", ["0.5", "1e3", ".75"], ["0.4", "inf", "nan", "0x10", ""]),
        ("number:.5...75", ["0.6"], ["0.8"]),
        ("boolean", ["0", "1"], ["true", "2", ""]),
        ("date", ["2024-02-29"], ["2023-02-29", "2024-02", "2024:02:29", "2024-02-29T10:00:00", " 2024-02-29"]),
        (
            "datetime", ["2024-05-17T14:03", "2024-05-17T14:03:09.5+02:00"],
            ["2024-05-17", "2024-05-17 14:03", "2024-05-17T25:00"]
        ),
        ("daterange", ["2024-05-17/2024-05-17"], ["2024-05-17", "2024-05-18/2024-05-17", "2024-05-17/", "a/b"]),
        ("one:in| out side |a,b", ["in", "out side", "a,b"], ["In", "out", "", "in,out side"]),
        ("many:red|deep blue", ["", "red", "deep blue, red"], ["green", "red,", "red,green"]), ("any", ["", "x"], []),
    ])
    func `a type takes its values, and no others`(type: String, good: [String], bad: [String]) throws {
        let type = try FieldType(type)
        for value in good { #expect(type.objection(to: Array(value.utf8)) == nil, "\(value)") }
        for value in bad { #expect(type.objection(to: Array(value.utf8)) != nil, "\(value)") }
    }

    @Test(arguments: [
        "", "text", "text:0", "text:x", "integer:", "integer:5", "integer:5..1", "integer:1.5..2", "boolean:1", "one",
        "one:",
        "one:a||b", "one:a|a", "many:a,b|c", "dropdown:a", "any:x", "date:2024",
    ])
    func `what is no type is refused, with words`(text: String) {
        #expect(throws: Policy.Objection.self) { try FieldType(text) }
    }

    @Test func `a refused value is told what would be taken`() throws {
        let objection = try FieldType("one:interior|exterior").objection(to: Array("aerial".utf8))
        #expect(objection?.reason == "it is not one of “interior”, “exterior”")
        let range = try FieldType("integer:1..").objection(to: Array("0".utf8))
        #expect(range == .outOfRange("it is not a whole number from 1"))
    }

    @Test func `keys of policies have names, and names keys`() throws {
        let keys = PolicyKey.general + [.field(.caption)]
        #expect(Set(keys.map(\.rawValue)).count == keys.count)
        for key in keys { #expect(PolicyKey(rawValue: key.rawValue) == key) }
        for name in ["", "field", "field.", "field.nothing", "field.meta.", "Preset"] {
            #expect(PolicyKey(rawValue: name) == nil)
        }
    }
}
