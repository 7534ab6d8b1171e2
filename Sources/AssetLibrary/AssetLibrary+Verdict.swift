internal import AssetModel
internal import BlobStore
internal import Catalog
internal import LibraryRules
internal import LibraryStorage
internal import Synchronization

// The commit of an upload: its stages, and the state of the open file afterwards.
extension AssetLibrary {
    /// Commits an upload: runs the stages on the bytes of the open file.
    func commit(_ upload: inout OpenNode.Upload, of node: OpenNode) throws(LibraryError) {
        let isLinking = upload.isLinking
        var isNameless = node.isUnlinked.load(ordering: .relaxed)
        if !isNameless { isNameless = try isKeptWithoutName(node) }
        if !isLinking, isNameless { return try commitTrashed(&upload, of: node) }
        let size = node.content.size
        let (uploader, present, aim, rotation) = (upload.uploader, upload.version, upload.aim, upload.rotation)
        let (isReplacement, wanted, standing) = (upload.isReplacement, upload.requested, upload.standing)
        do {
            let state = interrupted(upload, of: node)
            let isAnswered = state.isAnswered
            // A file without a name always needs the folder's decision.
            let isJudged = aim != nil || !isAnswered && !rulebook.isPlain
            // A file that has been renamed to a backup name is not published.
            let place =
                isJudged ? try read { try destination(of: node.id, aim, $0) }.flatMap { $0.isFinal ? $0 : nil } : nil
            // The destination folder is gone, and with it all its files.
            if aim != nil, place == nil { throw LibraryError.notFound }
            // The replaced content becomes a version with all of its bytes, so it is committed first.
            if let place, aim?.replacing != nil, hasWaiting,
                let replaced = try read({ try $0.node(named: place.name, in: place.parent) })
            {
                try settleBeforeLoss(of: replaced.id)
            }
            try noticeMappedChanges(&upload, of: node)
            let isOnlyMapped = upload.mappedAt == upload.digest.changes.value
            let (candidate, sealed) = try seal(&upload, of: node, size: size)
            if isOnlyMapped, sealed.digest == node.shown.withLock({ $0.digest }) {
                // The mappings have written the bytes that the file had already.
                (upload.isDirty, upload.mappedAt, upload.candidate) = (false, nil, nil)
                return
            }
            diagnosis.note(nil, "node \(node.id): sealed, size \(size)\(sealed.digest.map { ", SHA-256 \($0)" } ?? "")")
            let content = Content(digest: sealed.digest, size: size)
            var infection: String?
            // Checked before the folder's policies are applied to the content.
            if let place, aim?.isByNumber == true,
                let refusal = try read({ try replacementRefusal(aim, at: place, by: uploader, $0) })
            {
                try refuse(&upload, of: node, content, at: place, refusal)
            }
            if let place {
                do throws(UploadRejection) {
                    let file = candidate?.file ?? node.content.file
                    infection = try screen(content, of: file, at: place, for: [.user(uploader.uid), .file(node.id)])
                } catch {
                    try refuse(&upload, of: node, content, at: place, error)
                }
            }
            // Decided before the bytes become a blob. The catalog operation below decides again, since other
            // requests may have changed the outcome.
            let equal = EqualFiles()
            if let place,
                let refusal = try foreseenRefusal(
                    content,
                    of: node.id,
                    at: place,
                    aim,
                    present,
                    uploader,
                    equal
                )
            {
                try refuse(&upload, of: node, content, at: place, refusal)
            }
            if let digest = sealed.digest { blobPins.pin(digest) }
            defer { if let digest = sealed.digest { blobPins.unpin(digest) } }
            let adopted = try Adopt(sealed, from: candidate, into: blobs, catalog: catalog)
            let isGivenAway = adopted.wasNew && !upload.isBound
            var isShown = false
            defer {
                // The file has a blob's name now: even if its row is not written, the next change goes to a
                // copy.
                if isGivenAway, !isShown { giveAway(&upload, of: node, as: sealed.digest) }
            }
            KillPoint.blobAdopted.reach()
            if adopted.wasNew { diagnosis.note(.adopted, "node \(node.id): its bytes have become a blob") }
            if adopted.isHealing, let digest = sealed.digest { try noteHealing(of: digest) }
            var modified: Timestamp?
            var lost: NodeRecord?
            var replaced: NodeRecord?
            var showsExisting = false
            let verdict = try catalog.write(judging: equal) { records -> Verdict in
                (lost, replaced, showsExisting) = (nil, nil, false)
                // Read in here, because a program may have set another time while the bytes were read.
                modified = node.shown.withLock { $0.modified }
                guard let record = try records.node(node.id), record.links > 0 || aim != nil || isLinking
                else { return .lost }
                var place = try destination(of: node.id, aim, records)
                if aim != nil, place == nil { throw LibraryError.notFound }
                var (judgement, requested) = (Judgement.accept, wanted)
                if isJudged, let place, place.isFinal {
                    let refusal = try replacementRefusal(aim, at: place, by: uploader, records)
                    judgement =
                        try refusal.map { .refuse($0) }
                        ?? judge(
                            submission(content, of: record, at: place, aim, present, uploader, equal, records),
                            records
                        )
                }
                switch judgement {
                case .refuse(let refusal): return .refused(refusal)
                case .unchanged(let asset):
                    if let place { try records.append(.unchanged, of: asset, at: place, by: uploader.uid, content) }
                    try records.deleteStaged(node.id)
                    return .unchanged(asset)
                case .accept: break
                case .rename(let name), .existing(_, let name):
                    if let asked = place, asked.name != name {
                        requested = asked.name
                        place = Place(name: name, rules: asked.rules)
                    }
                }
                let isReplacing = aim?.replacing != nil
                if aim != nil, mayHaveFlags.load(ordering: .relaxed), let place,
                    try records.flags(of: place.parent).contains(.immutable)
                {
                    return .refused(.forbidden("The folder is immutable; chattr -i ends that."))
                }
                if let aim, !isReplacing, let place {
                    try give(place, to: record, records)
                    if aim.isDropped { try handOver(node.id, to: place.parent, records) }
                }
                guard let show = try Show(sealed, in: node.id, modified, isNameless: isReplacing || isLinking, records)
                else {
                    return .lost
                }
                KillPoint.verdictShown.reach()
                if !adopted.wasNew { try mask(show.node, candidate, by: uploader, insteadOf: record.blob, records) }
                // A mapping may write on, and a crash must not lose the bytes that msync(2) puts on the disk.
                if upload.isBound, upload.isRecorded, let staged = upload.staged {
                    try records.recordStaged(node.id, file: staged.name, modified: nil, state)
                }
                guard let place else { return .waiting }
                if let uploaded = aim?.replacing?.uploaded {
                    let (version, former) = try replace(
                        at: place,
                        with: show.node,
                        uploaded,
                        by: uploader,
                        infection,
                        records
                    )
                    replaced = former
                    if let former, former.links == 0 { lost = former }
                    return .published(version, renamed: place)
                }
                var source: AssetID?
                if case .existing(let asset, _) = judgement, try !records.isOwned(asset, with: show.node, by: uploader)
                {
                    source = show.node.asset == nil ? asset : nil
                } else if case .existing(let asset, _) = judgement {
                    showsExisting = true
                    try records.show(asset, by: show.node, insteadOf: show.node.asset, at: place, rulebook)
                    try records.append(.existing, of: asset, at: place, by: uploader.uid, content, requested)
                    return .published(nil, renamed: aim != nil && !isReplacing ? place : nil)
                }
                let publish = try Publish(
                    show.node,
                    at: place,
                    by: uploader.uid,
                    replacing: present,
                    standing: standing,
                    digest: sealed.digest,
                    requested: requested,
                    infection: infection,
                    isReplacement: isReplacement,
                    rotation: rotation,
                    lifeFrom: clock.now,
                    rulebook,
                    records
                )
                if let source { try records.copyMissingFields(of: source, to: publish.asset) }
                return .published(publish.version, renamed: aim != nil ? place : nil)
            }
            KillPoint.verdictGiven.reach()
            keepQuotas(around: node.id)
            note(verdict, on: node.id)
            switch verdict {
            case .lost:
                if isGivenAway, let digest = sealed.digest { sweep.noteUnrecorded(digest) }
                return
            case .refused(let refusal):
                if isGivenAway, let digest = sealed.digest { sweep.noteUnrecorded(digest) }
                guard let place = try place ?? read({ try destination(of: node.id, aim, $0) }) else { return }
                if isGivenAway {
                    // The file is a blob now: later writes go to a copy.
                    isShown = true
                    upload.staged = nil
                    node.shown.withLock { $0.blob = contents.show(sealed.digest) }
                    if aim == nil, !upload.isBorn { upload.staged = try stageCopy(of: node, size: size) }
                }
                try refuse(&upload, of: node, content, at: place, refusal)
            case .unchanged(let asset):
                upload.unchanged = asset
                (upload.isDirty, upload.isRecorded) = (false, false)
                upload.refusal = nil
                return
            case .waiting: upload.version = nil
            case .published(let version, let renamed):
                upload.version = version
                upload.aim = nil
                node.original.store(0, ordering: .relaxed)
                if let renamed {
                    if let replaced {
                        tell(.vanished(renamed.name, in: renamed.parent, node: replaced, successor: node.id))
                    }
                    tell(.appeared(renamed.name, in: renamed.parent, node: node.id))
                }
                if aim != nil { herald.tell(.attributes(node.id)) }
                if let lost {
                    noteRemoval(lost)
                    herald.tell(.lost(lost.id))
                }
            }
            isShown = true
            // The file shows another asset now, which may be visible to other users than before.
            if showsExisting { herald.tell(.attributes(node.id)) }
            noteVerdict()
            upload.isDirty = false
            upload.isOnlyTruncated = false
            let mayBeMapped = upload.isBound || !upload.isNew && node.mappers.load(ordering: .relaxed) > 0
            (upload.isNew, upload.requested, upload.standing) = (false, nil, nil)
            // A mapping changes the content further, without a request.
            if mayBeMapped { try noteStanding(&upload, of: node) }
            if !upload.isBound { upload.isRecorded = false }
            (upload.mappedAt, upload.candidate) = (nil, nil)
            upload.refusal = nil
            // A superfluous staged file still serves its handles: it has the blob's bytes, but is no blob and
            // so stays private.
            if isGivenAway || sealed.digest == nil, !upload.isBound { upload.staged = nil }
            node.shown.withLock {
                $0.blob = contents.show(sealed.digest)
                if upload.staged == nil, sealed.digest == nil { $0.file = nil }
                if $0.modified == modified { $0.modified = nil }
            }
        } catch {
            throw LibraryError(error)
        }
    }

