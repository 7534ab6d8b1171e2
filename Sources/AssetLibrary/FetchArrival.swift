internal import AssetModel
internal import BlobStore
internal import Catalog
internal import LibraryRules
internal import LibraryStorage
internal import MetadataExtraction
internal import Synchronization

/// A file that is being fetched: an upload without a name, which it gets at its commit by the folder's
/// policies.
final class FetchArrival {
    private let library: AssetLibrary
    private let folder: NodeID
    private let uploader: Uploader
    /// The requester of the fetch; root also where the file belongs to the folder's owner.
    private let requester: Uploader
    private let request: FetchRequest
    private var name: EntryName?
    private var original: EntryName?
    private var node: OpenNode?
    /// How many bytes have been received.
    private(set) var size: Int64 = 0

    init(_ library: AssetLibrary, _ record: FetchRecord, _ request: FetchRequest) throws {
        self.library = library
        folder = record.folder
        self.request = request
        let present = try library.read { try $0.folder(record.folder) }
        // Root fetches for the folder's owner: the owner gets the file, which replaces none that the owner
        // may not write to.
        let isForOwner = record.uid == 0 && present.uid != 0
        requester = Uploader(absent: record.uid, gid: record.gid, knownIn: [record.gid] + record.groups)
        uploader = isForOwner ? Uploader(absent: present.uid, gid: present.gid) : requester
        try refuseClosed()
    }

    /// Refuses to go on where the folder has been closed to the requester.
    private func refuseClosed() throws {
        if try library.mayChange(folder, by: requester) { return }
        throw FetchProblem(
            .taskFailed,
            "The folder that the file was to go to is closed to you: writing to it, and going to it, must be allowed.",
            errno: "EACCES"
        )
    }

    /// Begins the upload when the server has answered.
    func begin(_ head: Download.Head) throws {
        let found = FetchRequest.name(disposition: head.disposition, url: head.url)
        let name = try request.name ?? EntryName(found.name)
        guard try library.isFinal(name, in: folder) else {
            throw FetchProblem(
                .invalid,
                "File validation error: “\(name)” is the name of a temporary file; say another with filename=."
            )
        }
        self.name = name
        original = request.name ?? (try? EntryName(found.original)) ?? name
        try library.refuseName(name, in: folder, by: uploader.uid)
        let (_, node) = try library.makeNameless(in: folder, mode: 0o666, umask: 0o022, by: uploader)
        self.node = node
        try node.upload.withLock { upload throws(LibraryError) in
            upload.aim = try aim(name)
            try library.setLimit(&upload, of: node.id)
        }
        // Before anything is fetched in vain.
        if let total = head.size { try library.space.take(total) }
    }

    func take(_ bytes: ArraySlice<UInt8>) throws {
        guard let node else { return }
        try unsafe bytes.withUnsafeBytes { try unsafe library.write($0, at: size, to: node) }
        size += Int64(bytes.count)
    }

    /// Commits the upload after all bytes.
    /// - Returns: the asset that has them.
    func finish() throws -> AssetID {
        guard let node, let name else {
            throw FetchProblem(.failed, "Failed to download the file: there was no answer.")
        }
        try refuseClosed()
        let known = try node.upload.withLock { upload throws(LibraryError) -> AssetID? in
            // The name may have been given or removed meanwhile.
            upload.aim = try aim(name)
            node.isUnlinked.store(false, ordering: .relaxed)
            try library.finish(&upload, of: node)
            return upload.unchanged
        }
        return try library.write { records in
            // A file that existed already gets no fields from this request.
            let record = try records.node(node.id)
            guard let asset = record?.asset ?? known else { throw LibraryError.notFound }
            guard let record, record.links > 0, !record.isDuplicate else { return asset }
            try records.setField(.sourceURL, of: asset, to: Self.withoutCredentials(request.url))
            for (key, value) in request.metadata {
                guard let field = Field(Field.metadataPrefix + key) else { continue }
                try records.setField(field, of: asset, to: value)
            }
            if let original, try records.versions(of: asset).count == 1 {
                try records.setOriginalName(of: asset, to: original)
            }
            return asset
        }
    }

    /// Closes the file in any case, and removes it where it has no name.
    func end() {
        guard let node = self.node.take() else { return }
        node.upload.withLock { upload in
            if upload.aim != nil {
                upload.aim = nil
                node.isUnlinked.store(true, ordering: .relaxed)
                (upload.staged, upload.isDirty) = (nil, false)
            }
        }
        library.close(node, wasWriting: true)
        library.letGo(node.id)
        let isNameless = (try? library.read { try $0.node(node.id)?.links == 0 }) ?? false
        if isNameless { try? library.forget([node.id]) }
    }

    /// Returns the destination: the asset that has the name, if the folder lets it be replaced; else a free
    /// name.
    private func aim(_ name: EntryName) throws(LibraryError) -> OpenNode.Aim {
        try library.read { records in
            var aim = OpenNode.Aim(parent: folder, name: name)
            if let present = try records.node(named: name, in: folder), present.isFile, let asset = present.asset,
                !present.isExpired(at: library.lifeTime),
                try library.rulebook.of(folder, records).policy.overwrites, try !records.isFixed(asset),
                // An asset never passes to another user by its name.
                library.rulebook.allows(uploader, toSucceed: try library.rulebook.rights(of: present, records))
            {
                aim.replacing = (asset, original ?? name)
            }
            return aim
        }
    }

    /// Returns a URL that readers of the file may see: without a user and password, and without a fragment.
    ///
    /// The values in its query are left out as well, since they may be keys or signatures.
    static func withoutCredentials(_ url: String) -> String {
        guard let start = url.firstRange(of: "://")?.upperBound else { return url }
        var rest = url[start...].prefix { $0 != "#" }
        let authority = rest.prefix { !"/?".contains($0) }
        if let at = authority.lastIndex(of: "@") { rest = rest[rest.index(after: at)...] }
        guard let mark = rest.firstIndex(of: "?") else { return String(url[..<start] + rest) }
        let query = rest[rest.index(after: mark)...].split(separator: "&", omittingEmptySubsequences: false).map {
            part in
            // A query without names may be a key as a whole.
            part.firstIndex(of: "=").map { part[...$0] + "…" } ?? "…"
        }
        return String(url[..<start] + rest[..<mark]) + "?" + query.joined(separator: "&")
    }
}
