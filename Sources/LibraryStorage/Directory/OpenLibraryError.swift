/// The reasons for which a library could not be opened.
///
/// A failed opening leaves no new files behind.
public enum OpenLibraryError: Error, CustomStringConvertible, Sendable {
    /// Another process has the library open.
    case inUse(path: String)
    /// The folder has other contents than a library.
    case notALibrary(path: String)
    /// A newer assetfs made the library, or its FORMAT file is damaged; the text of FORMAT.
    case unknownFormat(path: String, found: String)
    /// The folder cannot be read or written, or its parent is missing; the system's reason.
    case notAccessible(path: String, reason: String)
    /// Other users could read files of the library, and that cannot be repaired here; the reason and the
    /// remedy.
    case exposed(path: String, reason: String)
    /// The disk has no room for the catalog.
    case noSpace(path: String)
    /// The library has no catalog, or an empty one, so that the names of its files are unknown.
    case catalogMissing(path: String)
    /// The catalog is corrupt; SQLite's reason.
    case catalogDamaged(path: String, reason: String)
    /// Catalog or blobs could not be opened; the reason.
    case failed(path: String, reason: String)

    /// The problem, the library and the remedy.
    public var description: String {
        switch self {
        case .inUse(let path): "The library \(path) is in use by another process; unmount it there first."
        case .notALibrary(let path):
            "\(path) is not an assetfs library: it has no FORMAT file but holds other things. Name an empty or a new folder."
        case .unknownFormat(let path, let found):
            "The library \(path) has the format “\(found)”, and this assetfs knows “\(LibraryDirectory.format)”; use a newer assetfs."
        case .notAccessible(let path, let reason):
            "The library \(path) cannot be read and written: \(reason). Check its owner, its mode and the mount below it."
        case .exposed(let path, let reason): "The library \(path) \(reason)"
        case .noSpace(let path): "The disk of the library \(path) is full; free some space there first."
        case .catalogMissing(let path):
            "The library \(path) has no catalog.sqlite, or an empty one; put it back, or have “assetfs recover \(path)” make one from a snapshot and the contents."
        case .catalogDamaged(let path, let reason):
            "The catalog of the library \(path) is damaged: \(reason) “assetfs recover \(path)” makes one from a snapshot and the contents."
        case .failed(let path, let reason): "The library \(path) cannot be opened: \(reason)"
        }
    }
}
