internal import AssetLibrary
internal import AssetModel
internal import Synchronization

/// The assets that a query has found, for one open directory.
///
/// A position counts the assets that a reader was shown, and no others: the kernel hands positions to programs (telldir(3)), and a number
/// that counts hidden assets would tell how many there are.
///
/// ## Concurrency
/// `state` is held for a moment only; `look` is called without it.
final class FoundList: Sendable {
    private struct State {
        /// Assets that were listed, in the order of their positions.
        var shown: [AssetID] = []
        /// How many of all have been looked at.
        var looked = 0
    }

    private let all: [AssetID]
    private let state = Mutex(State())
    /// How many are looked at in one step.
    private static let step = 64

    init(_ all: [AssetID]) { self.all = all }

    /// Returns the next assets behind a position, with the position of each; none at the end.
    ///
    /// `look` says which of some assets the reader may be shown, in their order.
    func page(
        behind position: Int,
        _ look: (ArraySlice<AssetID>) throws(LibraryError) -> [AssetLibrary.Found]
    ) throws(LibraryError) -> [(found: AssetLibrary.Found, position: Int)] {
        var position = max(0, position)
        while true {
            let (known, looked) = state.withLock { state in
                let end = min(state.shown.count, position + Self.step)
                return (position < end ? Array(state.shown[position..<end]) : [], state.looked)
            }
            if !known.isEmpty {
                let positions = Dictionary(zip(known, (position + 1)...), uniquingKeysWith: { first, _ in first })
                let found = try look(known[...]).compactMap { one in positions[one.asset].map { (one, $0) } }
                // A page of which nothing may be shown any more is not the end.
                guard found.isEmpty else { return found }
                position += known.count
                continue
            }
            guard looked < all.count else { return [] }
            let some = all[looked..<min(all.count, looked + Self.step)]
            let shown = try look(some).map(\.asset)
            state.withLock { state in
                // Another thread that reads the same open directory may have been faster.
                guard state.looked == looked else { return }
                state.looked = some.endIndex
                state.shown += shown
            }
        }
    }
}
