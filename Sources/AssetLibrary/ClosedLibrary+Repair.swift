internal import AssetModel
internal import BlobStore
internal import Catalog
internal import Glibc
internal import SystemPackage

/// Why a library was not mended: a sentence.
public struct RepairFailure: Error, CustomStringConvertible, Sendable {
    /// What is wrong, and what to do.
    public let description: String
    /// Whether a file could not be read that was to be copied.
    var isOfSource = false
}

extension ClosedLibrary {
    /// Checks the library, mends what can be mended, and checks it again; a copy of the catalog is kept before.
    ///
    /// No content is removed, nor moved: rows that hang on nothing go, counts are made anew, and what has no path gets one in
    /// `folders/lost+found/`.
    /// - Returns: what was found, and under which name the former catalog is kept; nil where there was nothing to mend.
    public func repair(
        isThorough: Bool,
        progress: @escaping (Int64) -> Void = { _ in }
    ) throws(RepairFailure) -> (report: CheckReport, copy: String?) {
        let before = verify(isThorough: isThorough, progress: progress)
        let mendable = before.findings.contains { $0.advice == nil || $0.rule == "catalog" }
        guard mendable || before.unnamed > 0 else { return (before, nil) }
        var copy: String?
        // What is wrong with other files needs no change of the catalog.
        let isAboutFiles = before.unnamed == 0 && before.findings.allSatisfy { Self.fileRules.contains($0.rule) }
        if !isAboutFiles {
            do {
                // One that cannot be read at all is for `recover`.
                try ClosedCatalog(path: catalogPath).close()
                try OwnFiles.separate(OwnFiles.databases, in: path)
                copy = try keepCatalog()
                try mendCatalog(before)
            } catch let error as CatalogError where error.isDamage {
                // The report says so, and what to do.
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

    /// The rules that are about files beside the catalog.
    private static let fileRules: Set<String> = ["mode", "owner", "snapshot", "signing-key", "staging", "layout"]

    /// Gives a file of the library to the owner of its folder.
    private func giveToOwner(_ finding: CheckReport.Finding) {
        var status = stat()
        guard let name = finding.path, unsafe stat(path, &status) == 0 else { return }
        unsafe _ = lchown("\(path)/\(String(decoding: name, as: UTF8.self))", status.st_uid, status.st_gid)
    }

    /// Copies the catalog as it is, with what its log has; a copy that was not finished has another name.
    /// - Returns: the copy's name.
    private func keepCatalog() throws(RepairFailure) -> String {
        let (name, unfinished) = (unusedName("catalog.before-repair"), "catalog.before-repair.new")
        for suffix in ["", "-wal"] { unsafe _ = unlink("\(path)/\(unfinished)\(suffix)") }
        var suffixes = [""]
        var status = stat()
        if unsafe stat("\(catalogPath)-wal", &status) == 0, status.st_size > 0 { suffixes = ["-wal", ""] }
        for suffix in suffixes {
            try Self.copyFile(catalogPath + suffix, to: "\(path)/\(unfinished)\(suffix)")
            KillPoint.catalogHalfKept.reach()
        }
        // The log first: a copy of a catalog alone would be taken for a whole one.
        for suffix in suffixes
        where unsafe rename("\(path)/\(unfinished)\(suffix)", "\(path)/\(name)\(suffix)") != 0 {
            throw RepairFailure(description: "\(path)/\(unfinished) cannot be renamed: \(Errno(rawValue: errno)).")
        }
        KillPoint.catalogKept.reach()
        return name
    }

    /// Returns a name in the library's folder that is not used yet.
    func unusedName(_ stem: String) -> String {
        var number = 1
        while ["", "-wal"].contains(where: { unsafe access("\(path)/\(Self.numbered(stem, number))\($0)", F_OK) == 0 })
        {
            number += 1
        }
        return Self.numbered(stem, number)
    }

    /// Returns the first, second and so on of some names.
    static func numbered(_ stem: String, _ number: Int) -> String {
        number == 1 ? "\(stem).sqlite" : "\(stem)-\(number).sqlite"
    }

    private func mendCatalog(_ report: CheckReport) throws {
        let catalog = try Catalog(path: catalogPath) {}
        do {
            let staged = Set(Self.names(in: "\(path)/staging"))
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
            // `snapshots/NAME`, as it was found.
            guard let name = finding.path?.split(separator: 0x2F).last else { continue }
            SnapshotFolder(of: path).setAside(String(decoding: name, as: UTF8.self))
        }
        if report.findings.contains(where: { ["mode", "signing-key"].contains($0.rule) }) {
            _ = try? PrivateFolder.close(path)
            _ = PrivateFolder.closeContents(of: path, all: true)
        }
        // It makes the folders that are missing.
        if report.findings.contains(where: { $0.rule == "layout" }) { _ = try? BlobStore(at: path) }
    }

    /// Copies a file to a new one, and puts it on stable storage.
    static func copyFile(_ source: String, to target: String) throws(RepairFailure) {
        func failure(isOfSource: Bool = false) -> RepairFailure {
            let reason = Errno(rawValue: errno)
            return RepairFailure(
                description: "\(source) cannot be copied to \(target): \(reason).",
                isOfSource: isOfSource
            )
        }
        let input = unsafe open(source, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard input >= 0 else { throw failure(isOfSource: true) }
        defer { _ = close(input) }
        let output = unsafe open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw failure() }
        defer { _ = close(output) }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = unsafe read(input, &buffer, buffer.count)
            if count == 0 { break }
            guard count > 0, unsafe write(output, buffer, count) == count else {
                let error = failure(isOfSource: count < 0)
                unsafe _ = unlink(target)
                throw error
            }
        }
        guard fsync(output) == 0 else { throw failure() }
    }
}

extension Records {
    /// Mends all rules; one mended may break another, so that it is done until nothing changes.
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
