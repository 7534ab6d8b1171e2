internal import CFuse
internal import Glibc

/// The process that asks.
@safe
public struct Caller: Sendable {
    /// Its filesystem user id.
    public let uid: UInt32
    /// Its filesystem group id.
    public let gid: UInt32
    /// Its thread id; 0 when the kernel itself asks, as in RELEASE.
    public let pid: Int32
    /// The permissions that it takes from what it makes.
    public let umask: UInt32
    /// The request, which libfuse keeps until it is answered.
    private nonisolated(unsafe) let request: fuse_req_t?

    /// Names a caller.
    public init(uid: UInt32, gid: UInt32, pid: Int32, umask: UInt32) {
        self.uid = uid
        self.gid = gid
        self.pid = pid
        self.umask = umask
        unsafe request = nil
    }

    /// Names the caller of a request; nil where libfuse does not know it.
    init?(of request: fuse_req_t) {
        guard let context = unsafe fuse_req_ctx(request) else { return nil }
        uid = unsafe context.pointee.uid
        gid = unsafe context.pointee.gid
        pid = unsafe Int32(context.pointee.pid)
        umask = unsafe context.pointee.umask
        unsafe self.request = unsafe request
    }

    /// Whether a signal that ends the process, or asks it to end, has interrupted the call meanwhile.
    ///
    /// To be asked only while the request is served.
    public var isInterrupted: Bool {
        guard let request = unsafe request, unsafe fuse_req_interrupted(request) != 0 else {
            return false
        }
        return cfuse_is_ending(pid, 1) != 0
    }

    /// Whether the caller is in a group; root is in all.
    ///
    /// Reads a file of /proc: a request that asks more than once keeps `supplementaryGroups`.
    public func isMember(of group: UInt32) -> Bool {
        uid == 0 || gid == group || supplementaryGroups?.contains(group) == true
    }

    /// The caller's supplementary groups; nil where they cannot be learnt.
    ///
    /// The kernel sends none. They are read from /proc, where a process of another namespace is not found.
    public var supplementaryGroups: Set<UInt32>? {
        let status = status("Uid:", "Groups:")
        // A number may be another process's by now. The fourth id is the filesystem's — proc(5)
        guard let ids = status["Uid:"], ids.count == 4, ids[3] == uid else { return nil }
        return status["Groups:"].map(Set.init)
    }

    /// What its program is called, as far as that is known: at most 15 bytes.
    public var program: String? {
        guard pid != 0, let file = unsafe fopen("/proc/\(pid)/comm", "re") else { return nil }
        defer { unsafe _ = fclose(file) }
        var line = [CChar](repeating: 0, count: 64)
        guard unsafe fgets(&line, Int32(line.count), file) != nil else { return nil }
        return String(decoding: line.prefix { $0 != 0 && $0 != 0x0A }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// The numbers in some lines of the process's status.
    private func status(_ keys: String...) -> [String: [UInt32]] {
        var found: [String: [UInt32]] = [:]
        guard let file = unsafe fopen("/proc/\(pid)/status", "re") else { return found }
        defer { unsafe _ = fclose(file) }
        var line = [CChar](repeating: 0, count: 1 << 16)
        while found.count < keys.count, unsafe fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            guard let key = keys.first(where: text.hasPrefix) else { continue }
            found[key] = text.dropFirst(key.count).split(whereSeparator: \.isWhitespace).compactMap { UInt32($0) }
        }
        return found
    }
}
