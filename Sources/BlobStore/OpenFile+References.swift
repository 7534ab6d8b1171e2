internal import CLinux
internal import Glibc
internal import SystemPackage

// A file that the kernel reads for us can be mapped, and a mapping outlives every descriptor that this process can count. A write
// lease answers whether anything refers to the file still.
extension OpenFile {
    /// Tells whether any other open file description, or a mapping made through one, refers to the file.
    ///
    /// > F_WRLCK: a write lease may be placed on a file only if there are no other open file descriptors for the file — fcntl(2)
    ///
    /// A mapping holds the description that it was made through. The file must be open for writing here, so that the only other
    /// count that the kernel compares is that of others. Another thread of this process that reads the file at this moment counts
    /// as a reference, too.
    /// - Returns: nil where the filesystem has no leases, so that nothing can be told.
    public func isReferencedElsewhere() -> Bool? {
        guard linux_lease(descriptor.rawValue, Int32(F_WRLCK)) != 0 else {
            _ = linux_lease(descriptor.rawValue, Int32(F_UNLCK))
            return false
        }
        switch Errno(rawValue: errno) {
        case .resourceTemporarilyUnavailable, .resourceBusy: return true
        default: return nil
        }
    }

    /// Writes the cached pages to the disk, and write-protects mapped ones: the next store through a mapping moves the time of
    /// modification again.
    public func protectMappedPages() throws(BlobStoreError) {
        // WAIT_BEFORE, WRITE and WAIT_AFTER: sync_file_range(2)
        try checked("sync_file_range") { sync_file_range(descriptor.rawValue, 0, 0, 1 | 2 | 4) }
    }
}

/// Ignores SIGIO, by which the kernel tells of a lease that another open of the file breaks, and which would end the process.
func ignoreLeaseSignals() { _ = signal(SIGIO, SIG_IGN) }
