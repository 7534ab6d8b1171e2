public import AssetModel
internal import BlobStore
public import Catalog
internal import Glibc
public import LibraryRules
public import LibraryStorage
internal import Synchronization

// Signed paths: the holder of one may read a file, or put files into a folder, until it expires. They are not
// recorded: the signature proves that they are the library's, and a new key invalidates all of them.
extension AssetLibrary {
    /// The prefixes, after `user.asset.`, of the attributes that sign a path; the path's expiry follows.
    static let signingPrefixes: [(prefix: String, kind: Capability.Kind)] = [
        ("signed.", .read), ("signed_upload.", .upload),
    ]

    /// Returns the signed path of a file or folder, below the mount; nil where the attribute does not sign.
    func signedPath(_ key: String, of id: NodeID, for reader: Uploader) throws(LibraryError) -> [UInt8]? {
        do throws(LibraryError) {
            return try sign(key, of: id, for: reader)
        } catch {
            refusedAttributes.note(error, of: id, for: reader.uid)
            throw error
        }
    }

    private func sign(_ key: String, of id: NodeID, for reader: Uploader) throws(LibraryError) -> [UInt8]? {
        guard let (prefix, kind) = Self.signingPrefixes.first(where: { key.hasPrefix($0.prefix) }) else { return nil }
        let text = String(key.dropFirst(prefix.count))
        let now = clock.now
        guard let end = Timestamp(end: text, from: now) else {
            throw .invalid(
                "A path cannot be signed until “\(Shown.value(text))”: say 15m, 1h, 2d, P3M or 2027-01-31T12:00:00Z."
            )
        }
        guard end > now else {
            throw .outOfRange("A path cannot be signed until \(Shown.value(text)): that has passed.")
        }
        let (subject, name) = try read { records -> (Int64, [UInt8]) in
            guard let node = try records.node(id) else { throw LibraryError.notFound }
            guard reader.uid == 0 || reader.uid == node.uid else {
                throw LibraryError.notPermitted("A path is for the owner of the file or folder, and root, to sign.")
            }
            switch kind {
            case .read:
                // The owner of the other file decides about its content and its readers.
                guard reader.uid == 0 || !node.isDuplicate else {
                    throw LibraryError.notPermitted(
                        "The file shows another file's asset, whose path is for its owner to sign."
                    )
                }
                guard let asset = node.asset else {
                    throw LibraryError.invalid(
                        "Only assets have signed paths; this is a folder, or a file that is none."
                    )
                }
                return (asset.rawValue, try records.anyEntry(of: id)?.name.bytes ?? [])
            case .upload:
                guard node.isFolder, try rulebook.of(id, records).root == .folders else {
                    throw LibraryError.invalid("Only folders below folders/ take uploads by a signed path.")
                }
                return (id.rawValue, [])
            }
        }
        let capability = Capability(kind, subject, expires: end.rawValue / 1_000_000_000, signer: reader.uid)
        let signature = MessageCode.of(capability.text, key: try currentSigningKey())
        return Array("signed/\(capability.token(signature: signature))/".utf8) + name
    }

    /// Returns the capability that a token grants its holder.
    /// - Throws: `.unsigned`, `.forged` or `.ended`; `.forged` too where the signer may not sign it any more,
    ///   and for tokens of an earlier assetfs, which do not name their signer.
    public func capability(_ token: String) throws(LibraryError) -> Capability {
        if Capability.isFormer(token) { throw .forged }
        guard let (capability, signature) = Capability.parse(token), let signature else { throw .unsigned }
        guard MessageCode.isRight(signature, of: capability.text, key: try currentSigningKey()) else { throw .forged }
        guard capability.end > clock.now else { throw .ended(capability.end) }
        guard try maySign(capability) else { throw .forged }
        return capability
    }

    /// Returns whether the signer of a path is root, the mount's owner, or still the owner of the subject.
    ///
    /// A file or folder that does not exist any more is accepted here.
    private func maySign(_ capability: Capability) throws(LibraryError) -> Bool {
        let signer = capability.signer
        if signer == 0 || signer == getuid() { return true }
        return try read { records in
            let node: NodeRecord?
            switch capability.kind {
            case .read:
                let file = try records.nodes(showing: AssetID(rawValue: capability.subject)).first
                node = try file.flatMap { try records.node($0) }
            case .upload: node = try records.node(NodeID(rawValue: capability.subject))
            }
            return node.map { $0.uid == signer } ?? true
        }
    }

    /// Invalidates all signed paths.
    func revokeSignedPaths(_ name: String, on id: NodeID, _ value: [UInt8], by uploader: Uploader) throws(LibraryError)
    {
        guard value == [0x31] else { throw .invalid("\(name) is 1, or nothing happens.") }
        try read { records in
            guard id == .folders, let node = try records.node(id) else {
                throw LibraryError.invalid("\(name) is for folders/, and ends all signed paths of the library.")
            }
            try uploader.refuseUnlessOwner(of: node, name)
        }
        let key = MessageCode.newKey()
        try signingKey.withLock { known throws(LibraryError) in
            try SigningKeyFile(in: storage.directory.folder).write(key)
            known = key
        }
    }

    private func currentSigningKey() throws(LibraryError) -> [UInt8] {
        try signingKey.withLock { known throws(LibraryError) in
            if let known { return known }
            let file = SigningKeyFile(in: storage.directory.folder)
            var key = try file.read()
            if key == nil {
                let new = MessageCode.newKey()
                try file.write(new)
                key = new
            }
            known = key
            return key ?? []
        }
    }

