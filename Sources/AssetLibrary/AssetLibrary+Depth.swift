internal import AssetModel
internal import Catalog

// How deep folders may be. A receipt, an event and the rules of a folder have its whole path, so that a path without end would take all
// memory, and fill the catalog with files of one byte.
extension AssetLibrary {
    /// Through how many folders a path may go, and how many bytes it may have.
    private static let limit = (levels: 1000, bytes: 64 << 10)

    /// Refuses to make a folder whose path would be too long.
    ///
    /// Folders of older libraries that are deeper go on; none is made in them.
    func refuseTooDeep(_ name: EntryName, in parent: NodeID, _ records: Records) throws {
        let place = depth(of: name, in: try rulebook.of(parent, records))
        guard place.levels <= Self.limit.levels, place.bytes <= Self.limit.bytes else { throw tooDeep }
    }

    /// Refuses to move a folder to where its path, or that of a folder in it, would be too long.
    ///
    /// The search reads some hundred of the folders in it. A folder that gets no deeper may go anywhere.
    func refuseTooDeep(
        _ folder: NodeRecord,
        from former: (name: EntryName, parent: NodeID),
        to name: EntryName,
        in parent: NodeID,
        _ records: Records
    ) throws {
        let present = depth(of: former.name, in: try rulebook.of(former.parent, records))
        let place = depth(of: name, in: try rulebook.of(parent, records))
        if place.levels <= present.levels, place.bytes <= present.bytes { return }
        let left = (levels: Self.limit.levels - place.levels, bytes: Self.limit.bytes - place.bytes)
        guard left.levels >= 0, left.bytes >= 0 else { throw tooDeep }
        if folder.links > 2, try records.isDeeper(folder.id, than: left.levels, bytes: left.bytes) { throw tooDeep }
    }

    private func depth(of name: EntryName, in parent: FolderRules) -> (levels: Int, bytes: Int) {
        (parent.ancestors.count, parent.path.utf8.count + 1 + name.bytes.count)
    }

    private var tooDeep: LibraryError {
        .pathTooLong(
            "The path of a folder may go through \(Self.limit.levels) folders and have \(Self.limit.bytes) bytes."
        )
    }
}

extension Place {
    /// The most bytes of a path that a line of a journal or of the log has; as many as a program can name at once: PATH_MAX.
    private static let journalLimit = 4096

    /// The path, for receipts, events and the log: of a longer one its last names, behind “…/”.
    var journalPath: String { Self.journalPath(path) }

    static func journalPath(_ path: String) -> String {
        guard path.utf8.count > journalLimit else { return path }
        let tail = path.utf8.suffix(journalLimit)
        // A name has fewer bytes than that, so that a slash is there.
        guard let slash = tail.firstIndex(of: 0x2F) else { return path }
        return "…" + String(path[slash...])
    }
}
