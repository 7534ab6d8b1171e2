internal import CLinux
internal import Glibc
internal import SystemPackage

// With passthrough the kernel reads a file itself, so programs can map it, and a mapping outlives every
// descriptor that this process can count. A write lease shows whether any reference to the file is left.
extension OpenFile {
    /// Returns whether any other open file description, or a mapping made through one, refers to the file.
    ///
    /// > F_WRLCK: a write lease may be placed on a file only if there are no other open file descriptors for
    /// > the file — fcntl(2)
    ///
    /// A mapping holds the description that it was made through. This file must be open for writing, so that
    /// the kernel compares only the count of other references. Another thread of this process that reads the
    /// file at this moment counts as a reference, too.
    /// - Returns: nil if the filesystem has no leases, so that the answer is unknown.
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

    /// Writes the cached pages to the disk, and write-protects mapped ones: the next store through a mapping
    /// updates the modification time again.
    public func protectMappedPages() throws(BlobStoreError) {
        // WAIT_BEFORE, WRITE and WAIT_AFTER: sync_file_range(2)
        try checked("sync_file_range") { sync_file_range(descriptor.rawValue, 0, 0, 1 | 2 | 4) }
    }
}

/// Ignores SIGIO, which the kernel sends when another open of the file breaks a lease, and which would end
/// the process.
func ignoreLeaseSignals() { _ = signal(SIGIO, SIG_IGN) }
