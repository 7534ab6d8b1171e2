import AssetLibrary
import AssetModel
import CLinux
import Foundation
import SystemPackage

/// The options of mount(8), fuse(8) and libfuse: each is applied, has no effect here, or is refused with a
/// sentence.
///
/// Only options of this table are passed to libfuse, whose own error messages differ from those of assetfs or
/// are missing.
struct SystemOptions {
    /// The options for libfuse and fusermount3, in their order.
    private(set) var passedOn: [String] = []
    private(set) var accessTimes = AccessTimeRule.relative
    /// Whether reading a folder leaves its time of access unchanged.
    private(set) var ignoresFolderAccess = false
    /// Whether symbolic links in the mount are not followed.
    private(set) var ignoresLinks = false
    private(set) var isLazyTime = false
    /// The greatest number of bytes in one read request, and in readahead; nil for the kernel's own values.
    private(set) var maximumRead: UInt32?
    private(set) var maximumReadahead: UInt32?
    /// Whether users other than the mount's owner may use it.
    private(set) var allowsOthers = false
    /// The mode with which a missing mountpoint is made; nil where it has to exist.
    private(set) var mountpointMode: mode_t?

    private enum Meaning {
        /// The option states the default, or is meant for another program.
        case nothing
        /// An option that libfuse knows, and that fusermount3 allows every user.
        case passedOn
        /// An option that libfuse knows, and that only root may use.
        case rootOnly
        case refused(String)
    }

    private static let own = "assetfs decides that itself"

    private static let flags: [String: Meaning] = {
        var flags: [String: Meaning] = [:]
        for name in [
            "auto", "noauto", "defaults", "nofail", "_netdev", "user", "nouser", "users", "owner", "group", "rw",
            "async", "nomand", "silent", "loud", "quiet", "iversion", "noiversion", "nonempty", "default_permissions",
            "big_writes", "large_read", "use_ino", "readdir_ino", "intr", "async_read", "no_remote_lock",
            "atomic_o_trunc",
        ] {
            flags[name] = .nothing
        }
        for name in ["ro", "nosuid", "nodev", "exec", "noexec", "sync", "dirsync"] { flags[name] = .passedOn }
        for name in ["suid", "dev"] { flags[name] = .rootOnly }
        for (name, reason) in [
            ("remount", "a mount is not changed while it is there; unmount it, and mount it with the other options"),
            ("bind", "bind the mounted folder by mount(8) without -t assetfs"),
            ("rbind", "bind the mounted folder by mount(8) without -t assetfs"),
            ("move", "move the mounted folder by mount(8) without -t assetfs"),
            (
                "auto_unmount",
                "a dead mount says so to programs, which would else write into the folder below; mount again"
            ),
            ("mand", "Linux has no mandatory locks any more"),
            ("loop", "a library is a folder, and no image of a disk"),
            ("blkdev", "a library is a folder, and no block device"),
            ("user_allow_other", "it belongs into /etc/fuse.conf; the option of a mount is allow_other"),
            ("direct_io", own), ("kernel_cache", own), ("auto_cache", own), ("noauto_cache", own), ("hard_remove", own),
            ("noforget", own), ("nopath", own), ("clone_fd", own), ("writeback_cache", own), ("sync_read", own),
        ] {
            flags[name] = .refused(reason)
        }
        return flags
    }()

    private static let values: [String: Meaning] = {
        var values: [String: Meaning] = ["user": .nothing, "retry": .nothing]
        for name in ["context", "fscontext", "defcontext", "rootcontext"] { values[name] = .rootOnly }
        for (name, reason) in [
            ("uid", "the library records the owner of each file; use chown(1)"),
            ("gid", "the library records the group of each file; use chgrp(1)"),
            ("umask", "the library records the mode of each file; use chmod(1)"),
            ("fmask", "the library records the mode of each file; use chmod(1)"),
            ("dmask", "the library records the mode of each file; use chmod(1)"),
            ("mode", "the library records the mode of each file; use chmod(1)"),
            ("blksize", "it is for block devices"), ("offset", "a library is a folder, and no image of a disk"),
            ("fsname", "it is the path of the library, by which “assetfs umount” finds it"),
            ("subtype", "it is assetfs, by which the commands find the mount"),
            ("fd", own), ("rootmode", own), ("user_id", own), ("group_id", own), ("modules", own), ("max_write", own),
            ("max_background", own), ("congestion_threshold", own), ("max_threads", own), ("max_idle_threads", own),
            ("entry_timeout", own), ("attr_timeout", own), ("ac_attr_timeout", own), ("negative_timeout", own),
            ("remember", own), ("intr_signal", own), ("mount_max", "it belongs into /etc/fuse.conf"),
        ] {
            values[name] = .refused(reason)
        }
        return values
    }()

