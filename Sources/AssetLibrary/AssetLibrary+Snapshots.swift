internal import AssetModel
internal import Catalog
internal import Glibc
internal import LibraryStorage
internal import Logging
internal import Synchronization
internal import SystemPackage

// Daily copies of the catalog in `snapshots/`, from which `assetfs recover` rebuilds a lost catalog.
extension AssetLibrary {
    private static let snapshotPeriod = Duration.seconds(24 * 3600)
    /// How often a thread checks whether a copy is due: the machine's clock may be set.
    private static let snapshotPause = Duration.seconds(600)
    /// How long a copy may delay the end of a mount.
    private static let snapshotPatience = Duration.seconds(10)

    /// Copies the catalog as of one moment, while other threads change it, and syncs the copy.
    ///
    /// `goesOn` is called before each step, and waits until the copy may use the disk.
    func copyCatalog(to path: String, while goesOn: () -> Bool) throws(LibraryError) {
        unsafe _ = unlink(path)
        do {
            let copy = try CatalogCopy(to: path)
            do {
                while !copy.isComplete {
                    guard goesOn() else { throw LibraryError.busy("The mount is being ended.") }
                    try storage.commit(advancing: copy)
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
    /// - Returns: when to check again.
    func takeSnapshotWhenDue() -> Duration {
        guard isSnapshotDue else { return Self.snapshotPause }
        var share = BackgroundShare()
        return takeSnapshot { activity.awaitTurn(&share, until: isClosing) } ? Self.snapshotPause : .seconds(3600)
    }

    /// Makes a due copy at the end of a mount, for mounts that never last a day.
    func takeSnapshotAtEnd() {
        guard isSnapshotDue else { return }
        let end = ContinuousClock.now + Self.snapshotPatience
        _ = takeSnapshot { .now < end }
    }

    private var isSnapshotDue: Bool {
        let now = clock.now
        let last = SnapshotFolder(of: path).newest(at: now) ?? storage.directory.made
        return last.advanced(by: Self.snapshotPeriod) <= now
    }

    /// Makes a copy; the log has the reason where that fails.
    /// - Returns: whether there is a new copy.
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
                throw LibraryError(Errno(rawValue: errno), during: "naming snapshots/\(name)")
            }
            KillPoint.snapshotNamed.reach()
            for name in folder.names.dropLast(SnapshotFolder.count) { unsafe _ = unlink("\(folder.path)/\(name)") }
            hasSnapshotFailed.store(false, ordering: .relaxed)
            return true
        } catch {
            // Logged once, until a copy succeeds again.
            if !isClosing.isSet, !hasSnapshotFailed.exchange(true, ordering: .relaxed) {
                log.warning("There is no copy of the catalog of today: \(error)")
            }
            return false
        }
    }

    /// Refuses a copy that would take space that the catalog may need.
    func refuseWithoutRoom() throws(LibraryError) {
        var size: Int64 = 0
        var status = stat()
        for suffix in ["", "-wal"] where unsafe stat(storage.directory.catalogPath + suffix, &status) == 0 {
            size += Int64(status.st_size)
        }
        guard try space.measureLeft(behind: size) >= 0 else {
            throw .noSpace("The library's disk has no room for another \(size) bytes.")
        }
    }
}
