internal import AssetModel
internal import BlobStore
internal import Catalog
internal import Glibc
internal import LibraryRules
internal import LibraryStorage
internal import Logging
internal import Synchronization
internal import SystemPackage

// Alternate stores: folders on other disks to which the blobs of an asset are migrated when its
// `alternate_store_id` says so. A blob of several assets is in the store that all of them name, or else in
// the library's own folder. No file is removed before a copy of it has been read back from its disk.
extension AssetLibrary {
    /// How long the migration of a blob in use is deferred.
    private static let usePause = Duration.seconds(30)
    /// How long a migration that failed is deferred.
    private static let failurePause = Duration.seconds(600)
    /// How often a missing store is looked for, and how often an attached one is checked.
    private static let attachPause = Duration.seconds(5)
    private static let lookPause = Duration.seconds(60)

    /// Attaches the stores that the catalog knows, and those that are named in the mount's options.
    /// - Throws: where a new one cannot be used; a known one may be attached later.
    func prepareStores(_ named: [(name: String, path: String)]) throws {
        for (name, path) in named {
            let known = try catalog.read { try $0.stores() }.first { $0.name == name }
            if var known {
                let former = known.path
                known.path = path
                do {
                    try attach(known, isTaken: true)
                    try catalog.write { try $0.setPath(ofStore: known.id, to: path) }
                } catch let problem as AlternateProblem {
                    // The store is still looked for at its former path.
                    if path != former { log.error("\(problem)") }
                }
                continue
            }
            let identifier = Array(MessageCode.newKey().prefix(16)).hexadecimal
            let store = try catalog.write { try $0.insertStore(named: name, path: path, identifier: identifier) }
            // Committed before there is a folder that carries the store's identifier.
            try commit()
            do {
                try attach(store)
            } catch {
                try catalog.write { try $0.deleteStore(store.id) }
                try commit()
                throw error
            }
        }
        for problem in try attachStores() { log.error("\(problem) What is in it cannot be read until it is.") }
    }

    private func attach(_ store: StoreRecord, isTaken: Bool = false) throws {
        let mode = try blobs.attach(
            store.id,
            named: store.name,
            at: store.path,
            identifier: store.identifier,
            isNew: !store.isMade,
            isTaken: isTaken
        )
        if let mode {
            log.notice(
                "The store “\(store.name)” had mode \(PrivateFolder.text(mode)), and others could read what is in it; it has mode 700 now."
            )
        }
        try catalog.write { records in
            if !store.isMade { try records.setMade(store: store.id) }
            if try records.moves().error != nil { try records.retryMoves() }
        }
    }

    /// Attaches the stores that are not attached yet.
    /// - Returns: the problems of those that cannot be.
    private func attachStores(_ attached: (StoreRecord) -> Void = { _ in }) throws(LibraryError) -> [AlternateProblem] {
        var problems: [AlternateProblem] = []
        for store in try read({ try $0.stores() }) where !blobs.isAttached(store.id) {
            do {
                try attach(store)
                attached(store)
            } catch let error as AlternateProblem {
                problems.append(error)
            } catch {
                throw LibraryError(error)
            }
        }
        return problems
    }

    /// Detaches stores whose disk has gone.
    /// - Returns: whether there are any.
    func noticeVanishedStores() -> Bool {
        let gone = blobs.detachVanished()
        for name in gone {
            log.error("The store “\(name)” is not there any more; what is in it cannot be read until it is.")
        }
        return !gone.isEmpty
    }

    // MARK: Migration

    /// Migrates the blobs that are due.
    /// - Returns: when to check again, if no migration is requested before.
    func moveWhatIsDue() -> Duration? {
        guard blobs.hasAlternates else { return nil }
        var share = BackgroundShare()
        do throws(LibraryError) {
            let pause = blobs.absentStores.isEmpty ? Self.lookPause : Self.attachPause
            if mover.isDue(pause) {
                _ = noticeVanishedStores()
                _ = try attachStores { store in
                    log.notice("The store “\(store.name)” (\(store.path)) is there again.")
                }
            }
            func next() throws(LibraryError) -> MoveRecord? {
                try read { try $0.dueMove(by: .now, notBetween: blobs.absentStores) }
            }
            // Read again after the wait: another migration may come first by then.
            while !isClosing.isSet, try next() != nil, activity.awaitTurn(&share, until: isClosing),
                let move = try next()
            {
                do throws(LibraryError) {
                    try carryOut(move)
                } catch {
                    if isClosing.isSet || noticeVanishedStores() { return .seconds(1) }
                    try note(error, of: move)
                }
            }
            guard blobs.absentStores.isEmpty else { return Self.attachPause }
            let next = try read { try $0.nextMove() }.map {
                max(.seconds(1), Duration.nanoseconds(max(0, $0.rawValue - Timestamp.now.rawValue)))
            }
            return min(next ?? Self.lookPause, Self.lookPause)
        } catch {
            if !isClosing.isSet { log.error("What is to be in other stores could not be moved: \(error)") }
            return .seconds(60)
        }
    }

