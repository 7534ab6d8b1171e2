internal import AssetModel
internal import Catalog
internal import Synchronization

/// How many bytes folders with a quota hold: counted once, and then kept up to date.
///
/// A file that has two names counts twice.
///
/// ## Concurrency
/// Called from within operations of the catalog; `sizes` takes no other lock.
final class FolderUsage: Sendable {
    private let sizes = Mutex<[NodeID: Int64]>([:])

    /// What a folder holds.
    func of(_ folder: NodeID, _ records: Records) throws -> Int64 {
        if let known = sizes.withLock({ $0[folder] }) { return known }
        let counted = try records.size(below: folder)
        sizes.withLock { $0[folder] = counted }
        return counted
    }

    /// A folder, and with it those that it is in, holds more or less.
    func add(_ bytes: Int64, to rules: FolderRules) {
        guard bytes != 0, !rules.quotas.isEmpty else { return }
        sizes.withLock { sizes in
            for quota in rules.quotas { sizes[quota.folder]? += bytes }
        }
    }

    /// A folder was moved: all is counted again when it is asked for.
    func forget() { sizes.withLock { $0 = [:] } }
}
