internal import AssetModel
internal import BlobStore
internal import Catalog
internal import LibraryRules
internal import LibraryStorage
internal import MetadataExtraction
internal import Synchronization
internal import SystemPackage

// Actions: attributes that do something to an asset when they are set.
extension AssetLibrary {
    func perform(
        _ action: AttributeName.Action,
        _ name: String,
        on id: NodeID,
        _ value: [UInt8],
        by uploader: Uploader
    ) throws(LibraryError) {
        switch action {
        case .reprocess: try reprocess(id, name, value)
        case .fetch: try fetch(name, into: id, value, by: uploader)
        case .revokeSigned: try revokeSignedPaths(name, on: id, value, by: uploader)
        case .scrub: try requestScrub(name, on: id, value, by: uploader)
        case .verify: try requestVerification(name, on: id, value, by: uploader)
        case .rotate:
            let text = String(decoding: value, as: UTF8.self)
            guard !isClosing.isSet else { throw .busy("The mount is being ended.") }
            guard let degrees = Int64(text), [0, 90, 180, 270].contains(degrees) else {
                throw .invalid("\(name) cannot be “\(Shown.value(text))”: it is 0, 90, 180 or 270, clockwise.")
            }
            try rotate(id, by: degrees, uploader)
        }
    }

    /// Rotates a picture or film clockwise and losslessly: the new version has the same pixels.
    ///
    /// The slow part runs before the file is locked, so that other processes may open it meanwhile.
    private func rotate(_ id: NodeID, by degrees: Int64, _ uploader: Uploader) throws(LibraryError) {
        let node = try open(id, forWriting: true, by: uploader)
        defer { close(node, wasWriting: true) }
        try node.upload.withLock { upload throws(LibraryError) in
            guard upload.writers == 1 else { throw Self.isWritten }
            try finish(&upload, of: node)
        }
        let (size, digest) = node.shown.withLock { ($0.size, $0.digest) }
        guard let digest else { throw .invalid("An empty file cannot be turned.") }
        guard degrees != 0 else { return }
        let turned: Turned
        do {
            let blob = try contents.open(digest, size: size)
            turned = try turn(blob, node, by: degrees)
        } catch {
            throw LibraryError(error)
        }
        try node.upload.withLock { upload throws(LibraryError) in
            guard upload.writers == 1, !upload.isDirty, node.shown.withLock({ $0.digest }) == digest else {
                throw Self.isWritten
            }
            switch turned.content {
            case .patches(let patches): try patch(patches, &upload, of: node)
            case .copy(let copy): try take(copy, &upload, of: node)
            }
            upload.uploader = uploader
            // The rotation is a version of its own, also where another was committed a moment ago.
            upload.version = nil
            upload.rotation = turned.rotation
            // A rotation is no upload, so the folder's policies on uploads do not apply.
            upload.isAnswered = true
            defer { (upload.rotation, upload.isAnswered) = (nil, false) }
            try commit(&upload, of: node)
        }
    }

    private static var isWritten: LibraryError {
        .busy("The file is being written to; it can be turned when that has ended.")
    }

    private struct Turned {
        enum Content {
            case patches([Editor.Patch])
            case copy(StagedFile)
        }
        let content: Content
        /// The rotation since the upload, in degrees clockwise, including this one.
        let rotation: Int64
    }

    private func turn(_ blob: OpenFile, _ node: OpenNode, by degrees: Int64) throws -> Turned {
        let known = try shownAs(node, blob)
        let rotation = (known.rotation + degrees) % 360
        var unstaged: BlobStoreError?
        do throws(Examiner.Failure) {
            let turning = try editor.turning(
                blob.descriptor,
                type: known.type,
                orientation: known.orientation,
                isInXMP: known.isInXMP,
                by: degrees
            )
            switch turning {
            case .patch(let patches): return Turned(content: .patches(patches), rotation: rotation)
            case .tags(let tags):
                let copy: StagedFile
                do throws(BlobStoreError) {
                    try takeSpace(blob.measure().size)
                    copy = try blobs.stage()
                } catch {
                    unstaged = error
                    throw .disk("\(error)", .ioError)
                }
                try editor.embed(
                    tags,
                    from: blob.descriptor,
                    into: copy.file.descriptor,
                    extension: "",
                    mustBeExact: true
                )
                return Turned(content: .copy(copy), rotation: rotation)
            }
        } catch {
            throw unstaged.map { LibraryError($0) } ?? LibraryError(error, "The file cannot be turned")
        }
    }

    /// Returns how far a file's version is rotated already, its media type and its orientation.
    private func shownAs(
        _ node: OpenNode,
        _ blob: OpenFile
    ) throws(LibraryError) -> (rotation: Int64, type: String, orientation: Int64, isInXMP: Bool) {
        let known = try read { records -> (rotation: Int64, type: String?, orientation: Int64?, isInXMP: Bool)? in
            guard let asset = try records.node(node.id)?.asset else { return nil }
            let isKnown = try records.extraction(of: asset)?.state == .ready
            return (
                try records.presentVersion(of: asset)?.rotation ?? 0,
                isKnown ? try records.finding(named: "mime_type", of: asset) : nil,
                try records.finding(named: "orientation", of: asset).flatMap { Int64($0) },
                try records.hasTag("xmp.Orientation", asset)
            )
        }
        guard let known else { throw .invalid("A file that is no asset cannot be turned.") }
        if let type = known.type { return (known.rotation, type, known.orientation ?? 1, known.isInXMP) }
        do throws(Examiner.Failure) {
            let findings = try typeDetector.examine(blob.descriptor, extension: "")
            return (known.rotation, findings.mediaType, findings.orientation ?? 1, findings.isOrientationInXMP)
        } catch {
            throw LibraryError(error, "The file cannot be turned")
        }
    }

    private func patch(
        _ patches: [Editor.Patch],
        _ upload: inout OpenNode.Upload,
        of node: OpenNode
    ) throws(LibraryError) {
        do {
            let staged = try privateFile(&upload, of: node)
            upload.digest.disturb()
            upload.isDirty = true
            for patch in patches {
                let offset = patch.offset
                try unsafe patch.bytes.withUnsafeBytes { bytes in
                    try unsafe staged.write(bytes, at: offset)
                }
            }
        } catch {
            throw LibraryError(error)
        }
        node.shown.withLock { ($0.modified, $0.written) = (.now, .now) }
    }

    /// Replaces the file's bytes by those of a copy.
    private func take(
        _ copy: StagedFile,
        _ upload: inout OpenNode.Upload,
        of node: OpenNode
    ) throws(LibraryError) {
        do {
            let size = try copy.file.measure().size
            if upload.isBound {
                try takeSpace(size)
                let staged = try privateFile(&upload, of: node)
                upload.isDirty = true
                try staged.copy(of: copy.file, from: 0, to: 0, count: size)
                try staged.truncate(to: size)
            } else {
                upload.staged = copy
                upload.isDirty = true
                node.shown.withLock { ($0.file, $0.isShared) = (copy.file, false) }
            }
            upload.digest.disturb()
            node.shown.withLock { ($0.size, $0.modified, $0.written) = (size, .now, .now) }
        } catch {
            throw LibraryError(error)
        }
    }
}

extension LibraryError {
    fileprivate init(_ failure: Examiner.Failure, _ what: String) {
        switch failure {
        case .file(let reason), .unavailable(let reason): self = .unsupported("\(what): \(reason)")
        case .disk(let reason, let errno): self = .blobs(.io(errno, during: "\(what): \(reason)"))
        }
    }
}
