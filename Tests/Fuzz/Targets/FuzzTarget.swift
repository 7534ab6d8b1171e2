// Tests internal functions, too: `@testable` needs a debug build, or the build of `make fuzz`.
#if DEBUG || ASSETFS_FUZZ
/// A parser of untrusted input, with the conditions that hold for every input.
public struct FuzzTarget: Sendable {
    /// The name of the target, and of its folder in `corpus`.
    public let name: String
    /// Words of the parser's language, used in mutations.
    public let words: [String]
    private let body: @Sendable ([UInt8]) throws -> Void

    init(_ name: String, words: [String] = [], _ body: @escaping @Sendable ([UInt8]) throws -> Void) {
        self.name = name
        self.words = words
        self.body = body
    }

    /// Runs the parser on an input.
    /// - Returns: a sentence about the condition that does not hold, or nil.
    public func complaint(about input: [UInt8]) -> String? {
        do {
            try body(input)
            return nil
        } catch {
            return "\(name): \(error)"
        }
    }

    /// All targets, in the order of their names.
    public static let all: [FuzzTarget] = [
        answers, arguments, embedded, fetches, fields, information, journals, json, lists, locks, mounts, names,
        options,
        patterns, periods, policies, probes, queries, removed, rows, scanner, shown, sidecars, times, tokens, views,
    ]
}

/// A condition that does not hold.
struct Complaint: Error, CustomStringConvertible {
    let description: String
}

/// Throws a complaint if a condition does not hold.
func demand(_ condition: Bool, _ sentence: @autoclosure () -> String) throws {
    if !condition { throw Complaint(description: sentence()) }
}

/// Returns the input as text if it is valid UTF-8.
func text(_ input: [UInt8]) -> String? { String(validating: input, as: UTF8.self) }

/// Splits an input at its first line end.
func halves(_ input: [UInt8]) -> (first: [UInt8], second: [UInt8]) {
    guard let end = input.firstIndex(of: 0x0A) else { return (input, []) }
    return (Array(input[..<end]), Array(input[(end + 1)...]))
}
#endif
