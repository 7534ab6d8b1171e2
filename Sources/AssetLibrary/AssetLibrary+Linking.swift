public import AssetModel
public import Catalog
public import LibraryRules
public import LibraryStorage
internal import Synchronization

// Further names of existing files.
extension AssetLibrary {
    /// Gives a node another name; with `isReplacement`, one in `resources/ID/`.
    public func link(
        _ id: NodeID,
        as name: EntryName,
        in parent: NodeID,
        isReplacement: Bool = false,
        by uploader: Uploader
    ) throws(LibraryError) -> NodeRecord {
        let uid = uploader.uid
        try refuseSealed(parent)
        try refuseFixed(parent, .immutable)
        try refuseFixed(id)
        try refuseName(name, in: parent, by: uid)
        _ = try removeIfExpired(name, in: parent)
        let isWaiting = try read { records in
            guard let node = try records.node(id) else { throw LibraryError.notFound }
            return try node.isFile && placeToPublish(node, records) == nil
        }
        if let node = try read({ try $0.node(id) }) { try refuseUnread(node, as: name, in: parent, by: uploader) }
        if let node = openNode(id), node.upload.withLockIfAvailable({ $0.aim != nil }) ?? false {
            throw .notPermitted("The file is to have its name when it is closed, and no other.")
        }
        let mayBeRefused = isWaiting ? try mayRefuse(in: parent) : false
        let isFirst = isLinkable(id)
        if isFirst, collections.has(parent) {
            throw .notPermitted(
                "A collection holds links to files that are in folders/; give the file a name there first."
            )
        }
        let linked = try holding(id, isComplete: isWaiting, mayBeRefused: mayBeRefused, isLinking: isFirst, by: uid) {
            (isUnderWay) throws(LibraryError) in
            let screened = isWaiting ? try screen(id, as: name, in: parent, by: uid) : nil
            let equal = EqualFiles()
            let isRepeated = isRepeated(id, as: name, in: parent)
            let (linked, refused) = try write(judging: equal) {
                records -> ((NodeRecord, VersionID?)?, (refusal: UploadRejection, place: Place)?) in
                _ = try records.folder(parent)
                guard var node = try records.node(id), node.links > 0 || isFirst else { throw LibraryError.notFound }
                guard !node.isFolder else { throw LibraryError.notPermitted("A folder cannot have two names.") }
                guard try records.node(named: name, in: parent) == nil else { throw LibraryError.nameTaken(name) }
                var arrival = Arrival(
                    place: try rulebook.place(name, in: parent, records),
                    nameClass: try rulebook.nameClass(of: name, in: parent, records),
                    isReplacement: isReplacement,
                    formerly: try isReplacement ? records.anyEntry(of: id).map { ($0.parent, $0.name) } : nil,
                    equal: equal,
                    uploader: uploader,
                    isUnderWay: isUnderWay,
                    savingBegan: vacancies.savingBegan,
                    infection: screened,
                    isRepeated: isRepeated
                )
                // A file that is an asset under another name keeps that asset: rsync links the files that it
                // backs up.
                let found =
                    node.asset == nil || isReplacement
                    ? try successor(
                        of: name,
                        in: parent,
                        for: node,
                        isMoved: true,
                        isReplacement: isReplacement,
                        by: uploader,
                        records
                    ) : nil
                if isWaiting {
                    switch try admit(node, &arrival, replacing: nil, found, from: nil, uploader, records) {
                    case .refuse(let refusal): return (nil, (refusal, arrival.place))
                    default: break
                    }
                } else if node.size > 0, !collections.has(parent),
                    // A file counts under each of its names.
                    let refusal = try exceededQuota(of: arrival.place.rules, for: uploader, records, { _ in node.size })
                {
                    if !isRepeated {
                        try records.append(refusal, at: arrival.place, by: uid, content(of: node, records))
                    }
                    return (nil, (refusal, arrival.place))
                }
                let now = Timestamp.now
                if !collections.has(parent) {
                    try records.notePlacing(of: &node, isElsewhere: true, keepsOthers: true, by: uploader)
                }
                try records.insertEntry(name, in: parent, node: id, isOfCollection: collections.has(parent))
                try records.addLinks(1, to: id, at: now)
                try records.touchFolder(parent, at: now)
                node.links += 1
                node.changed = now
                let version = try records.arrive(node, arrival, found, rulebook)
                return ((try records.node(id) ?? node, version), nil)
            }
            if let refused {
                noteRefusal(refused.refusal, of: id, at: refused.place, isRepeated: isRepeated, by: uploader)
                throw LibraryError.refused(refused.refusal)
            }
            guard let linked else { throw LibraryError.notFound }
            if isFirst { noteLinked(id) }
            notePublication(linked.1, of: id)
            return linked
        }
        if isFirst { dropKept([id]) }
        vacancies.remove(name, in: parent)
        return linked
    }
}
