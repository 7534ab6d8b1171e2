/// Why a library could not be opened.
///
/// Nothing is left behind that was not there before.
public enum OpenLibraryError: Error, CustomStringConvertible, Sendable {
    /// Another process has it open.
    case inUse(path: String)
    /// The folder holds something else.
    case notALibrary(path: String)
    /// A newer assetfs made it, or its FORMAT file is damaged; what it says.
    case unknownFormat(path: String, found: String)
    /// The place cannot be read or written, or its parent folder is missing; the system's reason.
    case notAccessible(path: String, reason: String)
    /// Others could read what is in the library, and that cannot be mended here; why, and what to do.
    case exposed(path: String, reason: String)
    /// The disk has no room for the catalog.
    case noSpace(path: String)
    /// The library has no catalog, or an empty one, so that nothing says what its files are called.
    case catalogMissing(path: String)
    /// The catalog makes no sense; what SQLite says.
    case catalogDamaged(path: String, reason: String)
    /// Catalog or blobs could not be opened; the reason.
    case failed(path: String, reason: String)

    /// What is wrong, with which library, and what to do.
    public var description: String {
        switch self {
        case .inUse(let path): "The library \(path) is in use by another process; unmount it there first."
        case .notALibrary(let path):
            "\(path) is not an assetfs library: it has no FORMAT file but holds other things. Name an empty or a new folder."
        case .unknownFormat(let path, let found):
            "The library \(path) has the format “\(found)”, and this assetfs knows “\(LibraryLayout.format)”; use a newer assetfs."
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
