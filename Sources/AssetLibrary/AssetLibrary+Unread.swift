internal import AssetModel
internal import Catalog
internal import LibraryRules
internal import LibraryStorage

// Answers that depend on contents which a user may not read. They must not reach such a user by an errno, an
// error text, or a name that disappears: each of these confirms or refutes a guess of the content.
extension AssetLibrary {
    /// Refuses to set an attribute if the answer would reveal the content to a user without read permission.
    ///
    /// A computed value is accepted only if it is right; a file that cannot be rotated has another type.
    func refuseGuess(
        _ attribute: AttributeName,
        _ name: String,
        of id: NodeID,
        by uploader: Uploader
    ) throws(LibraryError) {
        switch attribute {
        case .computed, .action(.rotate), .action(.reprocess): break
        default: return
        }
        let isReadable = try read { records in
            guard try records.node(id) != nil else { throw LibraryError.notFound }
            return try allows(4, to: uploader, on: id, records)
        }
        guard isReadable else {
            throw .unreadable("\(name) can be set only by users who may read it.")
        }
    }

    /// Refuses a request that reveals the presence of a field, which may be embedded, without read
    /// permission.
    func refuseGuess(
        whether name: [UInt8],
        isThereOn id: NodeID,
        by uploader: Uploader,
        _ records: Records
    ) throws {
        guard try allows(4, to: uploader, on: id, records) else {
            throw LibraryError.unreadable(
                "Whether \(name.text) has a value is for users who may read the file: they alone may remove it, or set it on that condition."
            )
        }
    }

    /// Refuses a final name in a folder with policies on contents to a user without read permission.
    ///
    /// The user may have made the folder in order to test guesses. A file that is an asset already is not
    /// judged.
    func refuseUnread(
        _ node: NodeRecord,
        as name: EntryName,
        in parent: NodeID,
        by uploader: Uploader
    ) throws(LibraryError) {
        if rulebook.isPlain || !node.isFile || node.asset != nil { return }
        let isOpen = openNode(node.id) != nil
        let place = try read { records -> Place? in
            let place = try rulebook.place(name, in: parent, records)
            guard place.isFinal, node.size > 0 || isOpen, place.judgesContents else { return nil }
            return try mayJudge(node, by: uploader, records) ? nil : place
        }
        guard let place else { return }
        let refusal = UploadRejection.forbidden(
            "Files are judged by their contents here, and this file is not yours to read."
        )
        try note(refusal, at: place, by: uploader.uid, nil)
        throw .refused(refusal)
    }

    /// Returns whether a user may learn a policy's decision on a file's content: as its owner, or a reader.
    func mayJudge(_ node: NodeRecord, by uploader: Uploader, _ records: Records) throws -> Bool {
        try uploader.uid == node.uid || allows(4, to: uploader, on: node.id, records)
    }

    /// Returns the owner of a file that another user gives a name; nil where the two are one.
    ///
    /// The groups of a user other than the caller are unknown.
    func owner(of node: NodeRecord, besides uploader: Uploader) -> Uploader? {
        if node.uid == uploader.uid { return nil }
        return Uploader(absent: node.uid, gid: node.gid)
    }

    /// Returns whether an uploader may know of an asset with equal content under the requested name.
    ///
    /// The folder of a drop box may be closed to the uploader: then only the files that they have put there,
    /// and those that they may read, are known to them.
    func isKnown(
        _ asset: AssetID,
        _ node: NodeID,
        isNamed: Bool,
        to submission: Submission,
        _ records: Records
    ) throws -> Bool {
        // A user's request for its name proves that a hidden file is known.
        let isShown = try isNamed || isListed(node, for: submission.uploader, records)
        if try isShown && mayRead(node, submission.uploader, records) { return true }
        return try submission.isDropped && records.versions(of: asset).first?.uid == submission.uploader.uid
    }
}

extension Place {
    /// Whether the policy decision under this name may depend on the file's content.
    fileprivate var judgesContents: Bool {
        let policy = rules.policy
        if policy.duplicates != .none, rules.root != .alternatives { return true }
        if policy.scan != .off || policy.forbiddenTypes.needsContent { return true }
        return policy.allowedTypes.map { $0.needsContent && !$0.contains(extensionOf: name) } ?? false
    }
}
