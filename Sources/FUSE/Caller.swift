internal import Glibc

/// The process that asks.
public struct Caller: Sendable {
    /// Its filesystem user id.
    public let uid: UInt32
    /// Its filesystem group id.
    public let gid: UInt32
    /// Its thread id; 0 when the kernel itself asks, as in RELEASE.
    public let pid: Int32
    /// The permissions that it takes from what it makes.
    public let umask: UInt32

    /// Names a caller.
    public init(uid: UInt32, gid: UInt32, pid: Int32, umask: UInt32) {
        self.uid = uid
        self.gid = gid
        self.pid = pid
        self.umask = umask
    }

    /// Whether it is in a group, or root, who is in all.
    ///
    /// The kernel sends no supplementary groups; they are read from /proc, where a process of another namespace is not found
    /// and counts as in none.
    public func isMember(of group: UInt32) -> Bool {
        if uid == 0 || gid == group { return true }
        return status("Groups:")?.split(whereSeparator: \.isWhitespace).contains { UInt32($0) == group } ?? false
    }

    /// What its program is called, as far as that is known: at most 15 bytes.
    public var program: String? {
        guard pid != 0, let file = unsafe fopen("/proc/\(pid)/comm", "re") else { return nil }
        defer { unsafe _ = fclose(file) }
        var line = [CChar](repeating: 0, count: 64)
        guard unsafe fgets(&line, Int32(line.count), file) != nil else { return nil }
        return String(decoding: line.prefix { $0 != 0 && $0 != 0x0A }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private func status(_ key: String) -> String? {
        guard let file = unsafe fopen("/proc/\(pid)/status", "re") else { return nil }
        defer { unsafe _ = fclose(file) }
        var line = [CChar](repeating: 0, count: 1 << 16)
        while unsafe fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            if text.hasPrefix(key) { return String(text.dropFirst(key.count)) }
        }
        return nil
    }
}
