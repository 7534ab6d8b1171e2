public import AssetModel

/// An upload that had not ended when the library was last closed.
public struct StagedRecord: Sendable {
    /// The file that was being written.
    public let node: NodeID
    /// The name of its bytes in `staging/`; nil if the file has its content, and only the asset does not.
    public let file: String?
    /// The time of its last write, as far as that was known; nil if a program has set a time since.
    public let modified: Timestamp?
    /// The data that its commit needs; nil if no commit is to come.
    public let upload: InterruptedUpload?
}

/// The data that the commit of an upload needs besides the bytes, so that the next mount commits as this one
/// would have.
public struct InterruptedUpload: Sendable, Equatable {
    /// The writing user.
    public var uid: UInt32
    /// The group of that user.
    public var gid: UInt32
    /// Whether the writer was told that the upload is accepted, so that no policy may reject it any more.
    public var isAnswered = false
    /// Whether the writer created the file, so that a rejection removes its name.
    public var isBorn = false
    /// Whether the file was opened through `resources/ID/`, so that its former version is kept.
    public var isReplacement = false
    /// Whether the writer wrote beyond the file's size limit.
    public var isExceeded = false
    /// The attributes that a rejection restores.
    public var former: FormerAttributes?
    /// The number of bytes from the start of the staged file that were on stable storage at the time of this
    /// record; nil where unknown.
    public var synced: Int64?
    /// The readers of the former version when it was first changed.
    public var standing: Standing?
    /// The name that the file is to get, if it has none yet.
    public var aim: Aim?

    /// A file's attributes before an upload.
    public struct FormerAttributes: Sendable, Equatable {
        var mode: UInt32
        var uid: UInt32
        var gid: UInt32
        var modified: Timestamp
        var accessed: Timestamp

        /// Copies the attributes of a file.
        public init(of node: NodeRecord) {
            (mode, uid, gid) = (node.mode, node.uid, node.gid)
            (modified, accessed) = (node.modified, node.accessed)
        }

        init(mode: UInt32, uid: UInt32, gid: UInt32, modified: Timestamp, accessed: Timestamp) {
            (self.mode, self.uid, self.gid) = (mode, uid, gid)
            (self.modified, self.accessed) = (modified, accessed)
        }

        /// Returns a file's record with these attributes.
        public func applied(to node: NodeRecord) -> NodeRecord {
            var node = node
            (node.mode, node.uid, node.gid) = (mode, uid, gid)
            (node.modified, node.accessed) = (modified, accessed)
            return node
        }
    }

    /// A name that an upload is to get.
    public struct Aim: Sendable, Equatable {
        /// The folder.
        public var parent: NodeID
        /// The name in it.
        public var name: EntryName
        /// The asset whose next version it is to be.
        public var asset: AssetID?
        /// The name under which that version was uploaded.
        public var uploaded: EntryName?
        /// Whether the file was written through a signed path.
        public var isDropped: Bool

        /// Creates a destination.
        public init(parent: NodeID, name: EntryName, asset: AssetID?, uploaded: EntryName?, isDropped: Bool) {
            (self.parent, self.name) = (parent, name)
            (self.asset, self.uploaded, self.isDropped) = (asset, uploaded, isDropped)
        }
    }

    /// Creates an upload of a user.
    public init(uid: UInt32, gid: UInt32) { (self.uid, self.gid) = (uid, gid) }

    /// The lowest bit of `flags` for the number of bytes on stable storage plus 1; 0 where that is unknown.
    fileprivate static let syncedShift: Int64 = 8

    fileprivate var flags: Int64 {
        [isAnswered, isBorn, isReplacement, isExceeded, aim?.isDropped ?? false].enumerated()
            .reduce((synced.map { $0 + 1 } ?? 0) << Self.syncedShift) { $0 | ($1.element ? 1 << $1.offset : 0) }
    }
}