    /// Defers a migration that has failed, and logs why if that is new.
    private func note(_ error: LibraryError, of move: MoveRecord) throws(LibraryError) {
        let (name, former) = try read { records in
            (try records.stores().first { $0.id == move.target }?.name ?? "primary", try records.moves().error)
        }
        let reason = "A content could not be moved to the store “\(name)”, and is where it was: \(error)"
        if reason != former { log.error("\(reason)") }
        try postpone(move, Self.failurePause, because: reason)
    }

    private func postpone(
        _ move: MoveRecord,
        _ pause: Duration = usePause,
        because reason: String? = nil
    ) throws(LibraryError) {
        try write { try $0.queueMove(of: move.blob, at: Timestamp.now.advanced(by: pause), because: reason) }
    }

    private func carryOut(_ move: MoveRecord) throws(LibraryError) {
        guard let digest = move.digest, let target = move.target else {
            return try write { try $0.deleteMove(of: move.blob) }
        }
        // A migration to the present store only removes copies that a crash has left in other stores.
        guard target != move.store || blobs.holders(of: digest).contains(where: { $0 != target }) else {
            return try write { try $0.setStore(of: move.blob, to: target) }
        }
        // A file that the kernel reads itself may be written to: it keeps its name until it is closed.
        guard !contents.isBound(digest), !blobPins.isPinned(digest) else {
            return try postpone(move)
        }
        try refuseFullStore(target, move.size)
        let copy: BlobStore.Copy
        var source: OpenFile?
        do throws(BlobStoreError) {
            let file = try contents.open(digest, size: move.size)
            source = file
            copy = try IdleThread.run { () -> Result<BlobStore.Copy, BlobStoreError> in
                Result { () throws(BlobStoreError) in
                    try blobs.stage(file, as: digest, size: move.size, in: target) { isClosing.isSet }
                }
            }.get()
        } catch {
            guard case .corrupt = error, let source else { throw LibraryError(error) }
            // A program may have changed the file that was read, and another file has its name now.
            var share = BackgroundShare()
            let finding = inspect(digest, size: move.size, &share)
            switch finding {
            case .postponed: return try postpone(move)
            case .sound where (try? source.isSame(as: contents.open(digest, size: move.size))) != true:
                return try postpone(move)
            // The source is intact, so the target disk does not return the bytes that were written to it.
            case .sound: throw .blobs(.io(.ioError, during: "reading back what was written there"))
            case .damaged:
                try note(finding, of: move.blob, digest, size: move.size)
                // The repair of the blob queues its migration again.
                return try write { try $0.deleteMove(of: move.blob) }
            }
        }
        defer { blobs.drop(copy) }
        // No upload names the blob from here on, no other thread removes it, and the reservation keeps opens
        // from binding it.
        guard blobPins.claimForDeletion([digest]) == [digest] else { return try postpone(move) }
        defer { blobPins.releaseClaim(of: [digest]) }
        // The blob may have been removed and added again meanwhile.
        guard try read({ try $0.blob(digest) }) == move.blob else { return try postpone(move) }
        guard contents.bind(digest) else { return try postpone(move) }
        defer { contents.unbind(digest) }
        // The commit makes a blob that an upload has put into the library's own folder durable there.
        try commit()
        do throws(BlobStoreError) {
            try contents.place(copy, in: target)
            if target != 0 { try contents.remove(digest, from: 0) }
            for other in blobs.holders(of: digest) where other != target { try contents.remove(digest, from: other) }
            KillPoint.originalRemoved.reach()
        } catch {
            throw LibraryError(error)
        }
        try write { try $0.setStore(of: move.blob, to: target) }
    }

    /// Refuses a migration to a store without room; it never triggers the eviction of trash.
    private func refuseFullStore(_ store: Int64, _ size: Int64) throws(LibraryError) {
        let isFull: Bool
        if store == 0 {
            isFull = try space.measureLeft(behind: size) < 0
        } else {
            guard let disk = try diskStatistics(ofStore: store) else { throw .noSpace("The store is not there.") }
            let block = Int64(clamping: disk.f_frsize)
            let reserve = min(64 << 20, Int64(clamping: disk.f_blocks) &* block / 16)
            isFull = Int64(clamping: disk.f_bavail) &* block - reserve < size
        }
        if isFull { throw .noSpace("There is no room for its \(size.counted("byte")).") }
    }

    private func diskStatistics(ofStore store: Int64) throws(LibraryError) -> statvfs? {
        do throws(BlobStoreError) { return try blobs.statistics(of: store) } catch { throw LibraryError(error) }
    }

    // MARK: Attributes and reports

