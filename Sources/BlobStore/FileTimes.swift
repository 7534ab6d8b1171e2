package import AssetModel
package import Glibc

extension stat {
    /// The time of the last change of the content.
    package var modified: Timestamp { Timestamp(seconds: st_mtim.tv_sec, nanoseconds: st_mtim.tv_nsec) }

    /// The time of the last change of the inode.
    package var changed: Timestamp { Timestamp(seconds: st_ctim.tv_sec, nanoseconds: st_ctim.tv_nsec) }
}
