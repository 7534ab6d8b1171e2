internal import AssetModel
internal import Catalog

// Files and folders that a user has put where they are who neither owned them nor was root: what the folders there say makes no end of
// them, nor of their contents.
extension Rulebook {
    /// Returns the policy that holds for a file at a place: of what ends files and contents no more than the mount says where another
    /// user has put it there.
    func policy(for file: NodeRecord, at place: Place) -> Policy { policy(for: file, in: place.rules) }

    /// Returns the policy that holds for a file in a folder.
    func policy(for file: NodeRecord, in rules: FolderRules) -> Policy {
        file.isPlacedByOther ? rules.policy.sparing(as: base) : rules.policy
    }
}

extension Records {
    /// Notes whether a user who gives a node a name puts it where its owner has not put it.
    ///
    /// `isElsewhere` says that the folder is another. While a file has several names, of which one `keepsOthers`, one of them may still be
    /// where another user has put it.
    func notePlacing(
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

    /// Notes that a file which another user has put in the place of one of the same owner is where that one was.
    func inheritPlacing(of former: NodeRecord?, by node: inout NodeRecord, _ arrival: Arrival) throws {
        guard let former, former.isPlacedByOther, former.uid == node.uid, ![0, node.uid].contains(arrival.uid) else {
            return
        }
        try notePlacing(of: &node, isElsewhere: true, by: arrival.uploader)
    }
}
