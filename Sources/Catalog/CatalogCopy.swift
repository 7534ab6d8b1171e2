internal import GRDB
internal import GRDBSQLite
internal import Glibc

/// A copy of the catalog that is made while others change it, in short steps, each between two transactions.
///
/// If a page changes after it was copied, SQLite writes it to the copy as well, so that the copy is the
/// catalog as committed before the last step. See sqlite3_backup_step.
///
/// ## Concurrency
/// One thread creates and advances it; `Catalog.commit` runs its steps on that thread.
@safe
public final class CatalogCopy {
    private static let pagesAtOnce: Int32 = 16

    private let path: String
    private let stepTime: Duration
    private var target: OpaquePointer?
    private var backup: OpaquePointer?
    private var problem: CatalogError?
    /// Whether the copy has all pages, and is a file of its own.
    public private(set) var isComplete = false

    /// Creates an empty file for the copy; the path must not exist.
    ///
    /// `stepTime` is how long one step may hold up all operations; a step copies at least `pagesAtOnce`
    /// pages.
    public init(to path: String, stepTime: Duration = .milliseconds(2)) throws(CatalogError) {
        (self.path, self.stepTime) = (path, stepTime)
        let file = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Self.failure("open", of: path) }
        _ = close(file)
        let code = unsafe sqlite3_open_v2(path, &target, SQLITE_OPEN_READWRITE, nil)
        guard code == SQLITE_OK else { throw .failed(code: code, reason: "\(path) cannot be opened") }
        // The copy must be on stable storage when it gets its name, and not before.
        unsafe sqlite3_exec(
            target,
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF",
            nil,
            nil,
            nil
        )
    }

    deinit { end() }

    private static func failure(_ call: String, of path: String) -> CatalogError {
        let number = errno
        let code = number == ENOSPC || number == EDQUOT ? SQLITE_FULL : SQLITE_IOERR
        return unsafe .failed(code: code, reason: "\(call) of \(path): \(String(cString: strerror(number)))")
    }

    /// Throws the reason why the copy cannot be completed, if there is one.
    public func check() throws(CatalogError) { if let problem { throw problem } }

    /// Copies pages for at most `stepTime`; `database` is in no transaction.
    func advance(_ database: Database) {
        guard !isComplete, problem == nil else { return }
        if unsafe backup == nil {
            unsafe backup = sqlite3_backup_init(target, "main", database.sqliteConnection, "main")
            guard unsafe backup != nil else {
                problem = unsafe .failed(code: sqlite3_extended_errcode(target), reason: "the catalog cannot be copied")
                return
            }
        }
        let end = ContinuousClock.now + stepTime
        repeat {
            switch unsafe sqlite3_backup_step(backup, Self.pagesAtOnce) {
            case SQLITE_OK: break
            case SQLITE_DONE:
                let code = unsafe sqlite3_backup_finish(backup)
                unsafe backup = nil
                if code == SQLITE_OK {
                    isComplete = true
                } else {
                    problem = .failed(code: code, reason: "the copy of the catalog cannot be written")
                }
            case let code: problem = .failed(code: code, reason: "the copy of the catalog cannot be written")
            }
        } while !isComplete && problem == nil && .now < end
    }

    /// Ends the backup, and closes the copy.
    func end() {
        unsafe sqlite3_backup_finish(backup)
        unsafe sqlite3_close(target)
        unsafe (backup, target) = (nil, nil)
    }

    /// Puts a complete copy on stable storage, as a file that needs no write-ahead log; `Catalog.end` comes
    /// before.
    public func makeDurable() throws(CatalogError) {
        let file = unsafe open(path, O_RDWR | O_CLOEXEC)
        guard file >= 0 else { throw Self.failure("open", of: path) }
        defer { _ = close(file) }
        // > File format write version and read version: 1 for legacy; 2 for WAL —
        // > sqlite.org/fileformat2.html, offset 18
        let versions: [UInt8] = [1, 1]
        guard unsafe pwrite(file, versions, 2, 18) == 2 else { throw Self.failure("write", of: path) }
        guard fsync(file) == 0 else { throw Self.failure("fsync", of: path) }
    }
}
