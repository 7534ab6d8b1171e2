internal import GRDB

/// Why the catalog could not be read or written.
public enum CatalogError: Error, CustomStringConvertible, Sendable {
    /// Another program holds the catalog's write lock.
    case busy
    /// The file was written by a newer assetfs.
    case newer
    /// The file was written by an older assetfs, and its tables are not those of this version.
    case older
    /// The disk has no room for the last changes; nothing is lost, and changes are refused until it has.
    case full
    /// The disk did not take the last changes; nothing is lost, and changes are refused until it does.
    case unwritten
    /// The disk could not be read within a change; nothing is lost. The caller repeats that change when the
    /// disk can be read.
    case unread
    /// SQLite failed: its code and its message.
    case failed(code: Int32, reason: String)
    /// An earlier failure rolled back the running transaction; only mounting again helps.
    case lost(reason: String)

    /// Converts an error of SQLite to one of the catalog.
    public init(_ error: any Error) {
        switch error {
        case let error as CatalogError: self = error
        case let error as DatabaseError where error.resultCode == .SQLITE_BUSY: self = .busy
        // The code of a read that failed: CWriteAheadLog.c.
        case let error as DatabaseError where error.resultCode == .SQLITE_CANTOPEN:
            self = .failed(code: error.extendedResultCode.rawValue, reason: "the disk could not be read")
        case let error as DatabaseError:
            self = .failed(code: error.extendedResultCode.rawValue, reason: error.message ?? "\(error.resultCode)")
        default: self = .failed(code: 1, reason: "\(error)")
        }
    }

    /// Whether the disk had no room for the catalog.
    public var isNoSpace: Bool {
        if case .full = self { return true }
        if case .failed(let code, _) = self { return code & 0xFF == ResultCode.SQLITE_FULL.rawValue }
        return false
    }

    /// Whether a later commit may succeed: nothing is lost.
    public var isTemporary: Bool {
        switch self {
        case .full, .unwritten, .unread: true
        default: false
        }
    }

    /// Whether the file is corrupt.
    public var isDamage: Bool {
        guard case .failed(let code, _) = self else { return false }
        return [ResultCode.SQLITE_CORRUPT.rawValue, ResultCode.SQLITE_NOTADB.rawValue].contains(code & 0xFF)
    }

    /// The message for the user, in one sentence.
    public var description: String {
        switch self {
        case .busy: "The catalog is locked by another program; end it and try again."
        case .newer: "The catalog was written by a newer assetfs; use that version."
        case .older: "The catalog was written by an older assetfs; mount the library once with this one."
        case .full:
            "The library's disk is full, and the last changes are not on it yet; free some space there, and all goes on."
        case .unwritten:
            "The library's disk did not take the last changes; they are written again until it does, and then all goes on."
        case .unread: "The library's disk could not be read; all goes on as soon as it can."
        case .failed(let code, let reason): "The catalog failed: \(reason) (SQLite \(code))."
        case .lost(let reason):
            "The catalog failed and lost its running transaction (\(reason)); mount the library again."
        }
    }
}