    /// Moves the key from the catalog, where an earlier assetfs kept it, to its file; its signatures stay
    /// valid.
    ///
    /// The catalog's key is newer than one in the file, if there is one.
    func moveSigningKey() throws(LibraryError) {
        guard let key = try read({ try $0.signingKey() }) else { return }
        try SigningKeyFile(in: storage.directory.folder).write(key)
        try write { try $0.removeSigningKey() }
    }

    // MARK: Drop boxes

    /// Creates a file that gets its name in a folder at its commit, or the next free name with a number.
    ///
    /// So an upload by a signed path changes no file in the folder, and reveals none. Until the commit the
    /// file belongs to its creator, and then to the folder's owner. A file with a temporary name needs
    /// `nameDropped`; so does one whose name mkstemp(3) may have made, where `isOfMkstemp` says that the file
    /// is created in its way. The file is kept until `letGo` is called, and then as long as it is open.
    public func makeDropped(
        _ name: EntryName,
        isOfMkstemp: Bool = false,
        in folder: NodeID,
        mode: UInt32,
        umask: UInt32,
        by uploader: Uploader
    ) throws(LibraryError) -> (file: NodeRecord, node: OpenNode, isTemporary: Bool) {
        try refuseName(name, in: folder, by: uploader.uid)
        try space.take(4096)
        let nameClass = try read { try rulebook.nameClass(of: name, in: folder, $0) }
        guard nameClass != .junk else {
            throw .notPermitted("“\(name)” is the name of what an operating system leaves in folders.")
        }
        // In a file created like mkstemp(3) does, six letters behind a dot are taken for its random suffix.
        let isFinal = nameClass == .final && !(isOfMkstemp && NameClass(ofFile: name, isStrict: true) == .temporary)
        let (made, node) = try makeNameless(in: folder, mode: mode, umask: umask, by: uploader)
        formerOwners.note(uploader.uid, of: made.id)
        do throws(LibraryError) {
            try node.upload.withLock { upload throws(LibraryError) in
                upload.aim = OpenNode.Aim(parent: folder, name: name, isDropped: true)
                try setLimit(&upload, of: made.id)
                // A file with a temporary name is not committed.
                node.isUnlinked.store(!isFinal, ordering: .relaxed)
                if !isFinal { upload.aim = nil }
            }
        } catch {
            close(node, wasWriting: true)
            letGo(made.id)
            throw error
        }
        return (made, node, !isFinal)
    }

    /// Creates a file without a name in a folder; it is not committed before it is to get a name.
    ///
    /// It is open for writing, and kept until `letGo` is called, and then as long as it is open.
    func makeNameless(
        in folder: NodeID,
        mode: UInt32,
        umask: UInt32,
        isLinkable: Bool = false,
        by uploader: Uploader
    ) throws(LibraryError) -> (NodeRecord, OpenNode) {
        try refuseFixed(folder, .immutable)
        let made = try write { records in
            let parent = try records.folder(folder)
            let gid = parent.mode & 0o2000 != 0 ? parent.gid : uploader.gid
            var node = NodeRecord(
                mode: 0o100000 | mode & (isLinkable ? 0o7777 : 0o777),
                uid: uploader.uid,
                gid: gid,
                now: .now
            )
            node.links = 0
            try inheritAccess(from: folder, for: &node, records)
            let lists = try inheritedLists(from: folder, for: &node, umask: umask, records)
            node = try records.insert(node)
            for (name, list) in lists { try setList(name, of: node.id, to: list, records) }
            return node
        }
        let node = retain(made.id)
        _ = retain(made.id)
        node.upload.withLock { upload in
            node.shown.withLock { $0.isLoaded = true }
            node.isUnlinked.store(true, ordering: .relaxed)
            upload.isNew = true
            upload.addWriter(uploader)
        }
        return (made, node)
    }

    /// Commits a file that was dropped under a temporary name, under its final one.
    public func nameDropped(
        _ id: NodeID,
        _ name: EntryName,
        in folder: NodeID,
        by uploader: Uploader
    ) throws(LibraryError) {
        try refuseName(name, in: folder, by: uploader.uid)
        guard let node = openNode(id), try isFinal(name, in: folder) else {
            throw .notPermitted("What was put here under a temporary name gets its final one here.")
        }
        try node.upload.withLock { upload throws(LibraryError) in
            upload.aim = OpenNode.Aim(parent: folder, name: name, isDropped: true)
            node.isUnlinked.store(false, ordering: .relaxed)
            upload.uploader = uploader
            do throws(LibraryError) {
                try setLimit(&upload, of: id)
                try checkLimit(node.content.size, from: 0, &upload)
                try finish(&upload, of: node)
            } catch {
                // A refused name must not lose the file: it stays as it was under its own name.
                (upload.exceeded, upload.refusal, upload.aim) = (nil, nil, nil)
                upload.isDirty = true
                node.isUnlinked.store(true, ordering: .relaxed)
                throw error
            }
        }
        dropKept([id])
    }

    /// Turns a dropped file into one without a destination, which is not committed.
    public func abandonDropped(_ id: NodeID) {
        guard let node = openNode(id) else { return }
        node.upload.withLock { upload in
            guard upload.aim != nil else { return }
            upload.aim = nil
            node.isUnlinked.store(true, ordering: .relaxed)
        }
    }
}
