public import AssetModel
internal import CLinux
internal import Glibc
internal import SystemPackage

// Blobs without a row, because a crash came before the row or after its removal: they are moved to
// `leftover/`, and deleted later.
extension BlobStore {
    /// Marks a blob that is about to be removed, for the mount after a crash between the removal of its row
    /// and that of its file.
    public func noteRemoval(of digest: Digest) {
        for folder in allFolders { folder.touch(digest) }
    }

    /// Moves blobs without a row to `leftover/`, if they were created and named since given moments, or were
    /// about to be removed.
    ///
    /// Blobs in alternate stores stay: each is a copy of one that was here, and a disk of their own may be
    /// newer or older than the catalog. chmod(2) and link(2) also change a file's change time; its birth time
    /// stays. `known` returns the blobs with rows whose digests begin with a byte.
    /// - Returns: the number of moved blobs.
    public func setAsideLeftovers(
        madeSince made: Timestamp,
        namedSince time: Timestamp,
        known: (UInt8) throws -> Set<Digest>
    ) throws -> Int {
        var count = 0
        for first in UInt8.min...UInt8.max where primary.hasChanged(first, since: time) {
            count += try primary.setAside(first, madeSince: made, namedSince: time, known: known(first))
        }
        return count
    }

    /// Deletes the blobs that were moved to `leftover/` before a moment.
    /// - Returns: the number of deleted blobs.
    public func removeLeftovers(before time: Timestamp) throws(BlobStoreError) -> Int {
        var count = 0
        for folder in allFolders { count += try folder.removeLeftovers(before: time) }
        return count
    }

    /// Moves all blobs from the folder `leftover/` of a library back to `blobs/`, for a new catalog that may
    /// need them.
    public static func takeBackLeftovers(at path: String) throws(BlobStoreError) {
        guard unsafe access("\(path)/leftover", F_OK) == 0 else { return }
        try StoreFolder(at: path).takeBackLeftovers()
    }
}

extension StoreFolder {
    private var leftovers: String { "\(path)/leftover" }

    /// Marks a blob's file, if it exists, as about to be removed: sets its modification time to 0, and its
    /// folder's change time to now.
    func touch(_ digest: Digest) {
        let name = BlobStore.path(of: digest)
        let times = [timespec(tv_sec: 0, tv_nsec: 0), timespec(tv_sec: 0, tv_nsec: 0)]
        guard unsafe utimensat(blobs, name, times, AT_SYMLINK_NOFOLLOW) == 0 else { return }
        unsafe _ = fchmodat(blobs, String(name.prefix(2)), 0o700, 0)
    }

    /// Returns whether a name may have been added to a folder of blobs since a moment.
    func hasChanged(_ first: UInt8, since time: Timestamp) -> Bool {
        var status = stat()
        return unsafe fstatat(blobs, Self.name(first), &status, 0) != 0 || status.changed >= time
    }

    /// Moves files without a row from a folder of blobs to `leftover/`.
    /// - Returns: the number of moved files.
    func setAside(
        _ first: UInt8,
        madeSince made: Timestamp,
        namedSince time: Timestamp,
        known: Set<Digest>
    ) throws(BlobStoreError) -> Int {
        var count = 0
        for rest in StoredBlobs.names(in: blobs, Self.name(first)) {
            let name = Self.name(first) + rest
            guard let digest = StoredBlobs.bytes(name).flatMap({ Digest($0) }), !known.contains(digest) else {
                continue
            }
            let path = BlobStore.path(of: digest)
            var status = stat()
            guard unsafe fstatat(blobs, path, &status, AT_SYMLINK_NOFOLLOW) == 0, status.changed >= time,
                status.changed <= .now,
                // The file of an interrupted upload, still to be hashed, has a second name.
                status.st_mode & S_IFMT == S_IFREG, status.st_nlink == 1,
                status.modified.rawValue == 0 || wasMade("blobs/\(path)", since: made)
            else { continue }
            if unsafe mkdir(leftovers, 0o700) != 0, errno != EEXIST {
                throw BlobStoreError(Errno(rawValue: errno), during: "mkdir leftover")
            }
            try checked("rename to leftover/\(name)") {
                unsafe renameat(blobs, path, AT_FDCWD, "\(leftovers)/\(name)")
            }
            // Its time in `leftover/` begins now.
            unsafe _ = utimensat(AT_FDCWD, "\(leftovers)/\(name)", nil, AT_SYMLINK_NOFOLLOW)
            count += 1
            KillPoint.leftoverSetAside.reach()
        }
        return count
    }

    private func wasMade(_ name: String, since time: Timestamp) -> Bool {
        var (inode, made): (UInt64, Int64) = (0, 0)
        // A time in the future is not evidence.
        return unsafe linux_birth("\(path)/\(name)", &inode, &made) == 0 && made >= time.rawValue
            && made <= Timestamp.now.rawValue
    }

    func removeLeftovers(before time: Timestamp) throws(BlobStoreError) -> Int {
        let folder = unsafe Glibc.open(leftovers, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
        guard folder >= 0 else { return 0 }
        defer { _ = close(folder) }
        var count = 0
        for name in StoredBlobs.names(in: folder, ".") where StoredBlobs.bytes(name)?.count == 32 {
            var status = stat()
            guard unsafe fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0, status.modified < time else {
                continue
            }
            try checked("unlink leftover/\(name)") { unsafe unlinkat(folder, name, 0) }
            count += 1
        }
        // rmdir(2) fails while any file is in it.
        unsafe _ = rmdir(leftovers)
        return count
    }

    func takeBackLeftovers() throws(BlobStoreError) {
        let folder = unsafe Glibc.open(leftovers, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
        guard folder >= 0 else { return }
        defer { _ = close(folder) }
        for name in StoredBlobs.names(in: folder, ".") {
            guard let digest = StoredBlobs.bytes(name).flatMap({ Digest($0) }) else { continue }
            let path = BlobStore.path(of: digest)
            if unsafe renameat2(folder, name, blobs, path, 1 /* RENAME_NOREPLACE */) != 0, errno != EEXIST {
                throw BlobStoreError(Errno(rawValue: errno), during: "rename to blobs/\(path)")
            }
        }
        unsafe _ = rmdir(leftovers)
    }
}
