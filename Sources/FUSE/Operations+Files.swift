internal import CFuse
internal import Glibc
internal import SystemPackage

extension fuse_lowlevel_ops {
    mutating func serveFiles() {
        unsafe create = { request, parent, name, mode, information in
            let (name, flags) = unsafe (Name(name), information?.pointee.flags ?? 0)
            unsafe answerInTime(request, "create") { (fs, caller) throws(OperationFailure) in
                try fs.create(name, in: inode(parent), mode: mode, flags: flags, for: caller)
            } reply: { (request, created) in
                unsafe handing(created.1.handle, to: request, ifNotTaken: { $0.release($1) }) { (number) in
                    var parameter = created.0.asParameter
                    var information = created.1.fileInformation(handle: number)
                    return unsafe fuse_reply_create(request, &parameter, &information)
                }
            }
        }
        unsafe open = { request, number, information in
            let flags = unsafe information?.pointee.flags ?? 0
            unsafe answerInTime(request, "open") { (fs, caller) throws(OperationFailure) in
                try fs.open(inode(number), flags: flags, for: caller)
            } reply: {
                unsafe replyOpened($0, $1)
            }
        }
        unsafe read = { request, _, size, offset, information in
            unsafe answer(request, "read") { (fs, caller) throws(OperationFailure) in
                try unsafe fs.read(handle(information), offset: Int64(offset), count: size, for: caller)
            } reply: { (request, reply) in
                switch reply {
                case .bytes(let bytes):
                    unsafe bytes.withUnsafeBufferPointer { bytes in
                        unsafe bytes.withMemoryRebound(to: CChar.self) {
                            unsafe fuse_reply_buf(request, $0.baseAddress, $0.count)
                        }
                    }
                case .file(let descriptor, let owner, let offset, let count):
                    withExtendedLifetime(owner) {
                        unsafe cfuse_reply_file(request, descriptor.rawValue, Int(offset), count)
                    }
                }
            }
        }
        unsafe write = { request, _, buffer, size, offset, information in
            unsafe answer(request, "write") { (fs, caller) throws(OperationFailure) in
                try unsafe fs.write(
                    handle(information),
                    offset: Int64(offset),
                    bytes: UnsafeRawBufferPointer(start: buffer, count: size),
                    isSynchronous: (information?.pointee.flags ?? 0) & O_DSYNC != 0,
                    for: caller
                )
            } reply: { (request, _) in
                unsafe fuse_reply_write(request, size)
            }
        }
        unsafe flush = { request, _, information in
            let number = unsafe information?.pointee.fh ?? 0
            let wait = waitBeforeFlushing(number)
            unsafe answerInTime(
                request,
                "flush",
                first: wait,
                isLong: true,
                endedBy: .killed
            ) { (fs, caller) throws(OperationFailure) in
                try fs.flush(handle(number), for: caller)
            } reply: {
                unsafe replyEmpty($0, $1)
            }
        }
        unsafe fsync = { request, _, _, information in
            let number = unsafe information?.pointee.fh ?? 0
            unsafe answer(request, "fsync") { (fs, caller) throws(OperationFailure) in
                try fs.fsync(handle(number), for: caller)
            } reply: {
                unsafe replyEmpty($0, $1)
            }
        }
        unsafe release = { request, _, information in
            unsafe answer(request, "release") { (fs, _) throws(OperationFailure) in
                let handle = try unsafe handle(information)
                fs.release(handle)
                handle.drop()
            } reply: {
                unsafe replyEmpty($0, $1)
            }
        }
        unsafe fallocate = { request, _, mode, offset, length, information in
            unsafe answer(request, "fallocate") { (fs, caller) throws(OperationFailure) in
                try unsafe fs.fallocate(
                    handle(information),
                    mode: mode,
                    offset: Int64(offset),
                    length: Int64(length),
                    for: caller
                )
            } reply: {
                unsafe replyEmpty($0, $1)
            }
        }
        unsafe copy_file_range = { request, _, start, source, _, offset, information, count, _ in
            unsafe answer(request, "copy_file_range") { (fs, caller) throws(OperationFailure) in
                try unsafe fs.copyFileRange(
                    from: handle(source),
                    offset: Int64(start),
                    to: handle(information),
                    offset: Int64(offset),
                    // The reply has 32 bits for the count.
                    count: min(count, 0xFFFF_F000),
                    for: caller
                )
            } reply: { (request, count) in
                unsafe fuse_reply_write(request, count)
            }
        }
        unsafe lseek = { request, _, offset, whence, information in
            unsafe answer(request, "lseek") { (fs, caller) throws(OperationFailure) in
                try unsafe fs.lseek(handle(information), offset: Int64(offset), whence: whence, for: caller)
            } reply: { (request, offset) in
                unsafe fuse_reply_lseek(request, Int(offset))
            }
        }
    }
}

/// Returns the condition that a flush of an open file waits for.
private func waitBeforeFlushing(_ number: UInt64) -> (any Filesystem, Caller) -> RequestWait? {
    { fs, caller in (try? handle(number)).flatMap { fs.waitBeforeFlushing($0, for: caller) } }
}
