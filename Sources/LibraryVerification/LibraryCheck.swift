public import AssetModel
public import BlobStore
public import Catalog
internal import Glibc
internal import SystemPackage

/// A check of a library, from a catalog that no longer changes and the files on the disk.
public struct LibraryCheck {
    /// The result of the verification of a blob.
    public enum State: Sendable {
        case whole
        case faulty(String)
        /// The verification was not possible.
        case unknown
    }

    /// Whether blobs are read and compared with their SHA-256, and indexes with their tables.
    public let isThorough: Bool
    /// Whether the check is to stop early.
    public let isUnwanted: () -> Bool
    /// Reports the progress of the check, in hundredths.
    public var progress: (Int64) -> Void = { _ in }
    /// The findings so far.
    public private(set) var report = CheckReport()

    private static let batch = 256

    /// Begins a check; `isUnwanted` returns whether it is to stop early.
    public init(isThorough: Bool, isUnwanted: @escaping () -> Bool = { false }) {
        (self.isThorough, self.isUnwanted) = (isThorough, isUnwanted)
    }

    /// Checks pages, indexes and rows.
    public mutating func check(_ catalog: ClosedCatalog) {
        do throws(CatalogError) {
            let isThorough = isThorough
            for sentence in try catalog.read(isUnwanted: isUnwanted, { try $0.integrity(isThorough: isThorough) }) {
                report.add("catalog", "catalog.sqlite is damaged: \(sentence).", advice: Self.remedy)
            }
            for rule in Invariant.all where !isUnwanted() {
                let found = try catalog.read(isUnwanted: isUnwanted) {
                    try $0.violations(of: rule, limit: CheckReport.limit)
                }
                report.add(found.violations, count: found.count)
            }
        } catch {
            note(error)
        }
    }

    /// The advice for a catalog with damaged pages.
    private static let remedy = "“assetfs recover LIBRARY” makes one from a snapshot and the contents."

    /// Notes why the catalog cannot be read.
    public mutating func note(_ error: CatalogError) {
        if isUnwanted() { return }
        report.add("catalog", "catalog.sqlite cannot be read: \(error)", advice: Self.remedy)
    }

    /// Adds a sentence that is no fault.
    public mutating func note(_ sentence: String) { report.notes.append(sentence) }

    /// Adds a fault of one of the library's files.
    public mutating func add(_ rule: String, path: [UInt8]? = nil, _ sentence: String, advice: String? = nil) {
        report.add(rule, path: path, sentence, advice: advice)
    }

    /// Adds an interrupted upload with lost bytes.
    mutating func addStaged(row: Int64, path: [UInt8]?) {
        report.add(
            "staged",
            row: row,
            path: path,
            "The bytes of an upload that was interrupted are missing; the file keeps its former content."
        )
    }

    /// Checks that each blob of the catalog has its file, and looks for files that are in no row.
    ///
    /// `compare` reads a blob in a thorough check; `isPresent` returns whether the catalog names a blob at
    /// this moment, where it may have changed meanwhile.
    public mutating func check(
        _ stored: StoredBlobs,
        of catalog: ClosedCatalog,
        isPresent: (Digest, _ isExpected: Bool) -> Bool = { $1 },
        compare: (Digest, Int64) -> State
    ) {
        do throws(CatalogError) {
            for path in stored.absent {
                note("\(path) has no folder “blobs”; is its disk mounted? What is in it could not be looked at.")
            }
            let last = max(1, try catalog.read { try $0.lastBlob() }.rawValue)
            var position = BlobID(rawValue: 0)
            while !isUnwanted() {
                let from = position
                let blobs = try catalog.read { try $0.blobs(after: from, limit: Self.batch) }
                for blob in blobs where !isUnwanted() {
                    try check(blob, stored, catalog, isPresent, compare)
                    position = blob.id
                    progress(position.rawValue * 100 / last)
                }
                if blobs.isEmpty { break }
            }
            try checkNames(stored, catalog, isPresent)
            report.isComplete = !isUnwanted()
        } catch {
            note(error)
        }
    }

    private mutating func check(
        _ blob: (id: BlobID, digest: Digest?, size: Int64),
        _ stored: StoredBlobs,
        _ catalog: ClosedCatalog,
        _ isPresent: (Digest, Bool) -> Bool,
        _ compare: (Digest, Int64) -> State
    ) throws(CatalogError) {
        guard let digest = blob.digest else {
            report.add(
                "content-digest",
                row: blob.id.rawValue,
                "A content has no SHA-256.",
                advice: "Copy its files in again."
            )
            return
        }
        report.contents += 1
        let sizes = stored.sizes(of: digest)
        var reason: String?
        if !sizes.contains(blob.size) {
            reason =
                sizes.first.map { "Its file has \($0.counted("byte")) instead of \(blob.size)." }
                ?? "Its file is missing."
        } else if isThorough {
            report.bytes += blob.size
            if case .faulty(let sentence) = compare(digest, blob.size) { reason = sentence }
        }
        guard let reason, isPresent(digest, true) else { return }
        // The blob may have been moved to another store meanwhile.
        if !isThorough, stored.sizes(of: digest).contains(blob.size) { return }
        if sizes.isEmpty, !stored.absent.isEmpty { return }
        let users = try catalog.read { records in
            try records.uses(of: blob.id, limit: 100).map { use in
                (path: try records.pathForPeople(of: use.asset), use.isFormer, use.version)
            }
        }
        let advice = "Copy the same content in again, or put its file back into blobs/."
        for (path, isFormer, version) in users {
            let former = isFormer ? " It is the former content \(version)." : ""
            report.add("content-file", row: blob.id.rawValue, path: path, "\(reason)\(former)", advice: advice)
        }
        if users.isEmpty {
            report.add("content-file", row: blob.id.rawValue, "\(reason) Blob \(digest).", advice: advice)
        }
    }

    /// Notes files that no row names: blobs of an upload that was not committed, or foreign files.
    private mutating func checkNames(
        _ stored: StoredBlobs,
        _ catalog: ClosedCatalog,
        _ isPresent: (Digest, Bool) -> Bool
    ) throws(CatalogError) {
        var (leftovers, foreign): (Int64, [String]) = (0, [])
        var problem: CatalogError?
        let isUnwanted = isUnwanted
        stored.forEach { name in
            guard problem == nil, !isUnwanted() else { return }
            switch name {
            case .foreign(let path): foreign.append(path)
            case .blob(let digest):
                do throws(CatalogError) {
                    if try catalog.read({ try $0.blob(digest) }) == nil, !isPresent(digest, false) { leftovers += 1 }
                } catch {
                    problem = error
                }
            }
        }
        if let problem { throw problem }
        for path in foreign.prefix(CheckReport.limit) { note("blobs/\(path) is none of the library's files.") }
        if leftovers > 0 {
            note(
                "\(leftovers.counted("file in blobs/ is", "files in blobs/ are")) of no content that the catalog knows: a crash leaves such, and an upload of the same content takes it over."
            )
        }
    }
}
