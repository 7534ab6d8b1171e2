internal import AssetModel
internal import BlobStore
internal import LibraryRules
internal import LibraryStorage
internal import Logging
internal import MetadataExtraction
internal import SystemPackage

// Stage 2 of an upload: the checks of name, size, type and malware, cheapest first.
extension AssetLibrary {
    /// Checks a complete file.
    /// - Returns: the scanner's finding in the file, where the file is accepted nevertheless.
    func screen(
        _ content: Content,
        of file: OpenFile?,
        at place: Place,
        for viewers: [Screenings.Viewer]
    ) throws(UploadRejection) -> String? {
        let policy = place.rules.policy
        if let refusal = nameRefusal(at: place) { throw refusal }
        if let limit = policy.maxSize, content.size > limit.bytes { throw .tooLarge(limit) }
        // An empty file has no type, and is not scanned.
        guard content.size > 0, let file else { return nil }
        let known = content.digest.map { screenings.findings(of: $0, for: viewers) } ?? Screenings.Findings()
        try checkType(of: file, at: place, known)
        guard policy.scan != .off else { return nil }
        let found: String?
        do throws(MalwareScanner.Failure) {
            switch known.infection {
            case .success(let known): found = known
            case .failure(let failure): throw failure
            case nil: found = try scanner.scan(file.descriptor)
            }
        } catch {
            log.warning("\(place.journalPath) was not scanned: \(error.sentence)")
            if policy.scan == .flag { return nil }
            throw .forbidden("The file could not be scanned for malware: \(error.sentence)")
        }
        guard policy.scan == .reject, let found else { return found }
        throw .forbidden("The file is infected: \(found).")
    }

    /// Returns the refusal that follows from a name alone.
    func nameRefusal(at place: Place) -> UploadRejection? {
        let (name, policy) = (place.name, place.rules.policy)
        if policy.forbiddenNames.contains(where: { $0.matches(name) }) {
            return .forbidden("The name “\(name)” is forbidden here.")
        }
        if policy.forbiddenTypes.contains(extensionOf: name) {
            return .forbidden("Files with the extension of “\(name)” are forbidden here.")
        }
        if let allowed = policy.allowedTypes, !allowed.needsContent, !allowed.contains(extensionOf: name) {
            return .forbidden("Files with the extension of “\(name)” are not among the types that are allowed here.")
        }
        return nil
    }

    private func checkType(
        of file: OpenFile,
        at place: Place,
        _ known: Screenings.Findings
    ) throws(UploadRejection) {
        let policy = place.rules.policy
        let isAllowedByName = policy.allowedTypes?.contains(extensionOf: place.name) ?? true
        let mustKnow = policy.forbiddenTypes.needsContent || !isAllowedByName
        guard mustKnow else { return }
        let type: String
        do throws(Examiner.Failure) {
            switch known.type {
            case .success(let known): type = known
            case .failure(let failure): throw failure
            case nil: type = try typeDetector.type(of: file.descriptor)
            }
        } catch {
            switch error {
            case .file(let reason), .unavailable(let reason), .disk(let reason, _):
                throw .forbidden("The type of the file could not be told: \(reason)")
            }
        }
        if policy.forbiddenTypes.contains(type: type) {
            throw .forbidden("Files of the type \(type) are forbidden here.")
        }
        if !isAllowedByName, policy.allowedTypes?.contains(type: type) == false {
            throw .forbidden("Files of the type \(type) are not among the types that are allowed here.")
        }
    }
}
