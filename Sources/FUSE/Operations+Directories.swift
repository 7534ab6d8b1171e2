internal import CFuse

extension fuse_lowlevel_ops {
    mutating func serveDirectories() {
        unsafe opendir = { request, number, _ in
            unsafe answerInTime(
                request,
                "opendir",
                first: { $0.waitBeforeOpening(inode(number), for: $1) },
                isLong: true
            ) { (fs, caller) throws(OperationFailure) in
                try fs.opendir(inode(number), for: caller)
            } reply: {
                unsafe replyOpened($0, $1)
            }
        }
        unsafe readdir = { request, number, size, offset, information in
            let number = inode(number)
            let open = unsafe information?.pointee.fh ?? 0
            unsafe list(request, "readdir", size) { (fs, caller, buffer) throws(OperationFailure) in
                try fs.readdir(
                    number,
                    handle: handle(open),
                    from: Int64(offset),
                    into: &buffer,
                    for: caller
                )
            }
        }
        unsafe readdirplus = { request, number, size, offset, information in
            let number = inode(number)
            let open = unsafe information?.pointee.fh ?? 0
            unsafe list(request, "readdirplus", size) { (fs, caller, buffer) throws(OperationFailure) in
                try fs.readdirplus(
                    number,
                    handle: handle(open),
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
    unsafe answer(request, operation) { (fs, caller) throws(OperationFailure) in
        let page = unsafe DirectoryPage(request: request, capacity: size)
        try body(fs, caller, &page.buffer)
        return page
    } reply: { (request, page) in
        let bytes = unsafe page.buffer.bytes.assumingMemoryBound(to: CChar.self)
        return unsafe fuse_reply_buf(request, bytes.baseAddress, bytes.count)
    }
}

/// A buffer that is passed from the operation to its reply.
private final class DirectoryPage {
    var buffer: DirectoryBuffer

    init(request: fuse_req_t, capacity: Int) {
        unsafe buffer = DirectoryBuffer(request: request, capacity: capacity)
    }
}
