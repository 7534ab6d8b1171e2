internal import AssetModel
internal import BlobStore
internal import Catalog
internal import LibraryRules
internal import LibraryStorage
internal import Synchronization

// Files that get a name by rename(2) or link(2). For a file that was temporary until then this is its
// upload's commit.
extension AssetLibrary {
    /// Applies the policy of the destination folder to a file, and enters the decision in `arrival`.
    ///
    /// For a file that is an asset already, only the quotas of its new folders are checked. `isBusy` means
    /// that a program is writing to the file that would be replaced, and `leaving` is the number of bytes
    /// that go to the folder `former` in exchange for the file.
    func admit(
        _ node: NodeRecord,
        _ arrival: inout Arrival,
        replacing target: NodeRecord?,
        isBusy: Bool = false,
        _ heritage: Heritage?,
        from former: FolderRules?,
        leaving: Int64 = 0,
        kept: Int64 = 0,
        _ uploader: Uploader,
        _ records: Records
    ) throws -> Judgement {
        let (place, rules) = (arrival.place, arrival.place.rules)
        let content = try content(of: node, records)
        var judgement = Judgement.accept
        if node.isFile, node.asset == nil, arrival.nameClass == .final, !arrival.isUnderWay {
            // The other file has content, or a program is about to write some.
            let isKept = !rules.policy.overwrites && target?.isFile == true && (isBusy || (target?.size ?? 0) > 0)
            let keepsFormer = rules.policy.versions.keepsAll && target?.asset != nil
            let isKnown = try mayJudge(node, by: uploader, records)
            judgement = try judge(
                Submission(
                    place: place,
                    content: Content(digest: isKnown ? content.digest : nil, size: content.size),
                    uploader: uploader,
                    own: [target?.asset, heritage?.asset].compactMap { $0 },
                    isTaken: isKept,
                    growth: content.size - (isKept || keepsFormer ? 0 : target?.size ?? 0),
                    countedIn: former,
                    leaving: leaving,
                    kept: kept,
                    equal: arrival.equal,
                    owner: rules.policy.duplicates == .returnExisting
                        ? owner(of: node, besides: uploader) : nil
                ),
                records
            )
        } else if former?.folder != place.parent, try !rulebook.quotas(of: rules, records).isEmpty {
            // The moved bytes must fit into the quotas of their new folders; a folder that held them before
            // is exempt.
            let moved = try movedBytes(node, under: rules, records)
            let refusal = try exceededQuota(of: rules, for: uploader, records) {
                former?.holds($0) == true ? nil : moved
            }
            if let refusal { judgement = .refuse(refusal) }
        }
        switch judgement {
        case .refuse(let refusal):
            if !arrival.isRepeated { try records.append(refusal, at: place, by: uploader.uid, content) }
            return judgement
        case .unchanged(let asset):
            try records.append(.unchanged, of: asset, at: place, by: uploader.uid, content)
            return judgement
        case .accept: break
        case .rename(let name), .existing(_, let name):
            if case .existing(let asset, _) = judgement { arrival.existing = asset }
            if name != place.name {
                arrival.requested = place.name
                arrival.place = Place(name: name, rules: rules)
            }
        }
        return judgement
    }

    /// Returns the digest and size of a file's content; a folder has none.
    func content(of node: NodeRecord, _ records: Records) throws -> Content {
        Content(
            digest: try node.blob.flatMap { try records.digest(of: $0) },
            size: node.isFolder ? 0 : node.size
        )
    }

    /// Returns whether a file was refused this name just now.
    ///
    /// mv(1) tries RENAME_NOREPLACE first, and then a plain rename: both are one attempt, with one receipt.
    func isRepeated(_ id: NodeID, as name: EntryName, in parent: NodeID) -> Bool {
        lastRefusal.withLock { last in
            last.map { ($0, $1, $2) == (id, parent, name) && .now - $3 < .seconds(1) } ?? false
        }
    }

    /// Notes that `admit` has refused a file a name, and logs it unless that is repeated.
    func noteRefusal(
        _ refusal: UploadRejection,
        of id: NodeID,
        at place: Place,
        isRepeated: Bool,
        by uploader: Uploader
    ) {
        lastRefusal.withLock { $0 = (id, place.parent, place.name, .now) }
        if !isRepeated { noteReceipt(of: refusal, at: place, by: uploader.uid) }
    }

    /// Screens a file that is about to get a final name, before anything is changed.
    /// - Returns: the malware that a scanner has found, if the policy does not refuse the file for it.
    func screen(
        _ id: NodeID,
        as name: EntryName,
        in parent: NodeID,
        by uid: UInt32
    ) throws(LibraryError) -> String? {
        if rulebook.isPlain { return nil }
        do {
            let (node, digest, place) = try read { records in
                let node = try records.node(id)
                let digest = try node?.blob.flatMap { try records.digest(of: $0) }
                return (node, digest, try rulebook.place(name, in: parent, records))
            }
            guard let node, node.asset == nil, place.isFinal else { return nil }
            let content = Content(digest: digest, size: node.size)
            if let refusal = nameRefusal(at: place) {
                try note(refusal, at: place, by: uid, content)
                throw LibraryError.refused(refusal)
            }
            try refuseUnscreened(content, of: id, at: place, by: uid)
            func screen(_ file: OpenFile?) -> Result<String?, UploadRejection> {
                Result { () throws(UploadRejection) in
                    try self.screen(content, of: file, at: place, for: [.user(uid), .file(id)])
                }
            }
            let screened = try digest.map { try contents.withBlob($0, size: node.size) { screen($0) } } ?? screen(nil)
            switch screened {
            case .success(let infection): return infection
            case .failure(let refusal):
                try note(refusal, at: place, by: uid, content)
                throw LibraryError.refused(refusal)
            }
        } catch {
            throw LibraryError(error)
        }
    }
}
