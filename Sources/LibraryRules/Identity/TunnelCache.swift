public import AssetModel
public import Catalog
internal import LibraryStorage
internal import Synchronization

/// Remembers names that were given up within the window, with their assets: a program that removes a file, or
/// moves it aside, and then writes it anew means the same asset.
///
/// NTFS calls this tunnelling, and has the same 15 seconds.
///
/// The names are in memory only: a daemon that ends within the window forgets them, and the asset stays in
/// the trash or with the file that was moved aside.
///
/// ## Concurrency
/// `state` takes no other lock.
public final class Vacancies: Sendable {
    /// An asset that a name had.
    public struct Vacancy: Sendable {
        /// The asset that the name had.
        public let asset: AssetID
        /// The file that had the name.
        public let node: NodeID
        /// The folder that it was in, and the name.
        public let parent: NodeID
        /// The name.
        public let name: EntryName
        /// The asset of the file that this file replaced when it was put aside.
        public let displaced: AssetID?
        /// The rights of that file when it lost the name.
        public let rights: FileRights
        /// The users with read access to that file at that time.
        public let standing: Standing?
        /// Whether only a file that is complete when it gets the name may have the asset: one that is renamed
        /// to it.
        public let isOnlyForMoved: Bool

        /// Returns whether the user that gives a file the name, and the file's owner, could reach the file
        /// that had it: the folder may be another one by now.
        public func isOpen(to uploader: Uploader, for newcomer: NodeRecord) -> Bool {
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
        /// Folders that were removed within the window: git removes folders and makes them anew with the
        /// files in them.
        var removed: ExpiringTable<Key, NodeID>
        /// Folders that were made in the place of a removed one, and the first folder of that place.
        var first: ExpiringTable<NodeID, NodeID>

        func key(_ name: EntryName, in parent: NodeID) -> Key { Key(parent: first[parent] ?? parent, name: name) }

        mutating func remove(_ key: Key) {
            guard let vacancy = vacancies.removeValue(forKey: key) else { return }
            if last[vacancy.asset] == key { last.removeValue(forKey: vacancy.asset) }
        }
    }

    private let state: RankedMutex<State>
    /// The time for which a name is remembered.
    private let window: Duration
    /// The number of names that are remembered: a program that removes more within the window is not saving
    /// files.
    private static let limit = 100_000

    /// Makes an empty cache whose entries last for `window`.
    public init(window: Duration) {
        self.window = window
        state = RankedMutex(
            .leaf,
            State(
                vacancies: ExpiringTable(window: window, limit: Self.limit),
                last: ExpiringTable(window: window, limit: Self.limit),
                removed: ExpiringTable(window: window, limit: Self.limit),
                // The names of a folder are remembered for one window after it was made.
                first: ExpiringTable(window: window + window, limit: Self.limit)
            )
        )
    }

    /// The number of names and folders that are remembered.
    public var count: Int { state.withLock { $0.vacancies.count + $0.last.count + $0.removed.count + $0.first.count } }

    /// The earliest time at which a program that saves a file now may have begun.
    public var savingBegan: Timestamp { Timestamp(rawValue: Timestamp.now.rawValue - Int64(window / .nanoseconds(1))) }

    /// Remembers a name that was given up.
    public func add(
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

    /// Returns the asset that a name had, if it was given up within the window.
    public func find(_ name: EntryName, in parent: NodeID, forMoved isMoved: Bool) -> Vacancy? {
        let found = state.withLock { $0.vacancies[$0.key(name, in: parent)] }
        return found.flatMap { isMoved || !$0.isOnlyForMoved ? $0 : nil }
    }

    /// Returns the name that an asset gave up last, if that was within the window and no file has taken it
    /// since.
    public func find(_ asset: AssetID) -> Vacancy? {
        let found = state.withLock { state in state.last[asset].flatMap { state.vacancies[$0] } }
        return found.flatMap { $0.isOnlyForMoved ? nil : $0 }
    }

    /// Forgets a name that was taken again.
    public func remove(_ name: EntryName, in parent: NodeID) {
        state.withLock { state in state.remove(state.key(name, in: parent)) }
    }

    /// Forgets the names of an asset that a user has given a name on purpose.
    public func remove(_ asset: AssetID) {
        state.withLock { state in
            for key in state.vacancies.keys(where: { $0.asset == asset }) { state.remove(key) }
        }
    }

    /// Remembers a removed folder.
    public func addFolder(_ name: EntryName, in parent: NodeID, _ folder: NodeID) {
        state.withLock { state in
            state.removed.insert(state.first[folder] ?? folder, forKey: state.key(name, in: parent))
        }
    }

    /// Treats a new folder as the one that was removed in its place: names in that one are names in this one.
    public func takeFolder(_ name: EntryName, in parent: NodeID, _ folder: NodeID) {
        state.withLock { state in
            let key = state.key(name, in: parent)
            guard let removed = state.removed[key] else { return }
            state.removed.removeValue(forKey: key)
            state.first.insert(removed, forKey: folder)
        }
    }
}
