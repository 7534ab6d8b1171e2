internal import Synchronization

/// Texts that somebody has come by, queries and tokens, under the numbers that the kernel has for them as long as the mount lasts.
///
/// ## Concurrency
/// `state` is held for a moment only.
final class Numbering: Sendable {
    private struct State {
        var texts: [Int64: String] = [:]
        var numbers: [String: Int64] = [:]
        /// Begins elsewhere in each mount: a handle of a former one, which an NFS client may have, leads to nothing and not to another text.
        var last = Int64.random(in: 0..<1 << 40)
    }

    private let state = Mutex(State())
    /// So many are remembered: whoever comes back to an older one by its number looks it up anew.
    private static let limit: Int64 = 10_000

    /// The number of a text.
    func number(of text: String) -> Int64 {
        state.withLock { state in
            if let known = state.numbers[text] { return known }
            state.last += 1
            state.numbers[text] = state.last
            state.texts[state.last] = text
            if let old = state.texts.removeValue(forKey: state.last - Self.limit) { state.numbers[old] = nil }
            return state.last
        }
    }

    /// The text behind a number.
    func text(_ number: Int64) -> String? { state.withLock { $0.texts[number] } }
}
