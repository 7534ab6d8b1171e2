import AssetModel
import Testing

struct ShownValueTests {
    @Test func `a value that a sentence bears is shown whole`() {
        #expect(Shown.value("P3M") == "P3M")
        #expect(Shown.value(String(repeating: "ü", count: 200)) == String(repeating: "ü", count: 200))
        #expect(Shown.value("a\u{1}\\") == #"a\x01\\"#)
    }

    @Test func `a longer value is cut between two characters, and says how many there were`() {
        #expect(
            Shown.value(String(repeating: "東", count: 201)) == String(repeating: "東", count: 200) + "… (201 characters)"
        )
        // Combining marks of a single letter are counted as characters, too.
        let marks = "e" + String(repeating: "\u{301}", count: 50_000)
        #expect(Shown.value(marks) == "e" + String(repeating: "\u{301}", count: 199) + "… (50001 characters)")
        #expect(Shown.value([UInt8](repeating: 0x80, count: 60_000)).utf8.count < 4000)
    }

    @Test func `a line of a log is cut, and says how many bytes there were`() {
        #expect(Shown.line("Mounted.") == "Mounted.")
        let line = Shown.line(String(repeating: "ü", count: 5000))
        #expect(line == String(repeating: "ü", count: 2000) + "… (10000 bytes)")
    }
}