    /// Returns the number of a store given by number or name; 0 and `primary` are the library's own folder.
    private func storeNumber(_ text: String, _ attribute: String) throws(LibraryError) -> Int64 {
        if text == "0" || text == "primary" { return 0 }
        let stores = try read { try $0.stores() }
        if let store = stores.first(where: { $0.name == text || "\($0.id)" == text }) { return store.id }
        let known = ["0 (primary)"] + stores.map { "\($0.id) (\($0.name))" }
        throw .invalid(
            "\(attribute) cannot be “\(Shown.value(text))”: the library's stores are \(known.joined(separator: ", ")); mount -o store=NAME:FOLDER adds one."
        )
    }

    /// Sets the store for the blobs of an asset, on a user's request.
    func setStore(
        _ name: String,
        of id: NodeID,
        to value: [UInt8],
        _ presence: Presence,
        by uploader: Uploader
    ) throws(LibraryError) {
        let isThere = try self.store(of: id) != nil
        try presence.check(isThere)
        let store = try storeNumber(String(decoding: value, as: UTF8.self), name)
        try settleIfQuick(id)
        try write { records in
            guard let node = try records.node(id), node.isFile else {
                throw LibraryError.invalid("\(name) is for files.")
            }
            try uploader.refuseUnlessOwner(of: node, name)
            guard node.asset != nil else {
                return try records.setExtendedAttribute(AttributeName.store, of: id, to: Array("\(store)".utf8))
            }
            let asset = try records.assetToChange(of: id, for: name)
            try records.setStore(of: asset, to: store)
            if let node = try records.node(id) { try noteChange(of: node, name, by: uploader.uid, records) }
            try records.addLinks(0, to: id, at: .now)
        }
        mover.worker.wake()
    }

    func removeStore(_ name: String, of id: NodeID, by uploader: Uploader) throws(LibraryError) {
        try setStore(name, of: id, to: [0x30], .present, by: uploader)
        try write { try $0.deleteExtendedAttribute(AttributeName.store, of: id) }
    }

    /// Returns the store that a user has set for a file's asset; nil where none is set.
    func store(of id: NodeID) throws(LibraryError) -> String? {
        try read { records in
            guard let node = try records.node(id) else { return nil }
            guard let asset = node.asset else {
                return try records.extendedAttribute(AttributeName.store, of: id).map {
                    String(decoding: $0, as: UTF8.self)
                }
            }
            let store = try records.store(of: asset)
            return store == 0 ? nil : "\(store)"
        }
    }

    /// Returns the stores of the library, for `user.asset.info` of `folders/`.
    ///
    /// `disks` are the statistics of attached stores, read beforehand: a disk may take its time.
    func storeInformation(_ disks: [Int64: statvfs?], _ records: Records) throws -> [JSONObject] {
        try records.stores().map { store in
            let contents = try records.contents(ofStore: store.id)
            var object = JSONObject()
            object.add("id", store.id)
            object.add("name", store.name)
            object.add("path", store.path)
            object.add("contents", contents.count)
            object.add("bytes", contents.bytes)
            object.add("is_there", disks[store.id] != nil)
            let disk = disks[store.id] ?? nil
            object.add("free_bytes", disk.map { Int64(clamping: $0.f_bavail) &* Int64(clamping: $0.f_frsize) })
            return object
        }
    }

    /// Returns how many bytes are to be migrated, and why a migration failed: a JSON object on one line.
    func storesJob() throws(LibraryError) -> [UInt8] {
        var moves = try read { try $0.moves() }
        if moves.error == nil, !blobs.absentStores.isEmpty { moves.error = "A store is not there." }
        var job = JSONObject()
        job.add("token", Work.stores.rawValue)
        job.add("kind", "stores")
        job.add("status", moves.count == 0 ? "success" : moves.error == nil ? "progress" : "error")
        job.add("contents", moves.count)
        job.add("error", moves.error)
        return job.bytes + [0x0A]
    }
}

extension Records {
    /// Returns the name of the store of an asset's present blob.
    ///
    /// Users other than root and the mount's owner get the store that is set for the asset: the store of a
    /// blob would tell them about equal blobs of other users.
    func storeName(of asset: AssetID, for reader: Uploader) throws -> String {
        let isTold = reader.uid == 0 || reader.uid == getuid()
        let store = try isTold ? currentBlob(of: asset).map { try self.store(of: $0) } ?? 0 : self.store(of: asset)
        return try stores().first { $0.id == store }?.name ?? "primary"
    }
}

/// The worker that migrates blobs to other stores.
///
/// ## Concurrency
/// `looked` is held for a moment only.
final class Mover: Sendable {
    let worker = BackgroundWorker()
    private let looked = RankedMutex<ContinuousClock.Instant?>(.leaf, nil)

    /// Whether the last check of the stores is so long ago; if so, it counts as made now.
    ///
    /// Each commit wakes the worker, which need not access the stores' disks each time.
    func isDue(_ pause: Duration) -> Bool {
        looked.withLock { looked in
            if let last = looked, last.duration(to: .now) < pause { return false }
            looked = .now
            return true
        }
    }
}
