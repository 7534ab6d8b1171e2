public import AssetModel

/// An upload that had not ended when the library was last left.
public struct StagedRecord: Sendable {
    /// The file that was being written.
    public let node: NodeID
    /// The name of its bytes in `staging/`; nil when the file has its content, and only the asset does not.
    public let file: String?
    /// When it was last written, as far as that was known; nil when a program has set a time since.
    public let modified: Timestamp?
}

extension Records {
    /// Records where an unfinished upload's bytes are, so that a crash does not lose them.
    public func recordStaged(_ node: NodeID, file: String, modified: Timestamp?) throws {
        try run(
            "INSERT OR REPLACE INTO staged (node, file, modified) VALUES (?, ?, ?)",
            [node.value, .text(file), SQLValue(modified?.rawValue)]
        )
    }

    /// A program has set a file's time, which a crash must not take back.
    public func forgetStagedTime(_ node: NodeID) throws {
        try run("UPDATE staged SET modified = NULL WHERE node = ?", [node.value])
    }

    /// Records that a file has a content, or an asset, that its asset has yet to learn of.
    public func recordUnpublished(_ node: NodeID) throws {
        try run("INSERT OR IGNORE INTO staged (node, file) VALUES (?, '')", [node.value])
    }

    /// Forgets an upload that has ended.
    public func deleteStaged(_ node: NodeID) throws { try run("DELETE FROM staged WHERE node = ?", [node.value]) }

    /// Uploads that have not ended.
    public func staged() throws -> [StagedRecord] {
        try all("SELECT node, file, modified FROM staged", []) {
            let file = $0.text(1)
            return StagedRecord(
                node: NodeID(rawValue: $0.integer(0)),
                file: file.isEmpty ? nil : file,
                modified: $0.optionalTimestamp(2)
            )
        }
    }
}
