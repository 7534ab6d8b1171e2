internal import AssetLibrary
internal import AssetModel
internal import FUSE
internal import Glibc
internal import LibraryStorage
internal import Logging
internal import Synchronization
internal import SystemPackage

// Each open file may cost the daemon descriptors. So that no user can take all of them, open files are
// counted by user, from the open until the daemon has closed the file. The kernel announces the end of a file
// some time after the last close(2), so an open that exceeds the user's share waits for that announcement.
extension AssetFilesystem {
    /// The greatest number of descriptors that the daemon reserves for itself.
    private static let ownDescriptors = 256

    /// Shares out the descriptors that RLIMIT_NOFILE allows.
    ///
    /// A file costs at most two descriptors for longer than a request: its working file, and a copy that
    /// waits for its commit, or the bytes of a rejected upload.
    static func openShares() -> UserShares {
        var limit = rlimit()
        unsafe _ = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let descriptors = Int(clamping: min(limit.rlim_cur, 1 << 30))
        let free = descriptors - min(ownDescriptors, descriptors / 2)
        return UserShares(capacity: free / 2, limit: free, exempt: [0, getuid()])
    }

    /// How long a user's opens wait for the end of a file that the user has closed.
    private static let patience = Duration.seconds(1)
    /// The same for an open during which the kernel holds the directory's lock, so that others wait too.
    static let shortPatience = Duration.milliseconds(100)

    /// Takes a place for a file or directory that a user is about to open, before the open has any effect.
    ///
    /// A user without a free place waits for one, and `patience` at most since the user's last end of a file.
    /// - Throws: EMFILE; a failure to be tried again while the user may wait.
    func shareOfOpenFiles(
        for caller: Caller,
        patience: Duration = AssetFilesystem.patience
    ) throws(OperationFailure) -> UserShare {
        if let share = openShares.take(for: caller.uid) { return share }
        let left = patience - openShares.noteRefusal(of: caller.uid)
        if left > .zero {
            // Of many opens that wait for one thread, all end at that time.
            let end = ContinuousClock.now + left
            throw OperationFailure(.tooManyOpenFiles) { [self] (uid, resume) in
                let isAwaited = library.runLongRead(for: uid) { [self] in
                    awaitPlace(for: uid, until: end)
                    resume()
                }
                if !isAwaited { resume() }
            }
        }
        let isNew = lastOpenRefusal.withLock { last in
            guard last.uid != caller.uid || last.until < .now else { return false }
            last = (caller.uid, .now + .seconds(60))
            return true
        }
        // Once a minute: a program that retries in a loop would fill the disk with lines.
        if isNew {
            library.log.notice(
                "User \(caller.uid) has \(openShares.taken(by: caller.uid)) files open, and no more can be opened: no user may have more than are free (ulimit -n)."
            )
        }
        throw OperationFailure(.tooManyOpenFiles)
    }

    /// Waits until a user may have a place, or until a time.
    private func awaitPlace(for uid: UInt32, until end: ContinuousClock.Instant) {
        let left = end - .now
        guard left > .zero else { return }
        let freed = Signal()
        let number = openShares.whenFree { freed.send() }
        // A place that became free before `whenFree` announces nothing; the place taken here is given back.
        if openShares.take(for: uid) == nil { freed.wait(milliseconds: Int32(left / .milliseconds(1)) + 1) }
        openShares.cancelWait(number)
    }
}
