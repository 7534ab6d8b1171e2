internal import AssetModel
internal import Catalog
internal import Glibc
internal import Logging
internal import Synchronization

// Copies of the catalog in `snapshots/`, one a day, from which `assetfs recover` makes a catalog that has been lost.
extension AssetLibrary {
    private static let snapshotPeriod = Duration.seconds(24 * 3600)
    /// How often a thread looks whether a copy is due: the machine's clock may be set.
    private static let snapshotPause = Duration.seconds(600)
    /// How long the end of a mount may be held up by a copy.
    private static let snapshotPatience = Duration.seconds(10)

    /// Makes a copy of the catalog as it was at one moment, while others change it, and puts it on stable storage.
    ///
    /// `goesOn` is asked before each step, and waits as long as others are to have their turn.
    func copyCatalog(to path: String, while goesOn: () -> Bool) throws(LibraryError) {
        unsafe _ = unlink(path)
        do {
            let copy = try CatalogCopy(to: path)
            do {
                while !copy.isComplete {
                    guard goesOn() else { throw LibraryError.busy("The mount is being ended.") }
                    try commit(advancing: copy)
                    try copy.check()
                    KillPoint.snapshotStepped.reach()
                }
            } catch {
                catalog.end(copy)
                throw error
            }
            catalog.end(copy)
            try copy.makeDurable()
        } catch {
            unsafe _ = unlink(path)
            throw LibraryError(error)
        }
    }

    /// Makes the day's copy where one is due.
    /// - Returns: when to look again.
    func takeSnapshotWhenDue() -> Duration {
        guard isSnapshotDue else { return Self.snapshotPause }
        var share = BackgroundShare()
        return takeSnapshot { activity.awaitTurn(&share, until: isClosing) } ? Self.snapshotPause : .seconds(3600)
    }

    /// Does so at the end of a mount, for mounts that never last a day.
    func takeSnapshotAtEnd() {
        guard isSnapshotDue else { return }
        let end = ContinuousClock.now + Self.snapshotPatience
        _ = takeSnapshot { .now < end }
    }

    private var isSnapshotDue: Bool {
        let now = clock.now
        let last = SnapshotFolder(of: path).newest(at: now) ?? layout.made
        return last.advanced(by: Self.snapshotPeriod) <= now
    }

    /// - Returns: whether there is a new copy; the log says why there is none.
    private func takeSnapshot(while goesOn: () -> Bool) -> Bool {
        let folder = SnapshotFolder(of: path)
        let temporary = "\(folder.path)/new.sqlite"
        do throws(LibraryError) {
            unsafe _ = mkdir(folder.path, 0o700)
            try refuseWithoutRoom()
            try copyCatalog(to: temporary, while: goesOn)
            KillPoint.snapshotMade.reach()
            let directory = unsafe Glibc.open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            defer { _ = Glibc.close(directory) }
            let name = SnapshotFolder.name(at: clock.now)
            guard unsafe rename(temporary, "\(folder.path)/\(name)") == 0, fsync(directory) == 0 else {
                throw .noSpace(unsafe "snapshots/\(name) cannot be named: \(String(cString: strerror(errno))).")
            }
            KillPoint.snapshotNamed.reach()
            for name in folder.names.dropLast(SnapshotFolder.count) { unsafe _ = unlink("\(folder.path)/\(name)") }
            hasSnapshotFailed.store(false, ordering: .relaxed)
            return true
        } catch {
            // Said once, until there is one again.
            if !isClosing.isSet, !hasSnapshotFailed.exchange(true, ordering: .relaxed) {
                log.warning("There is no copy of the catalog of today: \(error)")
            }
            return false
        }
    }

    /// A copy takes no room that the catalog itself may need.
    func refuseWithoutRoom() throws(LibraryError) {
        var size: Int64 = 0
        var status = stat()
        for suffix in ["", "-wal"] where unsafe stat(layout.catalogPath + suffix, &status) == 0 {
            size += Int64(status.st_size)
        }
        guard try space.measureLeft(behind: size) >= 0 else {
            throw .noSpace("The library's disk has no room for another \(size) bytes.")
        }
    }
}
