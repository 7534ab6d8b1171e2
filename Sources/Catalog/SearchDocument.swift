public import AssetModel

/// The searchable data of an asset.
public struct SearchDocument: Sendable {
    /// The asset.
    public let asset: AssetID
    /// The folders of its names.
    var folders: [Int64] = []
    /// The folders of its names, at most a hundred.
    public var places: [NodeID] { folders.map(NodeID.init) }
    var texts: [SearchQuery.Column: String] = [:]
    var fileExtension = ""
    var mediaType: String?
    var size: Int64 = 0
    var width: Int64?
    var height: Int64?
    var duration: Double?
    var pages: Int64?
    var rank: Int64?
    /// The time when it was taken, or else uploaded, in nanoseconds.
    var date: Int64 = 0
    var uploaded: Int64 = 0
    var access: Int64 = 0
    var expires: Int64?
    var blob: Int64?
    var position: Position?
    /// Whether users other than the owner may read the file, by its mode.
    var isShared = false
    /// The uploader, and the owner of the file.
    var uploader: Int64 = 0
    var owner: Int64 = 0
}

// The queue of assets to index again, which triggers write at every change.
extension Records {
    /// Returns the last change in the queue; nil if it is empty.
    public func lastSearchChange() throws -> Int64? {
        try first("SELECT max(id) FROM search_due", []) { $0.optionalInteger(0) } ?? nil
    }

    /// Returns the first change in the queue; nil if it is empty.
    public func firstSearchChange() throws -> Int64? {
        try first("SELECT min(id) FROM search_due", []) { $0.optionalInteger(0) } ?? nil
    }

    /// Returns changed assets, the oldest change first: those of at most `limit` changes, and the last of
    /// these changes.
    public func searchChanges(limit: Int) throws -> (assets: [AssetID], last: Int64)? {
        let changes = try all("SELECT id, asset FROM search_due ORDER BY id LIMIT ?", [.integer(Int64(limit))]) {
            ($0.integer(0), AssetID(rawValue: $0.integer(1)))
        }
        guard let last = changes.last?.0 else { return nil }
        var seen: Set<AssetID> = []
        return (changes.map(\.1).filter { seen.insert($0).inserted }, last)
    }

    /// Removes changes up to a given one from the queue, after the index has recorded them as its step
    /// `turn`.
    public func forgetSearchChanges(through last: Int64, turn: Int64) throws {
        try run("DELETE FROM search_due WHERE id <= ?", [.integer(last)])
        try run("UPDATE search_state SET turn = ?", [.integer(turn)])
    }

    /// Returns the files that show an asset, its own first, with their names; those in collections last.
    public func files(showing asset: AssetID) throws -> [(node: NodeRecord, parent: NodeID, name: EntryName)] {
        try all(
            """
            SELECT e.parent, e.name, \(NodeRecord.columns) FROM node n JOIN entry e ON e.node = n.id
            WHERE n.asset = ? AND n.links > 0 ORDER BY n.former_asset IS NOT NULL, n.id, e.collection, e.id
            """,
            [asset.value]
        ) { (NodeRecord($0, from: 2), NodeID(rawValue: $0.integer(0)), try EntryName($0.bytes(1))) }
    }

    /// Returns the identifier of the index that belongs to this catalog, and the number of its steps.
    public func searchState() throws -> (index: [UInt8], turn: Int64) {
        try first("SELECT identifier, turn FROM search_state", []) { ($0.bytes(0), $0.integer(1)) } ?? ([], 0)
    }

    /// Records a new, empty index, and queues all assets.
    public func restartSearch(_ index: [UInt8]) throws {
        try run("DELETE FROM search_due", [])
        try run("INSERT INTO search_due (asset) SELECT id FROM asset ORDER BY id", [])
        try run("UPDATE search_state SET identifier = ?, turn = 0", [.blob(index)])
    }

