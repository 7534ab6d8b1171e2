public import AssetModel
public import Catalog
internal import LibraryStorage

extension Records {
    /// Prunes former versions of an asset that has just got a new one: those that were current for too short
    /// a time, and those beyond the count, but not the original where `retention` keeps it.
    ///
    /// `isReplacement` says that the newest of them was replaced through `resources/ID/`.
    public func retire(versionsOf asset: AssetID, keeping retention: VersionRetention, isReplacement: Bool) throws {
        guard retention.count != nil || retention.shortestStay != nil else { return }
        var former = try formerVersions(of: asset)
        // An empty version comes from a program that creates a file before it has anything to write.
        if retention.keepsOriginal, let original = former.lastIndex(where: { $0.size > 0 }) {
            former.remove(at: original)
            // The newest of the others was checked when it was replaced.
            if original == 0 { return }
        }
        if !isReplacement, let newest = former.first, let stay = retention.shortestStay,
            // Where the clock has been set back, it is unknown how long the version was current.
            newest.created <= newest.superseded, stay.added(to: newest.created) > newest.superseded
        {
            try deleteFormerVersion(newest.id, of: asset)
            former.removeFirst()
        }
        for version in former.dropFirst(retention.count ?? .max) { try deleteFormerVersion(version.id, of: asset) }
    }
}
