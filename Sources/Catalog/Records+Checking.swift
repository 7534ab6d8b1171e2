public import AssetModel
internal import GRDB
internal import Glibc

/// A row that breaks a rule.
public struct Violation: Sendable {
    /// The rule.
    public let rule: Invariant
    /// The row's number.
    public let row: Int64
    /// The path of the file, folder or asset, for people; nil where there is none.
    public let path: [UInt8]?
}

extension Records {
    /// Returns the first `limit` rows that break a rule, and the number of all of them.
    public func violations(of rule: Invariant, limit: Int) throws -> (violations: [Violation], count: Int64) {
        let rows = try allOnce(rule.rows, []) { ($0.integer(0), $0.optionalInteger(1)) }
        let found = try rows.prefix(limit).map { row, subject in
            Violation(rule: rule, row: row, path: try subject.flatMap { try path(of: $0, rule.subject) })
        }
        return (found, Int64(rows.count))
    }

    private func path(of id: Int64, _ subject: Invariant.Subject) throws -> [UInt8]? {
        switch subject {
        case .none: nil
        case .node: try pathForPeople(of: NodeID(rawValue: id))
        case .asset: try pathForPeople(of: AssetID(rawValue: id))
        case .blob:
            try first("SELECT asset FROM version WHERE blob = ? ORDER BY id LIMIT 1", [.integer(id)]) { $0.integer(0) }
                .flatMap { try pathForPeople(of: AssetID(rawValue: $0)) }
        }
    }

    /// Returns the path of a file of an asset, or its path before it was trashed; nil where there is none.
    public func pathForPeople(of asset: AssetID) throws -> [UInt8]? {
        let node = try first("SELECT id FROM node WHERE asset = ? AND links > 0 ORDER BY id LIMIT 1", [asset.value]) {
            NodeID(rawValue: $0.integer(0))
        }
        if let node { return try pathForPeople(of: node) }
        let former = try first("SELECT coalesce(trashed_path, trashed_name) FROM asset WHERE id = ?", [asset.value]) {
            $0.isNull(0) ? nil : $0.bytes(0)
        }
        return (former ?? nil).map { Array("trash/".utf8) + $0 }
    }

    /// Returns one of a node's paths in the mount, as far up as there are names; nil if it has no name.
    ///
    /// The folders may form a cycle.
    public func pathForPeople(of node: NodeID) throws -> [UInt8]? {
        let roots: [NodeID: String] = [
            .folders: "folders", .unfiled: "resources", .alternatives: "alternatives", .collections: "collections",
        ]
        var names: [[UInt8]] = []
        var (current, seen) = (node, Set<NodeID>())
        while roots[current] == nil, seen.insert(current).inserted,
            let entry = try first(
                "SELECT parent, name FROM entry WHERE node = ? ORDER BY collection, id LIMIT 1",
                [current.value],
                { (parent: NodeID(rawValue: $0.integer(0)), name: $0.bytes(1)) }
            )
        {
            names.append(entry.name)
            current = entry.parent
        }
        if let root = roots[current] { return Array(([Array(root.utf8)] + names.reversed()).joined(separator: [0x2F])) }
        return names.isEmpty ? nil : Array(([Array("?".utf8)] + names.reversed()).joined(separator: [0x2F]))
    }

    // MARK: Repair

    /// Repairs the rows that break a rule, as far as that is possible; no content is removed.
    public func mend(_ rule: Invariant) throws {
        switch rule.repair {
        case .impossible: break
        case .statements(let sql): try run(script: sql)
        case .roots: try insertMissingRoots()
        case .name:
            let rows = try allOnce(rule.rows, []) { ($0.integer(0), NodeID(rawValue: $0.integer(1))) }
            for (row, node) in rows {
                // The row is a name in a missing folder, or else the node itself.
                if rule.name == Invariant.entryWithoutFolder {
                    try run("DELETE FROM entry WHERE id = ?", [.integer(row)])
                }
                guard try first("SELECT 1 FROM entry WHERE node = ? LIMIT 1", [node.value], { _ in true }) == nil else {
                    continue
                }
                try giveName(to: node)
            }
        case .reconnect:
            while let node = try first(Invariant.unreached + " LIMIT 1", [], { NodeID(rawValue: $0.integer(0)) }) {
                try run("DELETE FROM entry WHERE node = ?", [node.value])
                try giveName(to: node)
            }
        case .file:
            for asset in try allOnce(rule.rows, [], { AssetID(rawValue: $0.integer(0)) }) { try giveFile(to: asset) }
        }
    }

    /// Changes the catalog without changing any record, so that a commit writes to the log.
    public func countSession() throws {
        let count = try first("PRAGMA user_version", []) { $0.integer(0) } ?? 0
        try run(script: "PRAGMA user_version = \((count + 1) & 0x7FFF_FFFF)")
    }

    /// Creates the missing root folders.
    public func insertMissingRoots() throws {
        for id in NodeID.roots where try node(id) == nil {
            let mode: UInt32 = id == .collections ? 0o041777 : 0o040755
            var root = NodeRecord(mode: mode, uid: UInt32(geteuid()), gid: UInt32(getegid()), now: .now)
            root.id = id
            _ = try insert(root)
        }
    }

