public import AssetModel
public import Catalog
public import LibraryRules
public import LibraryStorage
internal import Logging
internal import Synchronization

// Renames: moving files and folders that exist to other names.
extension AssetLibrary {
    /// How a move treats a new name that is taken.
    public enum Collision: Sendable {
        /// The file or folder at the new name loses it.
        case replace
        /// The move is refused.
        case refuse
        /// The two files or folders swap names.
        case exchange
    }

    /// Moves a file or folder to another name, with the rules of renameat2(2).
    ///
    /// An upload under a temporary name is committed here when its new name is final. `isReplacement` tells
    /// that the new name was given in `resources/ID/`, so that the former version is kept. With
    /// `leavesWhiteout` a device 0/0 takes the old name; overlayfs recognizes by it that the file below has
    /// been removed.
    /// - Returns: the node that lost the new name, if one did.
    public func move(
        _ name: EntryName,
        in parent: NodeID,
        to newName: EntryName,
        in newParent: NodeID,
        _ collision: Collision,
        isReplacement: Bool = false,
        leavesWhiteout: Bool = false,
        by uploader: Uploader
    ) throws(LibraryError) -> NodeRecord? {
        let (source, target, classes) = try read { records in
            let classes = (
                try rulebook.nameClass(of: name, in: parent, records),
                try rulebook.nameClass(of: newName, in: newParent, records)
            )
            return (try records.node(named: name, in: parent), try records.node(named: newName, in: newParent), classes)
        }
        let now = clock.now
        guard let source, !source.isExpired(at: now) else { throw .notFound }
        try refuseMoving(source, from: parent, to: newParent)
        try refuseVacating(name, in: parent)
        try refuseFixed(newParent, .immutable)
        if target != nil { try refuseVacating(newName, in: newParent) }
        if let target, target.isExpired(at: now) {
            _ = try removeIfExpired(newName, in: newParent)
            return try move(
                name,
                in: parent,
                to: newName,
                in: newParent,
                collision,
                isReplacement: isReplacement,
                leavesWhiteout: leavesWhiteout,
                by: uploader
            )
        }
        if target?.isFolder == true, let target {
            try refuseSealed(target.id)
            try removeExpired(in: target.id)
        }
        let uid = uploader.uid
        if source.isFile { try refuseName(newName, in: newParent, by: uid) }
        try refuseUnread(source, as: newName, in: newParent, by: uploader)
        if collision == .exchange {
            guard let target else { throw .notFound }
            try exchange((parent, name, source, classes.0), (newParent, newName, target, classes.1), by: uploader)
            return nil
        }
        if let target { try settleBeforeLoss(of: target.id, refusing: uid) }
        let isAside = classes.1 != .final || newName.isBackup(of: name)
        let entersPipeline = classes.0 != .final && classes.1 == .final
        var isIntoBackups = false
        if newName == name, parent != newParent { isIntoBackups = try read { try $0.isForBackups(newParent) } }
        let mayBeAside = newName.mayBeBackup(of: name) || isIntoBackups
        let isBusy = target.map { isBeingWritten($0.id) } ?? false
        let isUpload = entersPipeline && source.isFile && source.asset == nil
        let mayBeRefused = entersPipeline ? try mayRefuse(in: newParent) : false
        let moved = try holding(source.id, isComplete: entersPipeline, mayBeRefused: mayBeRefused, by: uid) {
            (isUnderWay) throws(LibraryError) in
            let screened = isUpload ? try screen(source.id, as: newName, in: newParent, by: uid) : nil
            if classes.1 != .final || source.isFolder { try makeAssetsOfWaiting(source.id) }
            let equal = EqualFiles()
            let isRepeated = isRepeated(source.id, as: newName, in: newParent)
            let moved = try write(judging: equal) { records in
                let arrival = Arrival(
                    place: try rulebook.place(newName, in: newParent, records),
                    nameClass: classes.1,
                    isReplacement: isReplacement,
                    formerly: (parent, name),
                    mayBeAside: mayBeAside,
                    equal: equal,
                    uploader: uploader,
                    isUnderWay: isUnderWay,
                    savingBegan: vacancies.savingBegan,
                    infection: screened,
                    isRepeated: isRepeated
                )
                let moved = try rename(name, in: parent, collision, arrival, isAside, isBusy, by: uploader, records)
                if leavesWhiteout, try records.node(named: name, in: parent) == nil, moved.refused == nil {
                    let whiteout = NodeRecord(mode: 0o020000, uid: uid, gid: uploader.gid, now: .now)
                    try records.insertEntry(name, in: parent, node: records.insert(whiteout).id)
                }
                return moved
            } then: {
                noteFolders(of: $0, in: newParent)
            }
            if let (refusal, place) = moved.refused {
                noteRefusal(refusal, of: source.id, at: place, isRepeated: isRepeated, by: uploader)
                throw LibraryError.refused(refusal)
            }
            notePublication(moved.version, of: source.id)
            return (moved, moved.version)
        }
        // The kernel would cache the new name for as long as the former one.
        if moved.changesAttributes { herald.tell(.attributes(source.id)) }
        if moved.changesExpiry { herald.tell(.changed(moved.otherName ?? newName, in: newParent)) }
        if !source.isFolder { keepQuotas(around: source.id) }
        for node in [source, moved.replaced].compactMap({ $0 }) {
            noteClosing(of: node.id, isFolder: node.isFolder)
        }
        if !leavesWhiteout { freeNumbers.free(name, in: parent) }
        if let other = moved.otherName {
            // The kernel caches `newName` for the moved file, which has another name now, or is removed.
            tellOfName(newName, in: newParent)
            if other != newName { tell(.appeared(other, in: newParent, node: source.id)) }
            if let replaced = moved.replaced { noteRemoval(replaced) }
            return moved.replaced
        }
        if let replaced = moved.replaced { noteRemoval(replaced) }
        vacancies.remove(newName, in: newParent)
        if let asset = moved.replacedAsset, moved.shown != asset, !isAside, let rights = moved.replacedRights {
            vacancies.add(
                newName,
                in: newParent,
                asset: asset,
                node: source.id,
                rights: rights,
                standing: moved.replacedStanding
            )
        }
        guard moved.hasFormer, let asset = moved.former, let rights = moved.rights else { return moved.replaced }
        // No vacancy is noted where another user moves a file aside before its commit.
        if isAside, isWaiting(source.id), uid != 0, uid != source.uid { return moved.replaced }
        // A file that keeps its asset has vacated its name for a program's save only if it was renamed to a
        // backup name. The new name proves that, or, with less certainty, a complete file that takes the
        // former name.
        if asset != moved.shown || isAside || mayBeAside {
            let isSure = isAside || asset != moved.shown && !mayBeAside
            let displaced = moved.isSuccessor ? moved.replaced?.asset : nil
            vacancies.add(
                name,
                in: parent,
                asset: asset,
                node: source.id,
                rights: rights,
                standing: moved.standing,
                displacing: displaced,
                isOnlyForMoved: !isSure
            )
        }
        return moved.replaced
    }

