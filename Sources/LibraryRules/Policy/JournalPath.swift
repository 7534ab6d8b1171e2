internal import AssetModel
internal import Catalog
internal import LibraryStorage

extension Place {
    /// The maximum number of bytes of a path in a line of a journal or of the log: PATH_MAX, the limit of a
    /// path that a program passes.
    private static let journalLimit = 4096

    /// The path for receipts, events and the log; a longer one is cut to its last names, behind “…/”.
    public var journalPath: String { Self.journalPath(path) }

    /// Returns a path, cut to its last names where it is longer than the limit.
    public static func journalPath(_ path: String) -> String {
        guard path.utf8.count > journalLimit else { return path }
        let tail = path.utf8.suffix(journalLimit)
        // A name has fewer bytes than that, so there is a slash.
        guard let slash = tail.firstIndex(of: 0x2F) else { return path }
        return "…" + String(path[slash...])
    }
}
