public import AssetModel
public import BlobStore
internal import Catalog
internal import Glibc
public import LibraryStorage
internal import SystemPackage

/// A library that no mount has open, held by its lock.
///
/// ## Concurrency
/// Used by one thread.
public final class ClosedLibrary {
    /// The path of the library.
    public let path: String
    private let lock: Int32

    /// The path of the catalog's database.
    public var catalogPath: String { "\(path)/catalog.sqlite" }

    /// Takes a library's lock, and changes nothing.
    /// - Throws: `.inUse`, `.notALibrary`, `.unknownFormat` or `.notAccessible`.
    public init(at path: String) throws(OpenLibraryError) {
        self.path = path
        let format = try LibraryDirectory.formatFile(of: path)
        guard let format else { throw .notALibrary(path: path) }
        guard format == LibraryDirectory.format else {
            throw .unknownFormat(path: path, found: String(format.prefix(40)))
        }
        lock = unsafe open("\(path)/lock", O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o600)
        guard lock >= 0 else { throw .notAccessible(path: path, reason: "\(Errno(rawValue: errno))") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            _ = close(lock)
            throw .inUse(path: path)
        }
    }

    deinit { _ = close(lock) }

    /// Checks the library and changes nothing.
    public func verify(
        isThorough: Bool,
        progress: @escaping (Int64) -> Void = { _ in }
    ) -> CheckReport {
        var check = LibraryCheck(isThorough: isThorough)
        check.progress = progress
        check.checkFiles(of: path, isMounted: false)
        check.checkSnapshots(of: path)
        do throws(CatalogError) {
            let catalog = try ClosedCatalog(path: catalogPath)
            check.check(catalog)
            do throws(CatalogError) {
                let stored = StoredBlobs(at: [path] + (try catalog.read { try $0.stores().map(\.path) }))
                check.check(stored, of: catalog) { digest, size in Self.compare(digest, size, in: stored) }
                try checkStaging(&check, catalog)
                try checkIndex(&check, catalog)
            } catch {
                check.note(error)
            }
            try catalog.close()
        } catch {
            check.note(error)
        }
        return check.report
    }

    /// Verifies a blob on the disk.
    public static func compare(_ digest: Digest, _ size: Int64, in stored: StoredBlobs) -> LibraryCheck.State {
        do throws(BlobStoreError) {
            guard let file = try stored.open(digest, size: size) else { return .faulty("Its file is missing.") }
            let found = try Digest(readingFromDisk: file, size: size)
            return found == digest ? .whole : .faulty("Its bytes have the SHA-256 \(found).")
        } catch {
            return .faulty("Its file cannot be read: \(error)")
        }
    }

    // MARK: Files beside the catalog

    private func checkStaging(_ check: inout LibraryCheck, _ catalog: ClosedCatalog) throws(CatalogError) {
        let (staged, nameless) = try catalog.read { (try $0.staged(), try $0.unlinkedNodes().count) }
        let present = Set(LibraryFiles.names(in: "\(path)/staging"))
        for record in staged {
            guard let file = record.file, !present.contains(file) else { continue }
            let name = try catalog.read { try $0.pathForPeople(of: record.node) }
            check.addStaged(row: record.node.rawValue, path: name)
        }
        let foreign = present.filter { LibraryCheck.isForeign("\(path)/staging/\($0)") }
        check.addForeign(foreign.sorted())
        let left = present.subtracting(foreign).subtracting(staged.compactMap(\.file)).count
        if left + nameless > 0 {
            check.note(
                "The last mount has left \(left.counted("staged file")) and \(nameless.counted("file")) without a name; the next one clears them."
            )
        }
        let leftovers = LibraryFiles.names(in: "\(path)/leftover").count
        if leftovers > 0 {
            check.note(
                "Contents of uploads that a crash has cut short are in leftover/, each for a week from then on: \(leftovers)."
            )
        }
        let interrupted = staged.count { $0.file != nil }
        if interrupted > 0 {
            check.note("\(interrupted.counted("upload was", "uploads were")) interrupted, which the next mount ends.")
        }
        if staged.count > interrupted {
            let count = (staged.count - interrupted).counted("file has", "files have")
            check.note("\(count) a content of which the next mount makes an asset's.")
        }
    }

    private func checkIndex(_ check: inout LibraryCheck, _ catalog: ClosedCatalog) throws(CatalogError) {
        let known = try catalog.read { try $0.searchState() }
        do throws(CatalogError) {
            guard let index = try ClosedSearchIndex(path: "\(path)/search.sqlite") else {
                return check.note("There is no search.sqlite; the next mount makes it anew.")
            }
            guard index.state == known else {
                try index.close()
                return check.note(
                    "search.sqlite is not the one that belongs to the catalog; the next mount makes it anew."
                )
            }
            let looking = check
            try check.checkIndex(advice: nil) { position throws(CatalogError) in
                try looking.indexStep(after: position) { body throws(CatalogError) in
                    try index.read(body)
                } catalog: { body throws(CatalogError) in
                    try catalog.read(body)
                }
            }
            if check.isThorough { try index.read { try $0.checkWords() } }
            try index.close()
        } catch {
            check.add("search", "search.sqlite is damaged, and nothing can be found before it is made anew: \(error)")
        }
    }
}