    /// Gives a node a name in `lost+found/`: its number, and the name that its content was uploaded under.
    private func giveName(to node: NodeID) throws {
        let uploaded = try first(
            """
            SELECT coalesce(
                (SELECT v.name FROM version v WHERE v.asset = n.asset ORDER BY v.number DESC LIMIT 1), X'')
            FROM node n WHERE n.id = ?
            """,
            [node.value]
        ) { $0.bytes(0) }
        let mark = uploaded?.isEmpty ?? true ? "\(node)" : "\(node)-"
        try addLost(node, EntryName.listed(mark, uploaded ?? []))
    }

    /// Gives an asset without a file one in `lost+found/`, readable by its uploader alone.
    private func giveFile(to asset: AssetID) throws {
        let found = try first(
            """
            SELECT a.uid, v.blob, v.size, v.name, v.created FROM asset a LEFT JOIN version v ON v.asset = a.id
            WHERE a.id = ? ORDER BY v.number DESC LIMIT 1
            """,
            [asset.value]
        ) {
            (
                uid: $0.unsigned(0), blob: $0.optionalInteger(1).map(BlobID.init), size: $0.integer(2),
                name: $0.bytes(3),
                created: $0.timestamp(4)
            )
        }
        guard let found else { return }
        let node = try insertLost(
            EntryName.listed("\(asset)-", found.name),
            uid: found.uid,
            blob: found.blob,
            size: found.size,
            modified: found.created
        )
        try setAsset(of: node, to: asset)
    }

    /// Records a blob that no row names as a file in `lost+found/`, owned by the library's owner and closed
    /// to all others; the next mount makes an asset of it.
    /// - Returns: its path, for people.
    public func insertLost(_ digest: Digest, size: Int64, name: String) throws -> [UInt8]? {
        let blob = try insertBlob(digest, size: size, at: .now)
        let node = try insertLost(
            Array(name.utf8),
            uid: UInt32(geteuid()),
            blob: blob,
            size: size,
            modified: .now
        )
        try recordUnpublished(node)
        return try pathForPeople(of: node)
    }

    private func insertLost(
        _ name: [UInt8],
        uid: UInt32,
        blob: BlobID?,
        size: Int64,
        modified: Timestamp
    ) throws -> NodeID {
        var node = try insert(NodeRecord(mode: 0o100600, uid: uid, gid: UInt32(getegid()), now: .now))
        (node.blob, node.size, node.blocks, node.modified) = (blob, size, (size + 511) / 512, modified)
        try updateContent(of: node)
        try addLost(node.id, name)
        return node.id
    }

    /// Adds a name to `lost+found/`, with a number before it if the name is taken.
    private func addLost(_ node: NodeID, _ bytes: [UInt8]) throws {
        let folder = try lostFolder()
        let bytes = (try? EntryName(bytes))?.bytes ?? Array("\(node)".utf8)
        var name = try EntryName(bytes)
        var number = 1
        while try first(
            "SELECT 1 FROM entry WHERE parent = ? AND name = ?",
            [folder.value, name.value],
            { _ in true }
        ) != nil {
            number += 1
            name = try EntryName(EntryName.listed("\(number)-", bytes))
        }
        try insertEntry(name, in: folder, node: node)
        let isFolder = try self.node(node)?.isFolder ?? false
        try touchFolder(folder, subfolders: isFolder ? 1 : 0, at: .now)
    }

    /// Finds or creates `folders/lost+found/`: a folder of the library's owner that is closed to all others,
    /// because files in it may come from a closed folder.
    private func lostFolder() throws -> NodeID {
        try insertMissingRoots()
        var number = 0
        while true {
            number += 1
            let name = try EntryName(number == 1 ? "lost+found" : "lost+found-\(number)")
            let found = try first(
                """
                SELECT n.id, n.mode & 61440 = 16384 AND n.mode & 63 = 0 AND n.uid = ? AND NOT EXISTS (
                    SELECT 1 FROM extended_attribute x
                    WHERE x.node = n.id AND x.name = CAST('system.posix_acl_access' AS BLOB))
                FROM entry e LEFT JOIN node n ON n.id = e.node WHERE e.parent = 2 AND e.name = ?
                """,
                [.integer(Int64(geteuid())), name.value]
            ) { (id: $0.optionalInteger(0).map(NodeID.init), isClosed: $0.integer(1) != 0) }
            if let found {
                if found.isClosed, let id = found.id { return id }
                continue
            }
            let folder = try insert(
                NodeRecord(mode: 0o040700, uid: geteuid(), gid: getegid(), now: .now)
            )
            try insertEntry(name, in: .folders, node: folder.id)
            try touchFolder(.folders, subfolders: 1, at: .now)
            return folder.id
        }
    }

    // MARK: Numbers

    /// Skips a number of files' and assets' numbers: programs may know those that were given out after the
    /// catalog was copied.
    public func skipNumbers(_ count: Int64) throws {
        for table in ["node", "asset"] {
            try run(
                "INSERT INTO sqlite_sequence (name, seq) SELECT ?1, 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?1)",
                [.text(table)]
            )
            try run("UPDATE sqlite_sequence SET seq = seq + ? WHERE name = ?", [.integer(count), .text(table)])
        }
    }

    /// Has the next mount rebuild the index of `search.sqlite`.
    public func forgetSearchIndex() throws { try run("UPDATE search_state SET identifier = X'', turn = 0", []) }

    /// Forgets the staged files of uploads that are missing: these files keep their recorded content.
    public func forgetStagedFiles(except present: Set<String>) throws {
        for record in try staged() {
            guard let file = record.file, !present.contains(file) else { continue }
            try run("UPDATE staged SET file = '', uid = NULL WHERE node = ?", [record.node.value])
        }
    }
}