    /// Notes the folders that a move has changed, before any other operation may ask for their rules or
    /// bytes.
    private func noteFolders(of moved: Moved, in parent: NodeID) {
        if moved.isFolder { rulebook.forget() }
        if let move = moved.usage { usage.note(move) }
        if let removed = moved.removedFolder { usage.noteRemoval(of: removed, from: parent) }
    }

    /// Renames in the catalog, and updates the assets that the two files show.
    private func rename(
        _ name: EntryName,
        in parent: NodeID,
        _ collision: Collision,
        _ asked: Arrival,
        _ isAside: Bool,
        _ isBusy: Bool,
        by uploader: Uploader,
        _ records: Records
    ) throws -> Moved {
        var arrival = asked
        let newParent = arrival.parent
        var newName = arrival.name
        guard var source = try records.node(named: name, in: parent) else { throw LibraryError.notFound }
        _ = try records.folder(newParent)
        var target = try records.node(named: newName, in: newParent)
        if collision == .refuse, target != nil { throw LibraryError.nameTaken(newName) }
        // > If oldpath and newpath are existing hard links referring to the same file, then rename() does
        // > nothing — rename(2)
        if target?.id == source.id { return Moved() }
        if parent != newParent, source.isFolder { try records.refuse(newParent, within: source.id) }
        if source.isFolder {
            try refuseTooDeep(source, from: (name, parent), to: newName, in: newParent, records)
        }
        if let target { try records.refuseReplacing(target, as: newName, with: source) }
        var result = Moved()
        var found =
            try target == nil
            ? successor(
                of: newName,
                in: newParent,
                for: source,
                isMoved: true,
                isReplacement: arrival.isReplacement,
                by: uploader,
                records
            ) : nil
        if source.isFile {
            if source.asset != nil {
                let rights = try rulebook.rights(of: source, records)
                result.rights = rights
                result.standing = Standing(file: rights, ways: try rulebook.ways(to: parent, records))
            }
            if let target, target.isFile {
                let rights = try rulebook.rights(of: target, records)
                result.replacedRights = rights
                result.replacedStanding = Standing(file: rights, ways: try rulebook.ways(to: newParent, records))
                result.isSuccessor = try rulebook.allows(source, by: uploader, toSucceed: rights, records)
                if arrival.isReplacement, !result.isSuccessor {
                    throw LibraryError.notPermitted("An asset gets the content of a file that is the user's own.")
                }
            }
        }
        if !rulebook.isPlain {
            let former = try rulebook.of(parent, records)
            switch try admit(
                source,
                &arrival,
                replacing: target,
                isBusy: isBusy,
                found,
                from: former,
                uploader,
                records
            ) {
            case .refuse(let refusal):
                result.refused = (refusal, arrival.place)
                return result
            case .unchanged:
                result.replaced = try records.removeName(name, in: parent, of: source, at: .now)
                result.otherName = newName
                return result
            case .accept, .rename, .existing: break
            }
            if arrival.requested != nil {
                newName = arrival.name
                result.otherName = newName
                (target, found) = (nil, nil)
            }
        }

        let now = Timestamp.now
        if target != nil {
            try records.deleteEntry(newName, in: newParent)
            KillPoint.targetRemoved.reach()
        }
        try records.moveEntry(name, in: parent, to: newName, in: newParent)
        KillPoint.nameMoved.reach()
        if !collections.has(newParent) {
            try records.notePlacing(of: &source, isElsewhere: parent != newParent, by: uploader)
        }
        let lost: Int64 = target?.isFolder == true ? 1 : 0
        if parent == newParent {
            try records.touchFolder(parent, subfolders: -lost, at: now)
        } else {
            let moved: Int64 = source.isFolder ? 1 : 0
            try records.touchFolder(parent, subfolders: -moved, at: now)
            try records.touchFolder(newParent, subfolders: moved - lost, at: now)
        }
        try records.addLinks(0, to: source.id, at: now)

        result.isFolder = source.isFolder
        if source.isFolder, parent != newParent {
            result.usage = try usage.move(of: source.id, from: parent, to: newParent, records, rulebook)
        }
        if let target, target.isFolder {
            try records.recordRemoval(of: target.id, in: newParent)
            try records.countTrash(of: target.id, for: newParent)
            result.removedFolder = target.id
        }
        result.replaced = try target.map { try records.dropLink(of: $0, at: now) }
        result.replacedAsset = target?.asset
        if let target, result.isSuccessor { try records.passOnFields(of: target, to: source) }
        // A file that is renamed to a backup name keeps its asset until its former name is taken again.
        if source.asset == nil || !isAside {
            var heritage = found
            if let asset = target?.asset, result.isSuccessor {
                heritage = Heritage(
                    asset: asset,
                    former: result.replaced,
                    owner: target?.uid ?? 0,
                    rights: result.replacedRights,
                    standing: result.replacedStanding
                )
            }
            result.version = try records.arrive(source, arrival, heritage, rulebook)
            // The target's names in collections may have gone with its asset, so its record is read again.
            if let target { result.replaced = try records.node(target.id) ?? result.replaced }
        }
        // An asset that was left to another owner is in the trash already.
        if let replaced = result.replaced, replaced.asset == target?.asset {
            try rulebook.trashIfLost(replaced, as: newName, in: newParent, records)
        }
        let arrived = try records.node(source.id)
        if source.isFolder || arrival.nameClass == .final && source.asset != nil && arrived?.asset == source.asset {
            let from = try rulebook.place(name, in: parent, records).journalPath
            // Computed from the arrival's place: rules cached for a moved folder still have its former path.
            try records.append(
                source.isFolder ? .folderMoved : .moved,
                of: source.asset,
                at: arrival.place.path,
                by: uploader.uid
            ) {
                $0.add("from", from)
            }
        }
        result.shown = arrived?.asset
        result.changesAttributes = arrived?.effectiveMode != source.effectiveMode
        result.changesExpiry = arrived?.expires != source.expires
        result.former = source.asset
        result.hasFormer = try source.asset.map { try records.asset($0) != nil } ?? false
        return result
    }

    /// Whether a folder may refuse an upload, or give it another name.
    func mayRefuse(in folder: NodeID) throws(LibraryError) -> Bool {
        if rulebook.isPlain { return false }
        return try read { try rulebook.of(folder, $0).policy.mayRefuseOrRename }
    }
}
