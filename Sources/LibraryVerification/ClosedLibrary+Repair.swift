internal import AssetModel
internal import BlobStore
internal import Catalog
internal import Glibc
public import LibraryStorage
internal import SystemPackage

extension ClosedLibrary {
    /// Checks the library, mends the faults that can be mended, and checks it again; keeps a copy of the
    /// catalog first.
    ///
    /// No blob is removed or moved: rows without their owner are deleted, counts are recomputed, and files
    /// without a path get one in `folders/lost+found/`.
    /// - Returns: the findings, and the name under which the former catalog is kept; nil where nothing had to
    ///   be mended.
    public func repair(
        isThorough: Bool,
        progress: @escaping (Int64) -> Void = { _ in }
    ) throws(RepairFailure) -> (report: CheckReport, copy: String?) {
        let before = verify(isThorough: isThorough, progress: progress)
        let mendable = before.findings.contains { $0.advice == nil || $0.rule == "catalog" }
        guard mendable || before.unnamed > 0 else { return (before, nil) }
        var copy: String?
        // Faults of other files need no change of the catalog.
        let isAboutFiles = before.unnamed == 0 && before.findings.allSatisfy { Self.fileRules.contains($0.rule) }
        if !isAboutFiles {
            do {
                // A catalog that cannot be read at all needs `recover`.
                try ClosedCatalog(path: catalogPath).close()
                try OwnFiles.separate(OwnFiles.databases, in: path)
                copy = try keepCatalog()
                try mendCatalog(before)
            } catch let error as CatalogError where error.isDamage {
                // The report has the fault and its remedy.
            } catch let error as RepairFailure {
                throw error
            } catch {
                throw RepairFailure(description: "\(error)")
            }
        }
        mendFiles(before)
        KillPoint.filesMended.reach()
        return (verify(isThorough: isThorough, progress: progress).after(before), copy)
    }

    /// The rules on files beside the catalog.
    private static let fileRules: Set<String> = ["mode", "owner", "snapshot", "signing-key", "staging", "layout"]

    /// Gives a file of the library to the owner of its folder.
    private func giveToOwner(_ finding: CheckReport.Finding) {
        var status = stat()
        guard let name = finding.path, unsafe stat(path, &status) == 0 else { return }
        unsafe _ = lchown("\(path)/\(String(decoding: name, as: UTF8.self))", status.st_uid, status.st_gid)
    }

    /// Copies the catalog unchanged, with its log; an unfinished copy has another name.
    /// - Returns: the copy's name.
    private func keepCatalog() throws(RepairFailure) -> String {
        let (name, unfinished) = (unusedName("catalog.before-repair"), "catalog.before-repair.new")
        for suffix in ["", "-wal"] { unsafe _ = unlink("\(path)/\(unfinished)\(suffix)") }
        var suffixes = [""]
        var status = stat()
        if unsafe stat("\(catalogPath)-wal", &status) == 0, status.st_size > 0 { suffixes = ["-wal", ""] }
        for suffix in suffixes {
            try LibraryFiles.copy(catalogPath + suffix, to: "\(path)/\(unfinished)\(suffix)")
            KillPoint.catalogHalfKept.reach()
        }
        // The log first: a copy of a catalog alone would be taken for a complete one.
        for suffix in suffixes
        where unsafe rename("\(path)/\(unfinished)\(suffix)", "\(path)/\(name)\(suffix)") != 0 {
            throw RepairFailure(description: "\(path)/\(unfinished) cannot be renamed: \(Errno(rawValue: errno)).")
        }
        KillPoint.catalogKept.reach()
        return name
    }

    /// Returns an unused name in the library's folder.
    func unusedName(_ stem: String) -> String {
        var number = 1
        while ["", "-wal"].contains(where: { unsafe access("\(path)/\(Self.numbered(stem, number))\($0)", F_OK) == 0 })
        {
            number += 1
        }
        return Self.numbered(stem, number)
    }

    /// Returns the first, second and so on of a series of names.
    public static func numbered(_ stem: String, _ number: Int) -> String {
        number == 1 ? "\(stem).sqlite" : "\(stem)-\(number).sqlite"
    }

    private func mendCatalog(_ report: CheckReport) throws {
        let catalog = try Catalog(path: catalogPath) {}
        do {
            let staged = Set(LibraryFiles.names(in: "\(path)/staging"))
            let hasDamage = report.findings.contains { $0.rule == "catalog" }
            let hasLostIndex = report.findings.contains { $0.rule == "search" }
            try catalog.write { records in
                if hasDamage { try records.makeIndexesAnew() }
                try records.mendAll()
                try records.forgetStagedFiles(except: staged)
                if hasLostIndex { try records.forgetSearchIndex() }
            }
            try catalog.commit {}
            KillPoint.catalogMended.reach()
        } catch {
            try? catalog.close()
            throw error
        }
        try catalog.close()
    }

    private func mendFiles(_ report: CheckReport) {
        if report.findings.contains(where: { $0.rule == "search" }) {
            for suffix in ["", "-wal", "-shm"] { unsafe _ = unlink("\(path)/search.sqlite\(suffix)") }
        }
        for finding in report.findings where finding.rule == "owner" { giveToOwner(finding) }
        for finding in report.findings where finding.rule == "snapshot" {
            // `snapshots/NAME`, as in the finding.
            guard let name = finding.path?.split(separator: 0x2F).last else { continue }
            SnapshotFolder(of: path).setAside(String(decoding: name, as: UTF8.self))
        }
        if report.findings.contains(where: { ["mode", "signing-key"].contains($0.rule) }) {
            _ = try? PrivateFolder.close(path)
            _ = PrivateFolder.closeContents(of: path, all: true)
        }
        // The initializer creates the missing folders.
        if report.findings.contains(where: { $0.rule == "layout" }) { _ = try? BlobStore(at: path) }
    }
}

extension Records {
    /// Mends the violations of all rules, again while that breaks others, four times at most.
    func mendAll() throws {
        for _ in 0..<4 {
            var isSound = true
            for rule in Invariant.all where try violations(of: rule, limit: 0).count > 0 {
                if rule.advice == nil { isSound = false }
                try mend(rule)
            }
            if isSound { return }
        }
    }
}
