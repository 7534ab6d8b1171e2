internal import CFuse
internal import SystemPackage

extension fuse_lowlevel_ops {
    mutating func serveExtendedAttributes() {
        unsafe setxattr = { request, number, name, value, size, flags in
            let name = unsafe Name(name)
            let bytes = unsafe Array(UnsafeRawBufferPointer(start: value, count: size))
            unsafe answerInTime(request, "setxattr", first: { $0.waitBeforeSetting(name, for: $1) }) {
                (fs, caller) throws(OperationFailure) in
                try fs.setxattr(inode(number), name: name, value: bytes, flags: flags, for: caller)
            } reply: {
                unsafe replyEmpty($0, $1)
            }
        }
        unsafe getxattr = { request, number, name, size in
            let name = unsafe Name(name)
            unsafe answerInTime(
                request,
                "getxattr",
                first: { $0.waitBeforeReading(name, of: inode(number), for: $1) }
            ) { (fs, caller) throws(OperationFailure) in
                try fitting(try fs.getxattr(inode(number), name: name, for: caller), size)
            } reply: {
                unsafe replySized($0, $1, size)
            }
        }
        unsafe listxattr = { request, number, size in
            unsafe answer(request, "listxattr") { (fs, caller) throws(OperationFailure) in
                let names = try fs.listxattr(inode(number), for: caller)
                return try fitting(names.reduce(into: []) { $0 += $1 + [0] }, size)
            } reply: {
                unsafe replySized($0, $1, size)
            }
        }
        unsafe removexattr = { request, number, name in
            unsafe answer(request, "removexattr") { (fs, caller) throws(OperationFailure) in
                try unsafe fs.removexattr(inode(number), name: Name(name), for: caller)
            } reply: {
                unsafe replyEmpty($0, $1)
            }
        }
    }
}

/// Returns a value that fits into the caller's buffer, and throws ERANGE for any other.
///
/// > If size is specified as zero, these calls return the current size of the named extended attribute —
/// > getxattr(2)
private func fitting(_ bytes: [UInt8], _ size: Int) throws(OperationFailure) -> [UInt8] {
    guard size == 0 || bytes.count <= size else { throw OperationFailure(.outOfRange) }
    return bytes
}

private func replySized(_ request: fuse_req_t, _ bytes: [UInt8], _ size: Int) -> Int32 {
    guard size > 0 else { return unsafe fuse_reply_xattr(request, bytes.count) }
    return unsafe bytes.withUnsafeBufferPointer { bytes in
        unsafe bytes.withMemoryRebound(to: CChar.self) { unsafe fuse_reply_buf(request, $0.baseAddress, $0.count) }
    }
}
