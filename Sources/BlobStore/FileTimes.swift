package import AssetModel
package import Glibc

extension stat {
    /// When the content was changed last.
    package var modified: Timestamp { Timestamp(seconds: st_mtim.tv_sec, nanoseconds: st_mtim.tv_nsec) }

    /// When the inode was changed last.
    package var changed: Timestamp { Timestamp(seconds: st_ctim.tv_sec, nanoseconds: st_ctim.tv_nsec) }
}
