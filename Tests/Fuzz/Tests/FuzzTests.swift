#if DEBUG
import Foundation
import FuzzTargets
import TestSupport
import Testing

/// A short `make fuzz` without libFuzzer: all inputs of the corpus, and some thousand mutations.
struct FuzzTests {
    private static let corpus = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("corpus").path

    private static func inputs(of target: String) throws -> [(name: String, bytes: [UInt8])] {
        let folder = "\(corpus)/\(target)"
        return try FileManager.default.contentsOfDirectory(atPath: folder).sorted().map {
            ($0, [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\($0)"))))
        }
    }

    @Test(arguments: FuzzTarget.all.map(\.name))
    func `what holds of every input holds of the corpus and of mutations`(name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        let inputs = try Self.inputs(of: name)
        #expect((1...50).contains(inputs.count) && inputs.allSatisfy { $0.bytes.count <= 1024 })
        for (file, bytes) in inputs { #expect(target.complaint(about: bytes) == nil, "corpus/\(name)/\(file)") }
        let seed = UInt64.random(in: 1...1_000_000)
        var mutations = Mutations(seed: seed, words: target.words.map { Array($0.utf8) })
        for number in 0..<2000 {
            let input = mutations.next(of: inputs.map(\.bytes))
            guard let complaint = target.complaint(about: input) else { continue }
            Issue.record("\(complaint); seed \(seed), mutation \(number): \(Data(input).base64EncodedString())")
            break
        }
    }

    @Test func `what holds of every input holds of what the parts in C are fed with`() throws {
        let script = Self.corpus + "/../fuzz.py"
        try withScratch { folder in
            try run("/usr/bin/python3", script, "--parts", "--runs", "1000", "--scratch", folder)
        }.check()
    }
}

/// Inputs that are derived from others: bytes changed, removed or doubled, and words of the language
/// inserted.
private struct Mutations {
    private var state: UInt64
    private let words: [[UInt8]]

    init(seed: UInt64, words: [[UInt8]]) {
        state = seed
        self.words = words
    }

    /// Returns a number below a limit, by xorshift64*.
    private mutating func number(below limit: Int) -> Int {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return Int((state &* 0x2545_F491_4F6C_DD1D) >> 33) % max(1, limit)
    }

    mutating func next(of inputs: [[UInt8]]) -> [UInt8] {
        var input = inputs[number(below: inputs.count)]
        for _ in 0...number(below: 4) {
            let place = number(below: input.count + 1)
            switch number(below: 6) {
            case 0: input.insert(UInt8(number(below: 256)), at: place)
            case 1 where place < input.count: input[place] = UInt8(number(below: 256))
            case 2 where place < input.count:
                input.removeSubrange(place..<min(input.count, place + 1 + number(below: 8)))
            case 3:
                let other = inputs[number(below: inputs.count)]
                input = Array(input[..<place] + other[number(below: other.count + 1)...])
            case 4: input.insert(contentsOf: input[place...].prefix(number(below: 16)), at: place)
            default: if !words.isEmpty { input.insert(contentsOf: words[number(below: words.count)], at: place) }
            }
        }
        return Array(input.prefix(4096))
    }
}
#endif