    private enum Verdict {
        /// The file has no name any more.
        case lost
        /// The file has the content; the asset is created with a final name.
        case waiting
        /// The content was this asset's already.
        case unchanged(AssetID)
        /// The asset has the content, in this version if the upload made one; the file has this name, if it
        /// had none before.
        case published(VersionID?, renamed: Place?)
        /// A policy refuses the upload, and nothing has changed.
        case refused(UploadRejection)
    }

    /// Counts and logs a verdict; `noteReceipt` counts a refusal.
    private func note(_ verdict: Verdict, on id: NodeID) {
        switch verdict {
        case .lost: diagnosis.note(nil, "node \(id): has lost its last name")
        case .refused: break
        case .unchanged(let asset): diagnosis.note(.committed, "node \(id): asset \(asset) has these bytes already")
        case .waiting: diagnosis.note(.committed, "node \(id): committed, to be published under a final name")
        case .published(let version, _):
            let outcome = version.map { "published as version \($0.rawValue)" } ?? "published, without a new version"
            diagnosis.note(.committed, "node \(id): \(outcome)")
        }
    }

    /// Publishes the bytes of a file in the trash: its asset gets them as a version, and stays there.
    private func commitTrashed(_ upload: inout OpenNode.Upload, of node: OpenNode) throws(LibraryError) {
        let isKept = node.isKept.load(ordering: .relaxed)
        guard upload.isDirty, upload.aim == nil, !upload.isBound || isKept, isWaiting(node.id),
            isKept || upload.bytesToRead(node.content.size) <= Self.quickBytes
        else { return }
        do {
            let asset = try read { records in
                try records.node(node.id)?.asset.flatMap { try records.trashed($0) }.flatMap {
                    $0.node == node.id ? $0.asset : nil
                }
            }
            guard let asset else { return }
            let (candidate, sealed) = try seal(&upload, of: node, size: node.content.size)
            if let digest = sealed.digest { blobPins.pin(digest) }
            defer { if let digest = sealed.digest { blobPins.unpin(digest) } }
            let adopted = try Adopt(sealed, from: candidate, into: blobs, catalog: catalog)
            let (uid, standing) = (upload.uploader.uid, upload.standing)
            var isShown = false
            defer { if adopted.wasNew, !upload.isBound, !isShown { giveAway(&upload, of: node, as: sealed.digest) } }
            try catalog.write { records in
                guard let show = try Show(sealed, in: node.id, nil, isNameless: true, records) else { return }
                guard try records.newestVersion(of: asset)?.blob != show.node.blob else { return }
                guard let trashed = try records.trashed(asset), let name = try? EntryName(trashed.name) else { return }
                _ = try records.insertVersion(
                    of: asset,
                    blob: show.node.blob,
                    size: sealed.size,
                    uid: uid,
                    name: name,
                    at: .now,
                    insteadOf: [standing, try records.standing(ofTrashed: trashed)].compactMap { $0 }
                )
            }
            isShown = true
            sweep.lateContents.add(1, ordering: .relaxed)
            noteVerdict()
            diagnosis.note(.committed, "node \(node.id): committed in the trash")
            (upload.isDirty, upload.isRecorded, upload.standing) = (false, false, nil)
            (upload.mappedAt, upload.candidate) = (nil, nil)
            if !upload.isBound, adopted.wasNew || sealed.digest == nil { upload.staged = nil }
            node.shown.withLock { $0.blob = contents.show(sealed.digest) }
        } catch {
            throw LibraryError(error)
        }
    }