    /// Applies an option.
    /// - Throws: a sentence where it is refused, or unknown.
    mutating func take(_ name: String, _ value: String?, isRoot: Bool = geteuid() == 0) throws(MountOptions.Invalid) {
        let option = value.map { "\(name)=\($0)" } ?? name
        if name.lowercased().hasPrefix("x-mount.") { return try takeMountCommands(name, value, option) }
        if name.lowercased().hasPrefix("x-") || name == "comment" || name.hasPrefix("comment=") { return }
        switch (name, value) {
        case ("atime", nil), ("relatime", nil), ("norelatime", nil): accessTimes = .relative
        case ("nostrictatime", nil): if accessTimes == .strict { accessTimes = .relative }
        case ("noatime", nil): accessTimes = .never
        case ("strictatime", nil): accessTimes = .strict
        case ("diratime", nil): ignoresFolderAccess = false
        case ("nodiratime", nil): ignoresFolderAccess = true
        case ("symfollow", nil): ignoresLinks = false
        case ("nosymfollow", nil): ignoresLinks = true
        case ("lazytime", nil): isLazyTime = true
        case ("nolazytime", nil): isLazyTime = false
        case ("max_read", let value?): maximumRead = try Self.bytes(option, value, from: 4096)
        case ("max_readahead", let value?): maximumReadahead = try Self.bytes(option, value, from: 0)
        case ("allow_other", nil), ("allow_root", nil):
            allowsOthers = true
            passedOn.append(name)
        default:
            switch value == nil ? Self.flags[name] : Self.values[name] {
            case .nothing:
                // An option that states a default cancels its opposite before it.
                if let opposite = ["rw": "ro", "async": "sync", "defaults": nil][name] {
                    passedOn.removeAll { $0 == opposite || opposite == nil && Self.isDefault($0) }
                }
            case .passedOn: passedOn.append(option)
            case .rootOnly where isRoot: try takeRoots(name, option)
            case .rootOnly: throw Self.refusal(option, "root alone can mount with it")
            case .refused(let reason): throw Self.refusal(option, reason)
            case nil:
                throw Self.refusal(option, "it is no option of assetfs, mount(8) or fuse(8); “man assetfs” lists them")
            }
        }
    }

    /// Applies an option that mount(8) handles itself and does not pass on: it works here, too, or is
    /// refused.
    private mutating func takeMountCommands(
        _ name: String,
        _ value: String?,
        _ option: String
    ) throws(MountOptions.Invalid) {
        let reasons = [
            "subdir": "mount the library and then bind the subfolder by mount(8)",
            "owner": "use chown(1) on the mounted folder; the library records it",
            "group": "use chgrp(1) on the mounted folder; the library records it",
            "mode": "use chmod(1) on the mounted folder; the library records it",
            "idmap": "the library records the owner of each file, and FUSE maps none",
        ]
        let name = String(name.dropFirst("x-mount.".count))
        guard name == "mkdir" else {
            throw Self.refusal(option, reasons[name] ?? "of these assetfs has X-mount.mkdir alone")
        }
        let mode = value.map { mode_t($0, radix: 8) } ?? 0o755
        guard let mode, mode <= 0o7777 else {
            throw Self.refusal(option, "the mode is no octal number of 0 to 7777, such as X-mount.mkdir=0755")
        }
        mountpointMode = mode
    }

