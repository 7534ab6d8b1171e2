internal import CFuse

extension fuse_lowlevel_ops {
    mutating func serveDirectories() {
        unsafe opendir = { request, number, _ in
            unsafe answer(request, "opendir") { (fs, caller) throws(OperationFailure) in
                try fs.opendir(inode(number), for: caller)
            } reply: {
                unsafe replyOpened($0, $1)
            }
        }
        unsafe readdir = { request, number, size, offset, information in
            unsafe list(request, "readdir", size) { (fs, caller, buffer) throws(OperationFailure) in
                try unsafe fs.readdir(
                    inode(number),
                    handle: handle(information),
                    from: Int64(offset),
                    into: &buffer,
                    for: caller
                )
            }
        }
        unsafe readdirplus = { request, number, size, offset, information in
            unsafe list(request, "readdirplus", size) { (fs, caller, buffer) throws(OperationFailure) in
                try unsafe fs.readdirplus(
                    inode(number),
                    handle: handle(information),
                    from: Int64(offset),
                    into: &buffer,
                    for: caller
                )
            }
        }
        unsafe fsyncdir = { request, number, _, _ in
            unsafe answer(request, "fsyncdir") { (fs, caller) throws(OperationFailure) in
                try fs.fsyncdir(inode(number), for: caller)
            } reply: {
                unsafe replyEmpty($0, $1)
            }
        }
        unsafe releasedir = { request, _, information in
            unsafe answer(request, "releasedir") { (fs, _) throws(OperationFailure) in
                let handle = try unsafe handle(information)
                fs.releasedir(handle)
                handle.drop()
            } reply: {
                unsafe replyEmpty($0, $1)
            }
        }
    }
}

private func list(
    _ request: fuse_req_t?,
    _ operation: StaticString,
    _ size: Int,
    _ body: (any Filesystem, Caller, inout DirectoryBuffer) throws(OperationFailure) -> Void
) {
    guard let request = unsafe request else { return }
    var buffer = unsafe DirectoryBuffer(request: request, capacity: size)
    unsafe answer(request, operation) { (fs, caller) throws(OperationFailure) in
        try body(fs, caller, &buffer)
    } reply: { (request, _) in
        unsafe fuse_reply_buf(request, buffer.bytes.assumingMemoryBound(to: CChar.self).baseAddress, buffer.count)
    }
}
