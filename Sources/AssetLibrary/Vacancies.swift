internal import AssetModel
internal import Synchronization

/// Names that were given up a moment ago, with the assets that they had: a program that removes a file, or moves it aside, and then
/// writes it anew means the same thing.
///
/// What NTFS calls tunnelling, with the same 15 seconds.
///
/// Kept in memory: a daemon that ends within the window forgets, and the asset stays where it went.
///
/// ## Concurrency
/// `vacancies` takes no other lock.
final class Vacancies: Sendable {
    /// An asset that a name had.
    struct Vacancy: Sendable {
        let asset: AssetID
        /// The file that had the name.
        let node: NodeID
        /// The asset of what that file replaced when it was put aside.
        let displaced: AssetID?
        fileprivate let deadline: ContinuousClock.Instant
    }

    private struct Key: Hashable {
        let parent: NodeID
        let name: EntryName
    }

    private let vacancies = Mutex<[Key: Vacancy]>([:])
    /// How long a moment is.
    private let window: Duration
    private static let limit = 100_000

    init(window: Duration) { self.window = window }

    /// When a saving that ends now can have begun.
    var savingBegan: Timestamp { Timestamp(rawValue: Timestamp.now.rawValue - Int64(window / .nanoseconds(1))) }

    /// A name was given up.
    func add(
        _ name: EntryName,
        in parent: NodeID,
        asset: AssetID,
        node: NodeID,
        displacing displaced: AssetID? = nil
    ) {
        let now = ContinuousClock.now
        let vacancy = Vacancy(asset: asset, node: node, displaced: displaced, deadline: now + window)
        vacancies.withLock { vacancies in
            if vacancies.count >= Self.limit { vacancies = vacancies.filter { $0.value.deadline > now } }
            // Whoever removes more than that within the window is not saving files.
            if vacancies.count >= Self.limit { vacancies = [:] }
            vacancies[Key(parent: parent, name: name)] = vacancy
        }
    }

    /// What a name had, if that was a moment ago.
    func find(_ name: EntryName, in parent: NodeID) -> Vacancy? {
        let found = vacancies.withLock { $0[Key(parent: parent, name: name)] }
        return found.flatMap { $0.deadline > .now ? $0 : nil }
    }

    /// The name is taken again.
    func remove(_ name: EntryName, in parent: NodeID) {
        vacancies.withLock { _ = $0.removeValue(forKey: Key(parent: parent, name: name)) }
    }
}
