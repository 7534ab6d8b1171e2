internal import AssetModel
internal import BlobStore
internal import Catalog
internal import Glibc
internal import LibraryStorage
internal import LibraryVerification
internal import Synchronization

// The parts of a mounted library that a check reads besides the copy of its catalog, and that change
// meanwhile: the index and `staging/`.
extension AssetLibrary {
    /// Compares the index with the catalog, part by part; changes not yet taken up by the index are left out.
    func checkIndex(_ check: inout LibraryCheck) throws(LibraryError) {
        guard let first = searching.index else {
            return check.add(
                "search",
                "Nothing can be searched for; assetfs.log says why.",
                advice: "Mount the library again."
            )
        }
        let advice = "Unmount the library; “assetfs verify --repair” has the index made anew."
        let looking = check
        do throws(LibraryError) {
            try check.checkIndex(advice: advice) { position throws(LibraryError) in
                try searching.turn.withLock { _ throws(LibraryError) in
                    guard let index = searching.index else { return LibraryCheck.IndexDifferences() }
                    return try looking.indexStep(after: position) { body throws(LibraryError) in
                        do { return try index.read(body) } catch { throw LibraryError(error) }
                    } catalog: { body throws(LibraryError) in
                        try read(body)
                    }
                }
            }
            if check.isThorough {
                do { try first.read { try $0.checkWords() } } catch { throw LibraryError(error) }
            }
        } catch {
            guard case .catalog(let failure) = error, failure.isDamage else { throw error }
            check.add("search", "search.sqlite is damaged: \(failure)", advice: advice)
        }
    }

    /// Finds files in `staging/` that no upload has open, no row names, and no commit is to remove.
    func checkStaging(_ check: inout LibraryCheck) throws(LibraryError) {
        let first = try unownedStagedFiles()
        check.addForeign(first.foreign)
        guard !first.unowned.isEmpty else { return }
        // A file that an upload began or ended between the two scans is owned, or gone, in the second.
        let second = try unownedStagedFiles().unowned
        for name in first.unowned.filter(second.contains).prefix(CheckReport.limit) {
            check.add("staging", "staging/\(name) belongs to no upload.", advice: "The next mount removes it.")
        }
    }

    private func unownedStagedFiles() throws(LibraryError) -> (unowned: [String], foreign: [String]) {
        let names = LibraryFiles.names(in: "\(path)/staging")
        let foreign = names.filter { LibraryCheck.isForeign("\(path)/staging/\($0)") }
        guard names.count > foreign.count else { return ([], foreign) }
        let retired = blobs.retiredNames
        let rows = try read { try $0.staged() }
        let named = Set(rows.compactMap(\.file)).union(retired).union(foreign)
        let open = Self.openFiles()
        let unowned = names.filter { name in
            guard !named.contains(name), let file = FileNumber(path: "\(path)/staging/\(name)") else { return false }
            return !open.contains(file)
        }
        return (unowned, foreign)
    }

    /// Returns the files that this process has open.
    private static func openFiles() -> Set<FileNumber> {
        Set(LibraryFiles.names(in: "/proc/self/fd").compactMap { Int32($0) }.compactMap(FileNumber.init(descriptor:)))
    }
}

/// The identity of a file.
private struct FileNumber: Hashable {
    let (device, inode): (UInt64, UInt64)

    init?(descriptor: Int32) {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { return nil }
        (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
    }

    init?(path: String) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return nil }
        (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
    }
}
