internal import CFuse
internal import SystemPackage

extension fuse_lowlevel_ops {
    mutating func serveExtendedAttributes() {
        unsafe setxattr = { request, number, name, value, size, flags in
            // As below.
            nonisolated(unsafe) let request = unsafe request
            let name = unsafe Name(name)
            let bytes = unsafe Array(UnsafeRawBufferPointer(start: value, count: size))
            let work: @Sendable () -> Void = {
                unsafe answer(request, "setxattr") { (fs, caller) throws(OperationFailure) in
                    try fs.setxattr(inode(number), name: name, value: bytes, flags: flags, for: caller)
                } reply: {
                    unsafe replyEmpty($0, $1)
                }
            }
            if unsafe Dispatcher.serving(request)?.filesystem.setsLater(name, work) != true { work() }
        }
        unsafe getxattr = { request, number, name, size in
            // No other thread touches the request before this one has let go of it.
            nonisolated(unsafe) let request = unsafe request
            let name = unsafe Name(name)
            let reply: @Sendable () -> Void = {
                unsafe answer(request, "getxattr") { (fs, caller) throws(OperationFailure) in
                    try fitting(try fs.getxattr(inode(number), name: name, for: caller), size)
                } reply: {
                    unsafe replySized($0, $1, size)
                }
            }
            // This thread serves others while somebody waits.
            let filesystem = unsafe Dispatcher.serving(request)?.filesystem
            if filesystem?.awaitAttribute(name, of: inode(number), isReady: reply) != true { reply() }
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

/// > If size is specified as zero, these calls return the current size of the named extended attribute — getxattr(2)
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