    /// Returns the searchable data of an asset; nil if it is in the trash, deleted, another asset's
    /// alternative file, or has no file.
    public func searchDocument(of id: AssetID) throws -> SearchDocument? {
        let found = try first(
            "SELECT access, created, expires, uid, no_exif FROM asset WHERE id = ? AND trashed IS NULL",
            [id.value]
        ) { row in
            var document = SearchDocument(asset: id)
            document.access = row.integer(0) & 15
            document.uploaded = row.integer(1)
            document.expires = row.optionalInteger(2)
            document.uploader = row.integer(3)
            return document
        }
        guard var document = found else { return nil }
        let names = try all(
            """
            SELECT e.parent, e.name, n.size, n.uid, n.blob, n.mode FROM node n JOIN entry e ON e.node = n.id
            WHERE n.asset = ? AND n.links > 0 AND e.collection = 0
            AND NOT EXISTS (SELECT 1 FROM entry f WHERE f.node = e.parent AND f.parent = ?)
            ORDER BY n.former_asset IS NOT NULL, n.id, e.id LIMIT 100
            """,
            [id.value, NodeID.alternatives.value]
        ) {
            (
                folder: $0.integer(0), name: $0.text(1), size: $0.integer(2), uid: $0.integer(3),
                blob: $0.optionalInteger(4),
                mode: $0.integer(5)
            )
        }
        guard let first = names.first else { return nil }
        document.folders = names.map(\.folder)
        (document.size, document.owner, document.blob) = (first.size, first.uid, first.blob)
        let isPrivate = Access(rawValue: document.access)?.isPrivate ?? false
        document.isShared = !isPrivate && names.contains { $0.mode & 0o044 != 0 }
        document.texts[.name] = names.map(\.name).joined(separator: "\n")
        if let dot = first.name.lastIndex(of: "."), dot != first.name.startIndex {
            document.fileExtension = first.name[first.name.index(after: dot)...].lowercased()
        }
        try addFindings(to: &document)
        try addFields(to: &document)
        if document.date == 0 { document.date = document.uploaded }
        return document
    }

    private static let peopleTags = [
        "xmp.PersonInImage", "xmp.RegionPersonDisplayName", "xmp.RegionName", "xmp.People", "xmp.PeopleKeyword",
    ]

    private func addFindings(to document: inout SearchDocument) throws {
        let people = Self.peopleTags.map { "json_extract(x.findings, '$.tags.\"\($0)\"')" }.joined(separator: ", ")
        let found = try self.first(
            """
            SELECT json_extract(x.findings, '$.mime_type'), json_extract(x.findings, '$.width'), json_extract(x.findings, '$.height'),
            json_extract(x.findings, '$.duration'), json_extract(x.findings, '$.pages'), \(people)
            FROM extraction x WHERE x.blob = ? AND x.findings IS NOT NULL
            """,
            [SQLValue(document.blob)]
        ) { row -> (SearchDocument, [String]) in
            var document = document
            document.mediaType = row.isNull(0) ? nil : row.text(0)
            document.width = row.optionalInteger(1)
            document.height = row.optionalInteger(2)
            document.duration = row.isNull(3) ? nil : row.real(3)
            document.pages = row.optionalInteger(4)
            return (document, (0..<Self.peopleTags.count).map { row.text(Int32(5 + $0)) })
        }
        guard let found else {
            if document.size == 0 { document.mediaType = "inode/x-empty" }
            return
        }
        document = found.0
        if try !ignoresEmbedded(document.asset) {
            document.texts[.people] = found.1.filter { !$0.isEmpty }.joined(separator: "\n")
        }
    }

    private func addFields(to document: inout SearchDocument) throws {
        for (field, value, isOwn, _) in try fields(of: document.asset) {
            let column: SearchQuery.Column
            switch field.name {
            case "title": column = .title
            case "caption": column = .caption
            case "keywords": column = .keywords
            case "description": column = .description
            case "camera_make", "camera_model", "lens": column = .camera
            case "photographer", "copyright_holder", "copyright_notice": column = .credit
            case "alternative_text", "category", "project", "album", "copyright_policy": column = .other
            case "rank":
                document.rank = Int64(value)
                continue
            case "captured_at":
                if let time = CapturedTime(value) { document.date = time.interval.start.rawValue }
                continue
            case "gps":
                document.position = Position(value)
                continue
            case _ where Self.peopleTags.contains(field.name): column = .people
            case _ where field.isMetadata || isOwn && Field.isTag(field.name): column = .other
            default: continue
            }
            document.texts[column] = document.texts[column].map { $0 + "\n" + value } ?? value
        }
    }
}
