internal import AssetLibrary
internal import AssetModel
internal import FUSE
internal import Glibc
internal import Logging
internal import Synchronization
internal import SystemPackage

// Each open file may cost the daemon descriptors. So that no user can take all of them, open files are
// counted by user, from the open until the daemon has closed the file, which may be later than the last
// close(2).
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

    /// Takes a place for a file or directory that a user is about to open.
    /// - Throws: EMFILE.
    func shareOfOpenFiles(for caller: Caller) throws(OperationFailure) -> UserShare {
        if let share = openShares.take(for: caller.uid) { return share }
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
}
