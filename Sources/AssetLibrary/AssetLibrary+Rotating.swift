internal import AssetModel
internal import BlobStore
internal import Catalog
internal import MetadataExtraction
internal import Synchronization

// What setting an attribute has done to an asset.
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
        case .rotate:
            let text = String(decoding: value, as: UTF8.self)
            guard let degrees = Int64(text), [0, 90, 180, 270].contains(degrees) else {
                throw .invalid("\(name) cannot be “\(text)”: it is 0, 90, 180 or 270, clockwise.")
            }
            try rotate(id, by: degrees, uploader)
        }
    }

    /// Turns a picture or film clockwise, without a loss: a new version whose pixels are the same.
    private func rotate(_ id: NodeID, by degrees: Int64, _ uploader: Uploader) throws(LibraryError) {
        let node = try open(id, forWriting: true, uid: uploader.uid, gid: uploader.gid)
        defer { close(node, wasWriting: true) }
        try node.upload.withLock { upload throws(LibraryError) in
            guard upload.writers == 1 else {
                throw LibraryError.busy("The file is being written to; it can be turned when that has ended.")
            }
            try finish(&upload, of: node)
            guard degrees != 0 else { return }
            let (former, type, orientation) = try shownAs(node)
            guard let file = node.content.file else { throw LibraryError.invalid("An empty file cannot be turned.") }
            let turning: Editor.Turning
            do throws(Examiner.Failure) {
                turning = try editor.turning(file.descriptor, type: type, orientation: orientation, by: degrees)
            } catch {
                throw LibraryError(error, "The file cannot be turned")
            }
            switch turning {
            case .patch(let patches): try patch(patches, &upload, of: node)
            case .tag(let tag): try rewrite(with: tag, from: file, &upload, of: node)
            }
            // A version of its own, also where one was made a moment ago.
            upload.version = nil
            upload.rotation = (former + degrees) % 360
            // It is no upload: what the folder says of those does not apply.
            upload.isAnswered = true
            defer { (upload.rotation, upload.isAnswered) = (nil, false) }
            try commit(&upload, of: node)
        }
    }

    /// By how much a file's version is turned already, what it is, and how it is shown.
    private func shownAs(_ node: OpenNode) throws(LibraryError) -> (rotation: Int64, type: String, orientation: Int64) {
        let known = try read { records -> (rotation: Int64, blob: BlobID?, type: String?, orientation: Int64?)? in
            guard let asset = try records.node(node.id)?.asset else { return nil }
            let isKnown = try records.extraction(of: asset)?.state == .ready
            return (
                try records.versions(of: asset).first?.rotation ?? 0, try records.currentBlob(of: asset),
                isKnown ? try records.finding(named: "mime_type", of: asset) : nil,
                try records.finding(named: "orientation", of: asset).flatMap { Int64($0) }
            )
        }
        guard let known else { throw .invalid("A file that is no asset cannot be turned.") }
        if let type = known.type { return (known.rotation, type, known.orientation ?? 1) }
        guard let file = node.content.file else { throw .invalid("An empty file cannot be turned.") }
        do throws(Examiner.Failure) {
            let findings = try typeDetector.examine(file.descriptor, extension: "")
            return (known.rotation, findings.mediaType, findings.orientation ?? 1)
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

    /// Has ExifTool write a tag into a copy, and gives the file the copy's bytes.
    private func rewrite(
        with tag: String,
        from file: OpenFile,
        _ upload: inout OpenNode.Upload,
        of node: OpenNode
    ) throws(LibraryError) {
        do {
            try takeSpace(node.content.size)
            let copy = try blobs.stage()
            do throws(Examiner.Failure) {
                try editor.embed([tag], from: file.descriptor, into: copy.file.descriptor, extension: "")
            } catch {
                throw LibraryError(error, "The file cannot be turned")
            }
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
        }
    }
}
