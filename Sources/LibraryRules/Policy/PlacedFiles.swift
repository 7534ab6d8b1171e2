public import AssetModel
public import Catalog

// Files and folders that were put where they are by a user other than their owner and root: the policies of
// the folders there neither expire them nor prune their versions.
extension Rulebook {
    /// Returns the policy for a file at a place; where another user has put the file there, it expires and
    /// prunes no more than the mount's options.
    public func policy(for file: NodeRecord, at place: Place) -> Policy { policy(for: file, in: place.rules) }

    /// Returns the policy for a file in a folder.
    public func policy(for file: NodeRecord, in rules: FolderRules) -> Policy {
        file.isPlacedByOther ? rules.policy.sparing(as: base) : rules.policy
    }
}

extension Records {
    /// Records whether the user that gives a node a name puts it where its owner has not put it.
    ///
    /// `isElsewhere` says that the folder is another one. While a file has several names, of which a move
    /// `keepsOthers`, one of them may still be where another user has put it.
    public func notePlacing(
        of node: inout NodeRecord,
        isElsewhere: Bool,
        keepsOthers: Bool = false,
        by uploader: Uploader
    ) throws {
        let isOwn = uploader.uid == 0 || uploader.uid == node.uid
        let hasOthers = keepsOthers || node.isFile && node.links > 1
        let isPlacedByOther = isOwn ? node.isPlacedByOther && hasOthers : node.isPlacedByOther || isElsewhere
        guard isPlacedByOther != node.isPlacedByOther else { return }
        node.isPlacedByOther = isPlacedByOther
        try setPlacedByOther(node.id, isPlacedByOther)
    }

    /// Records that a file stands where another user has put it, when it replaces a file of the same owner
    /// that did.
    func inheritPlacing(of former: NodeRecord?, by node: inout NodeRecord, _ arrival: Arrival) throws {
        guard let former, former.isPlacedByOther, former.uid == node.uid, ![0, node.uid].contains(arrival.uid) else {
            return
        }
        try notePlacing(of: &node, isElsewhere: true, by: arrival.uploader)
    }
}
