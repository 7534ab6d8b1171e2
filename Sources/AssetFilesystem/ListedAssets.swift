internal import AssetLibrary
internal import AssetModel
internal import FUSE
internal import LibraryStorage
internal import Synchronization
internal import SystemPackage

/// The assets that a view shows to the user that has opened it, collected at the open.
///
/// In the directory of a query a position counts the assets that the reader was shown, and no others: the
/// kernel hands positions to programs (telldir(3)), and a number that counts hidden assets would reveal their
/// count. In the trash and in `resources/`, where assets are in the order of their numbers, the position is
/// the number.
///
/// ## Concurrency
/// `state` is held for a moment only; `look` is called without it.
final class ListedAssets: Sendable {
    private struct State {
        var assets: [AssetID]
        /// The share of memory that the user has taken for them.
        var share: UserShare
        var isBegun = false
    }

    private let state: Mutex<State>
    /// The number of assets that one step examines.
    private static let step = 16
    /// The number of steps without a visible asset after which a listing stops: the kernel holds the
    /// directory's lock meanwhile.
    private static let emptySteps = 64

    init(_ assets: [AssetID], _ share: UserShare) {
        state = Mutex(State(assets: assets, share: share))
    }

    /// Notes that a listing begins.
    /// - Returns: whether an earlier one has begun before.
    func begin() -> Bool {
        state.withLock { state in
            defer { state.isBegun = true }
            return state.isBegun
        }
    }

    /// Replaces the assets.
    func replace(by assets: [AssetID], _ share: UserShare) {
        let former = state.withLock { state in
            defer { (state.assets, state.share) = (assets, share) }
            return state.share
        }
        _ = former
    }

    /// Returns the visible ones of the next assets behind a position; nothing at the end.
    func page<Shown>(
        behind position: Int64,
        _ look: (_ some: ArraySlice<AssetID>, _ positions: [AssetID: Int64]) throws(OperationFailure) ->
            [Shown]
    ) throws(OperationFailure) -> [Shown] {
        try page(from: { Int(clamping: min(max(0, position), Int64($0.count))) }) {
            (some) throws(OperationFailure) in
            let positions = zip(some, some.indices).map { ($0, Int64($1) + 1) }
            return try look(some, Dictionary(positions, uniquingKeysWith: { first, _ in first }))
        }
    }

    /// Returns the visible ones of the next assets behind a number; nothing at the end.
    func page<Shown>(
        behindNumber number: Int64,
        _ look: (_ some: ArraySlice<AssetID>) throws(OperationFailure) -> [Shown]
    ) throws(OperationFailure) -> [Shown] {
        try page(from: { $0.firstIndex(behind: number) }, look)
    }

    private func page<Shown>(
        from first: ([AssetID]) -> Int,
        _ look: (ArraySlice<AssetID>) throws(OperationFailure) -> [Shown]
    ) throws(OperationFailure) -> [Shown] {
        let assets = state.withLock { $0.assets }
        var next = first(assets)
        for _ in 0..<Self.emptySteps {
            guard next < assets.count else { return [] }
            let some = assets[next..<min(assets.count, next + Self.step)]
            let shown = try look(some)
            if !shown.isEmpty { return shown }
            next = some.endIndex
        }
        // The directory has changed completely, and must be opened again.
        throw OperationFailure(.staleNFSFileHandle)
    }
}

extension [AssetID] {
    /// Returns the index of the first of the sorted numbers that is higher than a number.
    fileprivate func firstIndex(behind number: Int64) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle].rawValue > number { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