extension Records {
    /// Records the staged file of an unfinished upload, so that a crash does not lose it.
    ///
    /// An empty `file` says that the node has its content already.
    public func recordStaged(
        _ node: NodeID,
        file: String,
        modified: Timestamp?,
        _ upload: InterruptedUpload
    ) throws {
        let (former, aim) = (upload.former, upload.aim)
        try run(
            """
            INSERT OR REPLACE INTO staged (node, file, modified, uid, gid, flags, former_mode, former_uid, former_gid,
                former_modified, former_accessed, aim_parent, aim_name, aim_asset, aim_uploaded, standing)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                node.value, .text(file), SQLValue(modified?.rawValue),
                .integer(Int64(upload.uid)), .integer(Int64(upload.gid)), .integer(upload.flags),
                SQLValue(former.map { Int64($0.mode) }), SQLValue(former.map { Int64($0.uid) }),
                SQLValue(former.map { Int64($0.gid) }), SQLValue(former?.modified.rawValue),
                SQLValue(former?.accessed.rawValue),
                SQLValue(aim?.parent.rawValue), aim.map { .blob($0.name.bytes) } ?? .null,
                SQLValue(aim?.asset?.rawValue), aim?.uploaded.map { .blob($0.bytes) } ?? .null,
                upload.standing.map { .blob($0.bytes) } ?? .null,
            ]
        )
    }

    /// Forgets the last write of an upload, because a program has set the file's time, which a crash must not
    /// undo.
    public func forgetStagedTime(_ node: NodeID) throws {
        try run("UPDATE staged SET modified = NULL WHERE node = ?", [node.value])
    }

    /// Records that a file has a content or an asset that its asset does not have as a version yet.
    public func recordUnpublished(_ node: NodeID) throws {
        try run("INSERT OR IGNORE INTO staged (node, file) VALUES (?, '')", [node.value])
    }

    /// Forgets an upload that has ended.
    public func deleteStaged(_ node: NodeID) throws { try run("DELETE FROM staged WHERE node = ?", [node.value]) }

    /// Returns the uploads that have not ended.
    public func staged() throws -> [StagedRecord] {
        try all(
            """
            SELECT node, file, modified, uid, gid, flags, former_mode, former_uid, former_gid, former_modified, former_accessed,
                aim_parent, aim_name, aim_asset, aim_uploaded, standing FROM staged
            """,
            []
        ) {
            let file = $0.text(1)
            return StagedRecord(
                node: NodeID(rawValue: $0.integer(0)),
                file: file.isEmpty ? nil : file,
                modified: $0.optionalTimestamp(2),
                upload: try Self.interruptedUpload($0)
            )
        }
    }

    /// Reads the columns from `uid` on; returns nil for a row without them.
    private static func interruptedUpload(_ row: Columns) throws -> InterruptedUpload? {
        guard let uid = row.optionalInteger(3) else { return nil }
        let flags = row.integer(5)
        func isSet(_ bit: Int64) -> Bool { flags & 1 << bit != 0 }
        var upload = InterruptedUpload(uid: UInt32(truncatingIfNeeded: uid), gid: row.unsigned(4))
        (upload.isAnswered, upload.isBorn, upload.isReplacement, upload.isExceeded) = (
            isSet(0), isSet(1), isSet(2), isSet(3)
        )
        let synced = flags >> InterruptedUpload.syncedShift
        upload.synced = synced > 0 ? synced - 1 : nil
        if let modified = row.optionalTimestamp(9), let accessed = row.optionalTimestamp(10) {
            upload.former = InterruptedUpload.FormerAttributes(
                mode: row.unsigned(6),
                uid: row.unsigned(7),
                gid: row.unsigned(8),
                modified: modified,
                accessed: accessed
            )
        }
        upload.standing = Standing.all(in: row.bytes(15)).first
        if let parent = row.optionalInteger(11) {
            upload.aim = InterruptedUpload.Aim(
                parent: NodeID(rawValue: parent),
                name: try EntryName(row.bytes(12)),
                asset: row.optionalInteger(13).map(AssetID.init(rawValue:)),
                uploaded: row.optionalInteger(13) == nil ? nil : try EntryName(row.bytes(14)),
                isDropped: isSet(4)
            )
        }
        return upload
    }
}
