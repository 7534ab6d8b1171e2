internal import AssetModel
internal import Catalog
internal import Synchronization

/// Names that were given up a moment ago, with the assets that they had: a program that removes a file, or moves it aside, and then
/// writes it anew means the same thing.
///
/// What NTFS calls tunnelling, with the same 15 seconds.
///
/// Kept in memory: a daemon that ends within the window forgets, and the asset stays where it went.
///
/// ## Concurrency
/// `state` takes no other lock.
final class Vacancies: Sendable {
    /// An asset that a name had.
    struct Vacancy: Sendable {
        let asset: AssetID
        /// The file that had the name.
        let node: NodeID
        /// The folder that it was in, and the name.
        let parent: NodeID
        let name: EntryName
        /// The asset of what that file replaced when it was put aside.
        let displaced: AssetID?
        /// Who could do what to that file when it lost the name.
        let rights: FileRights
        /// Who could read it then.
        let standing: Standing?
        /// Whether only a file that is complete when it takes the name may have the asset: one that is renamed to it.
        let isOnlyForMoved: Bool

        /// Returns whether the user who gives a file the name, and the file's owner, could go to what had it: the folder that is there now
        /// may be another.
        func isOpen(to uploader: Uploader, for newcomer: NodeRecord) -> Bool {
            guard let standing else { return true }
            if newcomer.uid != uploader.uid, newcomer.uid != standing.file.uid,
                !standing.showsName(to: newcomer.uid, isMember: { _ in false })
            {
                return false
            }
            return standing.showsName(to: uploader.uid, isMember: uploader.isMember(of:))
        }
    }

    private struct Key: Hashable {
        let parent: NodeID
        let name: EntryName
    }

    private struct State {
        var vacancies: ExpiringTable<Key, Vacancy>
        /// The name that each asset gave up last.
        var last: ExpiringTable<AssetID, Key>
        /// Folders that were removed a moment ago: git does that, and makes them anew with the files in them.
        var removed: ExpiringTable<Key, NodeID>
        /// Folders that were made in the place of a removed one, and the first that was in that place.
        var first: ExpiringTable<NodeID, NodeID>

        func key(_ name: EntryName, in parent: NodeID) -> Key { Key(parent: first[parent] ?? parent, name: name) }

        mutating func remove(_ key: Key) {
            guard let vacancy = vacancies.removeValue(forKey: key) else { return }
            if last[vacancy.asset] == key { last.removeValue(forKey: vacancy.asset) }
        }
    }

    private let state: Mutex<State>
    /// How long a moment is.
    private let window: Duration
    /// A program that removes more than that within the window is not saving files.
    private static let limit = 100_000

    init(window: Duration) {
        self.window = window
        state = Mutex(
            State(
                vacancies: ExpiringTable(window: window, limit: Self.limit),
                last: ExpiringTable(window: window, limit: Self.limit),
                removed: ExpiringTable(window: window, limit: Self.limit),
                // The names in a folder are remembered for a window after it was made.
                first: ExpiringTable(window: window + window, limit: Self.limit)
            )
        )
    }

    /// How many names and folders are remembered.
    var count: Int { state.withLock { $0.vacancies.count + $0.last.count + $0.removed.count + $0.first.count } }

    /// When a saving that ends now can have begun.
    var savingBegan: Timestamp { Timestamp(rawValue: Timestamp.now.rawValue - Int64(window / .nanoseconds(1))) }

    /// A name was given up.
    func add(
        _ name: EntryName,
        in parent: NodeID,
        asset: AssetID,
        node: NodeID,
        rights: FileRights,
        standing: Standing?,
        displacing displaced: AssetID? = nil,
        isOnlyForMoved: Bool = false
    ) {
        let vacancy = Vacancy(
            asset: asset,
            node: node,
            parent: parent,
            name: name,
            displaced: displaced,
            rights: rights,
            standing: standing,
            isOnlyForMoved: isOnlyForMoved
        )
        state.withLock { state in
            let key = state.key(name, in: parent)
            state.remove(key)
            state.vacancies.insert(vacancy, forKey: key)
            state.last.insert(key, forKey: asset)
        }
    }

    /// What a name had, if that was a moment ago.
    func find(_ name: EntryName, in parent: NodeID, forMoved isMoved: Bool) -> Vacancy? {
        let found = state.withLock { $0.vacancies[$0.key(name, in: parent)] }
        return found.flatMap { isMoved || !$0.isOnlyForMoved ? $0 : nil }
    }

    /// The name that an asset gave up last, if that was a moment ago and nothing has taken it since.
    func find(_ asset: AssetID) -> Vacancy? {
        let found = state.withLock { state in state.last[asset].flatMap { state.vacancies[$0] } }
        return found.flatMap { $0.isOnlyForMoved ? nil : $0 }
    }

    /// The name is taken again.
    func remove(_ name: EntryName, in parent: NodeID) {
        state.withLock { state in state.remove(state.key(name, in: parent)) }
    }

    /// Forgets the names of an asset that was given one on purpose.
    func remove(_ asset: AssetID) {
        state.withLock { state in
            for key in state.vacancies.keys(where: { $0.asset == asset }) { state.remove(key) }
        }
    }

    /// A folder was removed.
    func addFolder(_ name: EntryName, in parent: NodeID, _ folder: NodeID) {
        state.withLock { state in
            state.removed.insert(state.first[folder] ?? folder, forKey: state.key(name, in: parent))
        }
    }

    /// A folder was made: the names in it are those of the one that was removed in its place.
    func takeFolder(_ name: EntryName, in parent: NodeID, _ folder: NodeID) {
        state.withLock { state in
            let key = state.key(name, in: parent)
            guard let removed = state.removed[key] else { return }
            state.removed.removeValue(forKey: key)
            state.first.insert(removed, forKey: folder)
        }
    }
}
