public import AssetModel
internal import GRDB

extension Records {
    /// The number of entries plus folders that a search for deep folders reads.
    private static let depthBudget = 2000

    /// Returns whether a folder has folders in it at more levels, or with a longer path, than given.
    ///
    /// Of many entries only some are read, the deepest first.
    public func isDeeper(_ folder: NodeID, than levels: Int, bytes: Int) throws -> Bool {
        var open = [(id: folder, levels: 0, bytes: 0)]
        var budget = Self.depthBudget
        while budget > 0, let next = open.popLast() {
            let below = try all(
                """
                SELECT n.id, length(e.name), n.links
                FROM (SELECT node, name FROM entry WHERE parent = ? LIMIT ?) e JOIN node n ON n.id = e.node
                WHERE n.mode & 61440 = 16384
                """,
                [next.id.value, .integer(Int64(budget))]
            ) { (NodeID(rawValue: $0.integer(0)), Int($0.integer(1)), $0.integer(2)) }
            budget -= below.count + 1
            for (id, length, links) in below {
                let found = (id: id, levels: next.levels + 1, bytes: next.bytes + 1 + length)
                if found.levels > levels || found.bytes > bytes { return true }
                if links > 2 { open.append(found) }
            }
        }
        return false
    }
}
