public import AssetModel
internal import BlobStore
internal import Catalog
internal import LibraryRules
public import LibraryStorage
internal import Logging
internal import MetadataExtraction
internal import SystemPackage

// Extractions that are postponed, because a disk has failed: that is no property of the file.
extension AssetLibrary {
    /// Makes the extractions due that the last mount has postponed.
    func resumeExtractions() {
        do throws(LibraryError) {
            guard try read({ try $0.hasPostponedExtractions(beyond: .now) }) else { return }
            try write { try $0.resumeExtractions(at: .now) }
        } catch {
            // They are due within an hour.
            log.notice("Files that could not be read are looked into later: \(error)")
        }
    }

    /// Postpones the extraction of a blob whose file could not be read, each time for twice as long, up to an
    /// hour; a request that waits has it tried at once.
    func postpone(_ record: ExtractionRecord, _ reason: String, _ errno: Errno) throws(LibraryError) {
        let count = extraction.state.withLock { state in
            let count = (state.postponed[record.blob]?.count ?? 0) + 1
            state.postponed[record.blob] = (count, errno)
            return count
        }
        let now = Timestamp.now
        let delay = Int64(1) << Int64(min(count - 1, 12))
        try write {
            try $0.postponeExtraction(
                of: record.blob,
                reason,
                until: now.advanced(bySeconds: min(delay, 3600)),
                at: now
            )
        }
        extraction.sweeper.wake()
        guard count == 1 else { return }
        log.notice("What the content \(record.blob.rawValue) says is looked into again later: \(reason)")
    }

    /// Returns the error for a value that is not known because the disk failed; nil where that is not the
    /// reason.
    public func failedExtraction(for name: [UInt8], of id: NodeID) throws(LibraryError) -> LibraryError? {
        guard extraction.hasPostponed, isExtracted(name) else { return nil }
        let record = try read { records in
            try records.node(id)?.asset.flatMap { try records.extraction(of: $0) }
        }
        guard let record, record.state == .waiting, let reason = record.error else { return nil }
        let errno = extraction.state.withLock { $0.postponed[record.blob]?.errno } ?? .ioError
        // A lack of descriptors or memory is the system's, and all else an error of the disk.
        let scarce: [Errno] = [.tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory]
        return .blobs(.io(scarce.contains(errno) ? errno : .ioError, during: "extracting metadata: \(reason)"))
    }

    private func isExtracted(_ name: [UInt8]) -> Bool {
        switch AttributeName(name) {
        case .field(let some): some.isExtracted || some == .charset
        case .rating, .mediaType: true
        case .computed(let key): Self.foundKeys.contains(key)
        default: false
        }
    }
}

extension Examiner.Failure {
    /// Distinguishes an error of the disk from one of the file.
    init(_ error: BlobStoreError) {
        switch error {
        case .io(let errno, _): self = .disk("\(error)", errno)
        case .noSpace, .absent: self = .disk("\(error)", .ioError)
        case .missing, .damaged, .corrupt: self = .file("\(error)")
        }
    }
}
