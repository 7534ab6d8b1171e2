public import AssetModel
internal import BlobStore
internal import Catalog
internal import Glibc
internal import LibraryRules
internal import LibraryStorage
internal import Logging
internal import Synchronization

// MD5, which OpenAsset's and HubSpot's clients compare. It is computed when the mount has been quiet for a
// moment, or when a request needs it; never within a close.
extension AssetLibrary {
    /// The number of bytes up to which a request's own thread computes an MD5, in some 5 ms.
    private static let quickMD5Bytes: Int64 = 2 << 20

    /// Returns the MD5 of an asset's first or present content, in hexadecimal digits; nil if the reader could
    /// not read that content.
    func md5(of id: NodeID, isFirst: Bool, for reader: Uploader) throws(LibraryError) -> String? {
        if isFirst, try !mayKnowFirst(of: id, reader) { return nil }
        var first: [UInt8]?
        let found = try read { records -> (BlobID?, Digest?, Int64)? in
            guard let asset = try records.node(id)?.asset else { return nil }
            if isFirst { first = try records.firstMD5(of: asset) }
            let versions = try records.versions(of: asset)
            guard let version = isFirst ? versions.last : versions.first, !isFirst || version.number == 1 else {
                return nil
            }
            return (try version.digest.flatMap { try records.blob($0) }, version.digest, version.size)
        }
        if let first { return first.hexadecimal }
        guard let (blob, digest, size) = found else { return nil }
        guard let blob, let digest else { return MD5.ofNothing }
        if let known = try read({ try $0.md5(of: blob) }) { return known.hexadecimal }
        guard size <= Self.quickMD5Bytes else {
            if let failure = md5Requests.failure(of: blob) { throw failure }
            throw .busy("The MD5 of the \(size) bytes is being computed; ask again in a while.")
        }
        return try computeMD5(of: blob, digest, size: size) { false }.hexadecimal
    }

    /// Returns whether a user may know of an asset's first content: those that could read it when it was the
    /// present one; if it is not kept, the file's owner if it was the uploader.
    private func mayKnowFirst(of id: NodeID, _ reader: Uploader) throws(LibraryError) -> Bool {
        if reader.uid == 0 { return true }
        return try read { records in
            guard let node = try records.node(id), let asset = node.asset else { return true }
            let versions = try records.versions(of: asset)
            guard let first = versions.last, first.number == 1 else {
                return try node.uid == reader.uid && records.asset(asset)?.uid == reader.uid
            }
            if versions.count == 1 { return true }
            return first.standings.isEmpty ? node.uid == reader.uid : reader.couldRead(first)
        }
    }

    private func computeMD5(
        of blob: BlobID,
        _ digest: Digest,
        size: Int64,
        isCancelled: () -> Bool
    ) throws(LibraryError) -> [UInt8] {
        do throws(BlobStoreError) {
            while true {
                guard let bytes = try md5(of: digest, size: size, isCancelled: isCancelled) else { continue }
                // If it cannot be kept, it is computed again.
                try? catalog.write { try $0.setMD5(of: blob, to: bytes) }
                return bytes
            }
        } catch {
            throw LibraryError(error)
        }
    }

    /// Calls `isReady` when the MD5 of a large blob is known, or after ten seconds; another thread computes
    /// it.
    /// - Returns: false if nothing is to be waited for; then `isReady` is not called.
    public func awaitMD5(
        for name: [UInt8],
        of id: NodeID,
        by uid: UInt32,
        isReady: @escaping @Sendable () -> Void
    ) -> Bool {
        guard !isClosing.isSet, case .computed(let key) = AttributeName(name), key.hasPrefix("md5_") else {
            return false
        }
        let found = try? read { records -> (BlobID, Digest, Int64)? in
            guard let asset = try records.node(id)?.asset else { return nil }
            let versions = try records.versions(of: asset)
            guard let version = key == "md5_now" ? versions.first : versions.last, version.size > Self.quickMD5Bytes,
                let digest = version.digest, let blob = try records.blob(digest), try records.md5(of: blob) == nil
            else { return nil }
            return (blob, digest, version.size)
        }
        guard let (blob, digest, size) = found ?? nil else { return false }
        let end = ContinuousClock.now + ExtractionQueue.patience
        md5Requests.add(blob, for: uid, deadline: end, isReady: isReady) { [self] isUnwanted in
            do throws(LibraryError) {
                _ = try computeMD5(of: blob, digest, size: size) { self.isClosing.isSet || isUnwanted() }
                return nil
            } catch {
                // A computation that was given up has not failed.
                if case .interrupted = error { return nil }
                return error
            }
        }
        extraction.sweeper.wake()
        return true
    }

    /// Returns the MD5 of a blob; nil if another file has its name now, because a program may have changed
    /// the one that was read.
    private func md5(
        of digest: Digest,
        size: Int64,
        isCancelled: () -> Bool
    ) throws(BlobStoreError) -> [UInt8]? {
        let file = try contents.open(digest, size: size)
        let bytes = try MD5.of(file, size: size, isCancelled: isCancelled)
        return try file.isSame(as: contents.open(digest, size: size)) ? bytes : nil
    }

    /// Computes missing MD5s while the mount is quiet, some blobs at a time.
    func computeMD5s() {
        var last = BlobID(rawValue: 0)
        var share = BackgroundShare()
        while let some = try? read({ try $0.blobsWithoutMD5(after: last, limit: 64) }), let end = some.last?.0 {
            guard activity.awaitTurn(&share, until: isClosing) else { return }
            // A blob that cannot be read now is tried again later, and a request that needs its MD5 gets the
            // error.
            let files = some.compactMap { (id, digest, size) -> (BlobID, Digest, Int64, OpenFile)? in
                guard let digest, let file = try? contents.open(digest, size: size) else { return nil }
                return (id, digest, size, file)
            }
            var done = 0
            while done < files.count {
                if done > 0, !activity.awaitTurn(&share, until: isClosing) { return }
                let rest = files[done...]
                let computed = IdleThread.run { () -> [[UInt8]?] in
                    let end = ContinuousClock.now + Self.stepTime
                    var computed: [[UInt8]?] = []
                    for (_, _, size, file) in rest {
                        computed.append(try? MD5.of(file, size: size) { isClosing.isSet })
                        if .now > end { break }
                    }
                    return computed
                }
                // A program may have changed the file that was read; another file has its name then.
                let valid = zip(rest, computed).filter { (file, md5) in
                    md5 != nil && (try? file.3.isSame(as: contents.open(file.1, size: file.2))) == true
                }
                try? catalog.write { records in
                    for ((id, _, _, _), md5) in valid { if let md5 { try records.setMD5(of: id, to: md5) } }
                }
                done += computed.count
            }
            last = end
        }
    }

    /// The time after which background work checks again whether the mount is quiet.
    private static let stepTime = Duration.milliseconds(20)
}
