internal import AssetModel
internal import FUSE
internal import Synchronization

/// The signed paths that somebody has come by, under the numbers that the kernel has for them, and the files that are being put into
/// folders by them.
///
/// ## Concurrency
/// `state` is held for a moment only and takes no other lock.
final class SignedPaths: Sendable {
    /// A name that somebody has made by a signed path: nobody else sees it there.
    struct Name: Hashable {
        let path: Int64
        let name: [UInt8]
        let uid: UInt32
    }

    /// The file that it means, until that has its name in the folder.
    struct Drop {
        let node: NodeID
        /// Whether it waits for its final name.
        let isTemporary: Bool
        /// Since when nobody has it open.
        var released: ContinuousClock.Instant?
    }

    private struct State {
        var tokens: [Int64: String] = [:]
        var numbers: [String: Int64] = [:]
        var drops: [Name: Drop] = [:]
    }

    private let state = Mutex(State())

    /// The number of a path, which is right as long as the mount lasts.
    func number(of token: String) -> Int64 {
        state.withLock { state in
            if let known = state.numbers[token] { return known }
            let number = Int64(state.numbers.count + 1)
            state.numbers[token] = number
            state.tokens[number] = token
            return number
        }
    }

    /// The token behind a number.
    func token(_ number: Int64) -> String? { state.withLock { $0.tokens[number] } }

    func drop(_ name: Name) -> Drop? { state.withLock { $0.drops.isEmpty ? nil : $0.drops[name] } }

    func add(_ name: Name, _ drop: Drop) -> Drop? { state.withLock { $0.drops.updateValue(drop, forKey: name) } }

    /// Forgets a name, if it still means a file.
    func remove(_ name: Name, _ node: NodeID) -> Bool {
        state.withLock { state in
            guard state.drops[name]?.node == node else { return false }
            state.drops[name] = nil
            return true
        }
    }

    /// Nobody has the file open any more.
    func noteRelease(_ name: Name) { state.withLock { $0.drops[name]?.released = .now } }

    /// Whether a file is on its way into a folder.
    func has(_ node: NodeID) -> Bool {
        state.withLock { state in !state.drops.isEmpty && state.drops.values.contains { $0.node == node } }
    }

    /// How long a file under a temporary name waits for its final one.
    private static let patience = Duration.seconds(600)

    /// Files that have not got their final name in time, which are forgotten with this.
    func leftBehind() -> [NodeID] {
        state.withLock { state in
            guard !state.drops.isEmpty else { return [] }
            let old = state.drops.filter { $0.value.released.map { $0 + Self.patience < .now } ?? false }
            for (name, _) in old { state.drops[name] = nil }
            return old.values.map(\.node)
        }
    }
}
