internal import LibraryStorage
internal import Synchronization

/// Keeps texts that users have looked up, queries and tokens, under the numbers that the kernel has for them
/// as long as the mount lasts.
///
/// Each user has a limited number, of which the oldest is dropped first: one user's texts displace no other
/// user's. A text stays as long as any user has it, or it is open.
///
/// ## Concurrency
/// `state` is held for a moment only.
final class Numbering: Sendable {
    private struct Text {
        let text: String
        /// The number of users that have the text, plus the number of open handles on it.
        var uses = 0
    }

    /// A user's numbers, in the order of their last lookup.
    private struct Share {
        var numbers: [Int64: UInt64] = [:]
        var order: [UInt64: Int64] = [:]
        var first: UInt64 = 0
        var next: UInt64 = 0
    }

    private struct State {
        var texts: [Int64: Text] = [:]
        var numbers: [String: Int64] = [:]
        var shares: [UInt32: Share] = [:]
        /// The last number; it begins at another value in each mount, so that a handle of a former mount,
        /// which an NFS client may have, leads to nothing and not to another text.
        var last = Int64.random(in: 0..<1 << 40)

        /// Ends a use; the text is dropped with the last one.
        mutating func end(_ number: Int64) {
            guard let known = texts[number] else { return }
            texts[number]?.uses -= 1
            guard known.uses <= 1 else { return }
            texts[number] = nil
            numbers[known.text] = nil
        }
    }

    /// A use of a text for as long as it is open.
    final class Pin: Sendable {
        private let numbering: Numbering
        private let number: Int64

        fileprivate init(_ numbering: Numbering, _ number: Int64) {
            (self.numbering, self.number) = (numbering, number)
        }

        deinit { numbering.state.withLock { $0.end(number) } }
    }

    private let state = Mutex(State())
    /// The number of texts that are remembered for each user: an older one has to be looked up again.
    private let limit: Int

    init(limit: Int = 2000) { self.limit = limit }

    /// Returns the number of a text that a user has looked up.
    func number(of text: String, for uid: UInt32) -> Int64 {
        state.withLock { state in
            var number = state.numbers[text]
            if number == nil {
                state.last += 1
                state.numbers[text] = state.last
                state.texts[state.last] = Text(text: text)
                number = state.last
            }
            let found = number ?? state.last
            take(found, for: uid, &state)
            return found
        }
    }

    /// Makes a number the last one that a user has looked up, and drops the first where there are too many.
    private func take(_ number: Int64, for uid: UInt32, _ state: inout State) {
        var share = state.shares.removeValue(forKey: uid) ?? Share()
        defer { state.shares[uid] = share }
        if let former = share.numbers[number] {
            share.order[former] = nil
        } else {
            state.texts[number]?.uses += 1
        }
        share.numbers[number] = share.next
        share.order[share.next] = number
        share.next += 1
        while share.numbers.count > limit {
            defer { share.first += 1 }
            guard let old = share.order.removeValue(forKey: share.first) else { continue }
            share.numbers[old] = nil
            state.end(old)
        }
    }

    /// Returns the text behind a number.
    func text(_ number: Int64) -> String? { state.withLock { $0.texts[number]?.text } }

    /// Returns a pin that keeps the text behind a number while it is open; nil where there is none.
    func pin(_ number: Int64) -> Pin? {
        state.withLock { state in
            guard state.texts[number] != nil else { return nil }
            state.texts[number]?.uses += 1
            return Pin(self, number)
        }
    }
}