    /// Releases a private file that has become a blob although its commit has failed.
    private func giveAway(_ upload: inout OpenNode.Upload, of node: OpenNode, as digest: Digest?) {
        if upload.isRecorded { upload.given = upload.staged }
        upload.staged = nil
        node.shown.withLock { $0.blob = contents.show(digest) }
    }

    private func seal(
        _ upload: inout OpenNode.Upload,
        of node: OpenNode,
        size: Int64
    ) throws(BlobStoreError) -> (StagedFile?, Seal) {
        let (file, digest) = node.shown.withLock { ($0.file, $0.digest) }
        // Without a private file the content is a blob already: `copy` has put it there.
        if upload.staged == nil, !upload.isBound, size > 0, let file, let digest {
            return (nil, try Seal(blob: file, digest, size: size))
        }
        // A mapping may change a bound file at any moment, so a copy of it is sealed and becomes the blob.
        var candidate = size > 0 ? try privateFile(&upload, of: node) : nil
        if upload.isBound, size > 0 {
            if let prepared = upload.candidate, prepared.changes == upload.digest.changes.value {
                candidate = prepared.file
            } else if let staged = upload.staged {
                try takeSpace(forCopyOf: node, size: size)
                upload.digest.disturb()
                (candidate, upload.unmappedSince) = try copyBoundFile(staged, size: size)
            }
        }
        return (candidate, try Seal(candidate, upload.digest, size: size))
    }

