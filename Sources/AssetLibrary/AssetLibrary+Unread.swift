internal import AssetModel
internal import Catalog

// Answers that depend on contents which a user may not read. On no way may they come to such a user, by an errno, a sentence, or a name
// that is gone: each one answers a guess.
extension AssetLibrary {
    /// Refuses to set an attribute to a user who may not read the file, where the answer says what is in it.
    ///
    /// A computed value is accepted where it is right; what cannot be turned is a file of another type.
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

    /// Refuses a request whose answer says whether a field has a value to a user who may not read the file: the value may be embedded.
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

    /// Refuses a final name in a folder that judges contents to a user who may not read the file that is to get it.
    ///
    /// The folder may be one of theirs, made to answer guesses. A file that is an asset already is not judged.
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
        let refusal = Refusal.forbidden("Files are judged by their contents here, and this file is not yours to read.")
        try write { try note(refusal, at: place, by: uploader.uid, nil, $0) }
        throw .refused(refusal)
    }

    /// Returns whether a user may learn what a folder says of a file's content: its owner, and those who may read it.
    func mayJudge(_ node: NodeRecord, by uploader: Uploader, _ records: Records) throws -> Bool {
        try uploader.uid == node.uid || allows(4, to: uploader, on: node.id, records)
    }

    /// Returns the owner of a file who is not the user who gives it a name; nil where they are one.
    ///
    /// Of a user who does not ask, no groups are known.
    func owner(of node: NodeRecord, besides uploader: Uploader) -> Uploader? {
        if node.uid == uploader.uid { return nil }
        return Uploader(absent: node.uid, gid: node.gid)
    }

    /// Returns whether an uploader knows of an asset of equal content under the name that they ask for.
    ///
    /// The folder of a drop box may be closed to them: there they know what they have put there, and what they may read.
    func isKnown(
        _ asset: AssetID,
        _ node: NodeID,
        isNamed: Bool,
        to submission: Submission,
        _ records: Records
    ) throws -> Bool {
        // What is hidden from them is known to those who have named it.
        let isShown = try isNamed || isListed(node, for: submission.uploader, records)
        if try isShown && mayRead(node, submission.uploader, records) { return true }
        return try submission.isDropped && records.versions(of: asset).first?.uid == submission.uploader.uid
    }
}

extension Place {
    /// Whether a verdict under this name may depend on what is in the file.
    fileprivate var judgesContents: Bool {
        let policy = rules.policy
        if policy.duplicates != .none, rules.root != .alternatives { return true }
        if policy.scan != .off || policy.forbiddenTypes.needsContent { return true }
        return policy.allowedTypes.map { $0.needsContent && !$0.contains(extensionOf: name) } ?? false
    }
}
