internal import AssetModel
internal import BlobStore
internal import Catalog
internal import Glibc
public import LibraryStorage
internal import SystemPackage

/// The result of a recovery of a library.
public struct RecoveryReport: Sendable {
    /// The snapshot that the catalog was made from; nil where none could be read.
    public fileprivate(set) var snapshot: String?
    /// Names in `snapshots/` of damaged snapshots that were skipped: each is kept with `.damaged` at its end.
    public fileprivate(set) var damagedSnapshots: [String] = []
    /// Sentences on snapshots that the disk could not read, so that an older one was taken.
    public fileprivate(set) var unreadSnapshots: [String] = []
    /// The name under which the former catalog is kept; nil where there was none.
    public fileprivate(set) var former: String?
    /// Paths in `folders/lost+found/` of blobs that the snapshot did not know.
    public fileprivate(set) var found: [String] = []
    /// How many files in `blobs/` do not have the bytes of their digest.
    public fileprivate(set) var torn = 0
    /// The faults that remain.
    public fileprivate(set) var check = CheckReport()
}

extension ClosedLibrary {
    /// How many numbers of files and assets are skipped, so that no number given after the snapshot is given
    /// again.
    private static let skippedNumbers: Int64 = 1_000_000

    private var target: String { "\(path)/catalog.recovered.sqlite" }

    /// Makes a new catalog of the newest sound snapshot and the present blobs, and keeps the former one under
    /// another name.
    ///
    /// No file in `blobs/` is changed.
    /// - Throws: also where the catalog is sound.
    public func recover(progress: @escaping (Int64) -> Void = { _ in }) throws(RepairFailure) -> RecoveryReport {
        do {
            try refuseSound()
            var report = RecoveryReport()
            try BlobStore.takeBackLeftovers(at: path)
            KillPoint.leftoversTaken.reach()
            try takeSnapshot(&report)
            KillPoint.snapshotCopied.reach()
            let catalog = try Catalog(path: target) {}
            do {
                for store in try catalog.read({ try $0.stores() }) { try BlobStore.takeBackLeftovers(at: store.path) }
                try mend(catalog)
                try addContents(catalog, &report)
                KillPoint.contentsAdded.reach()
                try catalog.commit {}
            } catch {
                try? catalog.close()
                throw error
            }
            try catalog.close()
            KillPoint.catalogRecovered.reach()
            report.former = try replaceCatalog()
            report.check = verify(isThorough: false, progress: progress)
            return report
        } catch let error as RepairFailure {
            throw error
        } catch {
            throw RepairFailure(description: "The catalog could not be recovered: \(error)")
        }
    }

    private func refuseSound() throws {
        do throws(CatalogError) {
            let catalog = try ClosedCatalog(path: catalogPath)
            let problems = try catalog.read { try $0.integrity(isThorough: true) }
            try catalog.close()
            guard problems.isEmpty else { return }
            throw CatalogError.failed(code: 0, reason: "")
        } catch {
            switch error {
            case .failed(let code, _) where code != 0: return
            case .newer, .older, .busy: throw error
            default:
                throw RepairFailure(
                    description:
                        "The catalog of \(path) can be read, and nothing has to be recovered; “assetfs verify --repair” mends what is wrong in it."
                )
            }
        }
    }

    private func removeTarget() {
        for suffix in ["", "-wal", "-shm", "-journal"] { unsafe _ = unlink(target + suffix) }
    }

    /// The condition of a snapshot.
    private enum Soundness {
        case sound
        /// The snapshot can be read, and breaks rules.
        case faulty
        case damaged
    }

