public import AssetModel
public import Catalog
internal import LibraryStorage
internal import Synchronization

/// The smallest free number for a name that is taken, found without testing all numbers: a hundred thousand
/// uploads under one name cost no more each than the first.
///
/// ## Concurrency
/// Called from within catalog operations; `state` takes no other lock.
public final class FreeNumbers: Sendable {
    private struct Key: Hashable {
        let parent: NodeID
        let name: EntryName
    }

    private struct Numbers {
        /// All numbers below are taken, except those that became free.
        var next = 1
        /// The freed numbers, descending.
        var freed: [Int] = []

        mutating func free(_ number: Int) {
            // A binary search.
            var (low, high) = (0, freed.count)
            while low < high {
                let middle = (low + high) / 2
                if freed[middle] > number { low = middle + 1 } else { high = middle }
            }
            if low == freed.count || freed[low] != number { freed.insert(number, at: low) }
        }
    }

    private let state = RankedMutex<[Key: Numbers]>(.leaf, [:])
    private static let limit = 1000

    /// Makes an empty cache.
    public init() {}

    /// Returns the smallest free number, which may be taken with it.
    public func find(for name: EntryName, in parent: NodeID, _ records: Records) throws -> Int {
        let key = Key(parent: parent, name: name)
        var numbers = state.withLock { $0[key] } ?? Numbers()
        func isFree(_ number: Int) throws -> Bool {
            try records.node(named: name.numbered(number), in: parent) == nil
        }
        var found: Int?
        while found == nil, let smallest = numbers.freed.last {
            if try isFree(smallest) { found = smallest } else { numbers.freed.removeLast() }
        }
        while found == nil {
            if try isFree(numbers.next) { found = numbers.next } else { numbers.next += 1 }
        }
        // Numbers that contain a change are not kept, because the change may be undone yet.
        guard records.isUnchanged else { return found ?? numbers.next }
        state.withLock { state in
            if state.count >= Self.limit, state[key] == nil { state = [:] }
            state[key] = numbers
        }
        return found ?? numbers.next
    }

    /// Notes that a name became free.
    public func free(_ name: EntryName, in parent: NodeID) {
        state.withLock { state in
            guard !state.isEmpty else { return }
            // The base of a name that was cut to fit is unknown.
            let bases = name.unnumbered.map { [$0] } ?? (name.bytes.count < 250 ? [] : state.keys.map(\.name))
            for base in bases {
                let key = Key(parent: parent, name: base)
                guard let number = base.number(of: name), let numbers = state[key], number < numbers.next else {
                    continue
                }
                state[key]?.free(number)
            }
        }
    }
}
