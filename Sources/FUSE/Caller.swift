internal import CFuse
internal import Glibc

/// The process that makes a request.
@safe
public struct Caller: Sendable {
    /// Its filesystem user id.
    public let uid: UInt32
    /// Its filesystem group id.
    public let gid: UInt32
    /// Its thread id; 0 for requests of the kernel itself, such as RELEASE.
    public let pid: Int32
    /// The permission bits that are removed from files that it creates.
    public let umask: UInt32
    /// The request, which libfuse keeps until it is answered.
    private nonisolated(unsafe) let request: fuse_req_t?

    /// Creates a caller without a request.
    public init(uid: UInt32, gid: UInt32, pid: Int32, umask: UInt32) {
        self.uid = uid
        self.gid = gid
        self.pid = pid
        self.umask = umask
        unsafe request = nil
    }

    /// Returns the caller of a request; nil if libfuse does not know it.
    init?(of request: fuse_req_t) {
        guard let context = unsafe fuse_req_ctx(request) else { return nil }
        uid = unsafe context.pointee.uid
        gid = unsafe context.pointee.gid
        pid = unsafe Int32(context.pointee.pid)
        umask = unsafe context.pointee.umask
        unsafe self.request = unsafe request
    }

    /// Whether the call was interrupted by a signal that ends the process, or asks it to end.
    ///
    /// Valid only while the request is served.
    public var isInterrupted: Bool {
        guard let request = unsafe request, unsafe fuse_req_interrupted(request) != 0 else {
            return false
        }
        return cfuse_is_ending(pid, 1) != 0
    }

    /// Returns whether the caller is in a group; root is in every group.
    ///
    /// It reads a file of /proc: a request that asks more than once keeps `supplementaryGroups`.
    public func isMember(of group: UInt32) -> Bool {
        uid == 0 || gid == group || supplementaryGroups?.contains(group) == true
    }

    /// The caller's supplementary groups; nil where they cannot be learnt.
    ///
    /// The kernel sends none. They are read from /proc, where a process of another namespace is not found.
    public var supplementaryGroups: Set<UInt32>? {
        let status = status("Uid:", "Groups:")
        // The process number may have been reused. The fourth id is the filesystem's — proc(5)
        guard let ids = status["Uid:"], ids.count == 4, ids[3] == uid else { return nil }
        return status["Groups:"].map(Set.init)
    }

    /// The name of its program, if known: at most 15 bytes.
    public var program: String? {
        guard pid != 0, let file = unsafe fopen("/proc/\(pid)/comm", "re") else { return nil }
        defer { unsafe _ = fclose(file) }
        var line = [CChar](repeating: 0, count: 64)
        guard unsafe fgets(&line, Int32(line.count), file) != nil else { return nil }
        return String(decoding: line.prefix { $0 != 0 && $0 != 0x0A }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Returns the numbers in some lines of the process's status.
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