    /// Returns the place at which a file is to be published; nil while all its names are temporary or junk.
    func destination(of id: NodeID, _ aim: OpenNode.Aim?, _ records: Records) throws -> Place? {
        if let replaced = aim?.replacing?.asset {
            // The present place of the replaced asset's file counts.
            guard let file = try records.nodes(showing: replaced).first else { return nil }
            if let aim, let named = try records.node(named: aim.name, in: aim.parent), named.asset == replaced {
                return try rulebook.place(aim.name, in: aim.parent, records)
            }
            return try records.anyEntry(of: file).map { try rulebook.place($0.name, in: $0.parent, records) }
        }
        if let aim {
            guard let folder = try records.node(aim.parent), folder.links > 0 else { return nil }
            return try rulebook.place(aim.name, in: aim.parent, records)
        }
        return try records.node(id).flatMap { try placeToPublish($0, records) }
    }

    /// Returns the place at which a file shows an asset; nil while the file has only temporary or junk names.
    func placeToPublish(_ node: NodeRecord, _ records: Records) throws -> Place? {
        if node.asset != nil {
            return try records.anyEntry(of: node.id).map { try rulebook.place($0.name, in: $0.parent, records) }
        }
        for entry in try records.entriesNaming(node.id) {
            let place = try rulebook.place(entry.name, in: entry.parent, records)
            if place.isFinal { return place }
        }
        return nil
    }

    /// Gives a file without a name the name that its upload was accepted under.
    private func give(_ place: Place, to node: NodeRecord, _ records: Records) throws {
        let now = Timestamp.now
        // The asset of a file whose name was removed by a refusal is restored from the trash with it.
        if let asset = node.asset { try records.restore(asset) }
        try records.insertEntry(place.name, in: place.parent, node: node.id)
        try records.addLinks(1, to: node.id, at: now)
        try records.touchFolder(place.parent, at: now)
    }
}