    /// Returns whether `defaults` cancels an option.
    ///
    /// > defaults: rw, suid, dev, exec, auto, nouser, async — mount(8), of which a FUSE filesystem has not
    /// > suid and dev.
    private static func isDefault(_ option: String) -> Bool { ["ro", "noexec", "sync"].contains(option) }

    private mutating func takeRoots(_ name: String, _ option: String) throws(MountOptions.Invalid) {
        guard !name.hasSuffix("context") || FilePath("/sys/fs/selinux").isFolder else {
            throw Self.refusal(option, "this kernel has no SELinux")
        }
        // In libfuse's options a comma within a value has a backslash before it.
        passedOn.append(option.replacingOccurrences(of: ",", with: "\\,"))
    }

    /// Refuses options that need root, where the caller is another user.
    func check(isRoot: Bool = geteuid() == 0) throws(MountOptions.Invalid) {
        guard !isRoot else { return }
        let reason = "root alone can mount with it"
        if accessTimes == .strict { throw Self.refusal("strictatime", reason) }
        if ignoresFolderAccess, accessTimes != .never { throw Self.refusal("nodiratime", reason) }
        if ignoresLinks { throw Self.refusal("nosymfollow", reason) }
        if isLazyTime { throw Self.refusal("lazytime", reason) }
        if allowsOthers, !Self.othersMayBeAllowed {
            let option = passedOn.first { $0.hasPrefix("allow_") } ?? "allow_other"
            throw Self.refusal(option, "for others than root it takes a line “user_allow_other” in /etc/fuse.conf")
        }
    }

    private static var othersMayBeAllowed: Bool {
        guard let lines = FilePath("/etc/fuse.conf").contents()?.split(separator: 0x0A) else { return false }
        return lines.contains { String(decoding: $0, as: UTF8.self).trimmingSpaces == "user_allow_other" }
    }

    /// Whether each write waits for the disk; the kernel leaves that to the filesystem.
    var isSynchronous: Bool { passedOn.contains("sync") }

    /// Returns the options for libfuse.
    func forFUSE(isRoot: Bool = geteuid() == 0) -> [String] {
        // fusermount3 sets this one flag; root sets all of them when the mount exists.
        passedOn + (accessTimes == .never && !isRoot ? ["noatime"] : [])
    }

    /// Sets the flags on a new mount that libfuse does not know.
    /// - Throws: a sentence where the kernel refuses it.
    func apply(to mountpoint: FilePath) throws(MountOptions.Invalid) {
        guard geteuid() == 0 else { return }
        var (set, clear): (UInt64, UInt64) = (0, 0)
        switch accessTimes {
        case .relative: break
        case .never: (set, clear) = (UInt64(MOUNT_ATTR_NOATIME), UInt64(MOUNT_ATTR__ATIME))
        case .strict: (set, clear) = (UInt64(MOUNT_ATTR_STRICTATIME), UInt64(MOUNT_ATTR__ATIME))
        }
        if ignoresFolderAccess { set |= UInt64(MOUNT_ATTR_NODIRATIME) }
        if ignoresLinks { set |= UInt64(MOUNT_ATTR_NOSYMFOLLOW) }
        if set != 0, unsafe mountpoint.withC({ unsafe linux_set_mount_attributes($0, set, clear) }) != 0 {
            let names = "noatime, nodiratime, strictatime or nosymfollow"
            throw Self.refusal(names, "this kernel does not set it: \(systemReason)")
        }
        if isLazyTime, unsafe mountpoint.withC({ unsafe linux_set_filesystem_flag($0, "lazytime") }) != 0 {
            throw Self.refusal("lazytime", "this kernel does not set it: \(systemReason)")
        }
    }

    private static func bytes(
        _ option: String,
        _ text: String,
        from least: UInt32
    ) throws(MountOptions.Invalid) -> UInt32 {
        guard let number = UInt32(text), number >= least else {
            throw refusal(option, "it is no number of bytes of \(least) or more")
        }
        return number
    }

    private static func refusal(_ option: String, _ reason: String) -> MountOptions.Invalid {
        MountOptions.Invalid(sentence: "The mount option “\(option)” is refused: \(reason).", isRefusal: true)
    }
}