    /// Copies the newest snapshot that is sound, or else the newest that can be read, to the place of the new
    /// catalog.
    ///
    /// A damaged snapshot is renamed; one that the disk cannot read stays.
    /// - Throws: where there is no room for the copy; where a snapshot was made by a newer assetfs, or is in
    ///   use; and where no snapshot can be read though not all are damaged.
    private func takeSnapshot(_ report: inout RecoveryReport) throws {
        let folder = SnapshotFolder(of: path)
        var fallback: String?
        defer { for name in report.damagedSnapshots { folder.setAside(name) } }
        for name in folder.names.reversed() {
            do {
                // A disk that fails while the copy is read can make a sound snapshot seem damaged, so it is
                // copied twice.
                var soundness = try copy(snapshot: name)
                if soundness == .damaged { soundness = try copy(snapshot: name) }
                switch soundness {
                case .sound:
                    report.snapshot = name
                    return
                case .faulty: fallback = fallback ?? name
                case .damaged: report.damagedSnapshots.append(name)
                }
            } catch let error as CatalogError {
                // The snapshot could be read, and is not damaged.
                throw RepairFailure(description: "snapshots/\(name) cannot be taken: \(error)")
            } catch let error as RepairFailure where error.isOfSource {
                report.unreadSnapshots.append(error.description)
            }
        }
        removeTarget()
        if let fallback {
            _ = try copy(snapshot: fallback)
        } else if let unread = report.unreadSnapshots.first {
            throw RepairFailure(
                description:
                    "No snapshot could be read, and without one all names are lost; try again, or move what is in snapshots/ elsewhere to do without. \(unread)"
            )
        } else {
            let file = unsafe open(target, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            if file >= 0 { _ = close(file) }
        }
        report.snapshot = fallback
    }

    /// Copies a snapshot, migrates its tables to the present schema, and returns its condition.
    private func copy(snapshot name: String) throws -> Soundness {
        removeTarget()
        try LibraryFiles.copy("\(SnapshotFolder(of: path).path)/\(name)", to: target)
        do {
            try Catalog(path: target, isExpected: true) {}.close()
            let catalog = try ClosedCatalog(path: target)
            defer { try? catalog.close() }
            guard try catalog.read({ try $0.integrity(isThorough: true) }).isEmpty else { return .damaged }
            let isSound = try Invariant.all.allSatisfy { rule in
                try rule.advice != nil || catalog.read { try $0.violations(of: rule, limit: 0) }.count == 0
            }
            return isSound ? .sound : .faulty
        } catch let error as CatalogError where error.isDamage {
            return .damaged
        }
    }

    private func mend(_ catalog: Catalog) throws {
        let staged = Set(LibraryFiles.names(in: "\(path)/staging"))
        try catalog.write { records in
            try records.insertMissingRoots()
            try records.mendAll()
            try records.forgetStagedFiles(except: staged)
            try records.forgetSearchIndex()
            try records.skipNumbers(Self.skippedNumbers)
        }
    }

    /// Gives each intact blob that no row names a name in `lost+found/`.
    private func addContents(_ catalog: Catalog, _ report: inout RecoveryReport) throws {
        let stored = StoredBlobs(at: [path] + (try catalog.read { try $0.stores().map(\.path) }))
        var seen: Set<Digest> = []
        try stored.forEach { name in
            guard case .blob(let digest) = name, seen.insert(digest).inserted,
                try catalog.read({ try $0.blob(digest) }) == nil
            else { return }
            guard let size = stored.sizes(of: digest).max(), case .whole = Self.compare(digest, size, in: stored),
                let file = try stored.open(digest, size: size)
            else {
                report.torn += 1
                return
            }
            let name = String("\(digest)".prefix(16)) + FileExtension.guess(of: file)
            let path = try catalog.write { try $0.insertLost(digest, size: size, name: name) }
            report.found.append(String(decoding: path ?? [], as: UTF8.self))
        }
    }

    /// Gives the new catalog its name, and renames the former one with its log.
    /// - Returns: the former catalog's new name; nil where there was none.
    private func replaceCatalog() throws -> String? {
        var former: String?
        var status = stat()
        if unsafe stat(catalogPath, &status) == 0 {
            let name = unusedName("catalog.damaged")
            try rename("catalog.sqlite", to: name)
            KillPoint.catalogPutAside.reach()
            former = name
        }
        if unsafe stat(catalogPath + "-wal", &status) == 0 {
            // A log without its catalog belongs to one that a recovery has renamed before it was killed.
            let name = former ?? nameOfLastDamaged ?? unusedName("catalog.damaged")
            try rename("catalog.sqlite-wal", to: "\(name)-wal")
            KillPoint.logPutAside.reach()
        }
        unsafe _ = unlink(catalogPath + "-shm")
        let folder = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { _ = close(folder) }
        guard unsafe Glibc.rename(target, catalogPath) == 0, fsync(folder) == 0 else {
            throw RepairFailure(description: "\(target) cannot be renamed: \(Errno(rawValue: errno)).")
        }
        KillPoint.catalogReplaced.reach()
        return former
    }

    /// The newest renamed catalog that has no log; nil where there is none.
    private var nameOfLastDamaged: String? {
        let names = Set(LibraryFiles.names(in: path))
        let number = (1...).first { !names.contains(Self.numbered("catalog.damaged", $0)) } ?? 1
        let last = Self.numbered("catalog.damaged", number - 1)
        return number > 1 && !names.contains("\(last)-wal") ? last : nil
    }

    private func rename(_ name: String, to other: String) throws(RepairFailure) {
        guard unsafe Glibc.rename("\(path)/\(name)", "\(path)/\(other)") == 0 else {
            throw RepairFailure(description: "\(path)/\(name) cannot be renamed: \(Errno(rawValue: errno)).")
        }
    }
}

/// The name extension that programs expect for a blob's bytes.
enum FileExtension {
    private static let marks: [(offset: Int, bytes: [UInt8], name: String)] = [
        (0, [0xFF, 0xD8, 0xFF], ".jpg"), (0, [0x89, 0x50, 0x4E, 0x47], ".png"), (0, Array("GIF8".utf8), ".gif"),
        (0, Array("%PDF-".utf8), ".pdf"), (0, [0x50, 0x4B, 3, 4], ".zip"), (4, Array("ftypqt".utf8), ".mov"),
        (4, Array("ftyp".utf8), ".mp4"), (8, Array("WEBP".utf8), ".webp"), (8, Array("WAVE".utf8), ".wav"),
        (8, Array("AVI ".utf8), ".avi"), (0, [0x49, 0x49, 0x2A, 0], ".tif"), (0, [0x4D, 0x4D, 0, 0x2A], ".tif"),
        (0, Array("ID3".utf8), ".mp3"), (0, Array("OggS".utf8), ".ogg"), (0, Array("fLaC".utf8), ".flac"),
        (0, [0x1F, 0x8B], ".gz"),
    ]

    /// Returns the extension with its dot; an empty string for unknown types.
    static func guess(of file: OpenFile) -> String {
        var head = [UInt8](repeating: 0, count: 16)
        let count = (try? unsafe head.withUnsafeMutableBytes { try unsafe file.read(into: $0, at: 0) }) ?? 0
        let known = head.prefix(count)
        return marks.first { known.dropFirst($0.offset).starts(with: $0.bytes) }?.name ?? ""
    }
}
