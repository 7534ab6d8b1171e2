public import AssetModel
public import Catalog
internal import LibraryStorage

// Decides whether a file may show the asset that a name has, or had within the window: an asset never passes
// to another user just by its name.

extension Rulebook {
    /// Returns the present rights of a file.
    public func rights(of node: NodeRecord, _ records: Records) throws -> FileRights {
        var list: AccessControlList?
        if node.access?.isPrivate != true, kernelAttributes.mayHave(KernelAttributes.accessList, node.id) {
            list = try records.extendedAttribute(Array(KernelAttributes.accessList.utf8), of: node.id)
                .flatMap(AccessControlList.init)
        }
        return FileRights(uid: node.uid, gid: node.gid, mode: node.effectiveMode, list: list)
    }

    /// Returns whether a file may take over the asset of another file with these rights: the user that gives
    /// it the name, and where that is root its owner, must have been able to read and write the other file; a
    /// file of a third user takes over only that same user's asset, and only where the uploader could also
    /// read and write the file.
    public func allows(
        _ newcomer: NodeRecord,
        by uploader: Uploader,
        toSucceed former: FileRights,
        _ records: Records
    ) throws -> Bool {
        guard allows(uploader, toSucceed: former) else { return false }
        if newcomer.uid == uploader.uid { return true }
        // No groups are known of an absent user: not even the file's group, which may come from its folder.
        if uploader.uid == 0 {
            return allows(Uploader(absent: newcomer.uid, gid: newcomer.gid), toSucceed: former)
        }
        // The uploader could have copied one of the third user's two files over the other.
        return try newcomer.uid == former.uid && allows(uploader, toSucceed: rights(of: newcomer, records))
    }

    /// Returns whether a file of an uploader may take over the asset of another file with these rights.
    public func allows(_ uploader: Uploader, toSucceed former: FileRights) -> Bool {
        uploader.uid == former.uid || uploader.permissions(by: former) & 6 == 6
    }

    /// Returns whether a file may take over the asset of another file by that file's present rights.
    public func allows(
        _ newcomer: NodeRecord,
        by uploader: Uploader,
        toSucceed former: NodeRecord,
        _ records: Records
    ) throws -> Bool {
        if former.uid == newcomer.uid, [0, former.uid].contains(uploader.uid) { return true }
        return try allows(newcomer, by: uploader, toSucceed: rights(of: former, records), records)
    }

    /// Records the read access to a version that another file takes over, unless the file's commit follows at
    /// once and would record the same access.
    func keepRights(
        of heritage: Heritage,
        for newcomer: NodeRecord,
        _ arrival: Arrival,
        _ records: Records
    ) throws {
        guard let rights = heritage.rights else { return }
        let former = try heritage.standing ?? Standing(file: rights, ways: ways(to: arrival.parent, records))
        let isKnown = try !arrival.isUnderWay && former.ways.isEmpty && rights == self.rights(of: newcomer, records)
        if !isKnown { try records.keepStanding(former, ofNewestVersionOf: heritage.asset) }
    }
}
