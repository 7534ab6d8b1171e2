internal import CFuse
internal import SystemPackage
internal import Glibc

extension fuse_lowlevel_ops {
    mutating func serveAttributes() {
        unsafe getattr = { request, number, _ in
            unsafe answer(request, "getattr") { (fs, caller) throws(OperationFailure) in
                try fs.getattr(inode(number), for: caller)
            } reply: {
                unsafe replyAttributes($0, $1)
            }
        }
        unsafe setattr = { request, number, attributes, toSet, information in
            var changes: AttributeChanges?
            if let attributes = unsafe attributes {
                changes = AttributeChanges(unsafe attributes.pointee, toSet: toSet)
            }
            let (wanted, file): (AttributeChanges?, UInt64?) = (changes, unsafe information?.pointee.fh)
            unsafe answer(request, "setattr") { (fs, caller) throws(OperationFailure) in
                guard let wanted else { throw OperationFailure(.invalidArgument) }
                guard let file else { return try fs.setattr(inode(number), wanted, handle: nil, for: caller) }
                return try fs.setattr(inode(number), wanted, handle: handle(file), for: caller)
            } reply: {
                unsafe replyAttributes($0, $1)
            }
        }
        unsafe readlink = { request, number in
            unsafe answer(request, "readlink") { (fs, caller) throws(OperationFailure) in
                try fs.readlink(inode(number), for: caller)
            } reply: { (request, target) in
                unsafe (target + [0]).withUnsafeBufferPointer { bytes in
                    unsafe bytes.withMemoryRebound(to: CChar.self) {
                        unsafe fuse_reply_readlink(request, $0.baseAddress)
                    }
                }
            }
        }
        unsafe statfs = { request, _ in
            unsafe answer(request, "statfs") { (fs, caller) throws(OperationFailure) in
                try fs.statfs(for: caller)
            } reply: { (request, statistics) in
                var result = statvfs()
                result.f_bsize = UInt(statistics.blockSize)
                result.f_frsize = UInt(statistics.blockSize)
                result.f_blocks = UInt(statistics.blocks)
                result.f_bfree = UInt(statistics.freeBlocks)
                result.f_bavail = UInt(statistics.availableBlocks)
                result.f_files = UInt(statistics.files)
                result.f_ffree = UInt(statistics.freeFiles)
                result.f_favail = UInt(statistics.freeFiles)
                result.f_namemax = 255
                return unsafe fuse_reply_statfs(request, &result)
            }
        }
    }
}
