internal import CFuse

extension fuse_lowlevel_ops {
    mutating func serveLookup() {
        unsafe lookup = { request, parent, name in
            let name = unsafe Name(name)
            unsafe answer(request, "lookup") { (fs, caller) throws(OperationFailure) in
                (try fs.lookup(name, in: inode(parent), for: caller), fs.missingNameLifetime)
            } reply: { (request, answer) in
                var parameter = answer.0?.asParameter ?? Entry.missing(for: answer.1)
                return unsafe fuse_reply_entry(request, &parameter)
            }
        }
        unsafe forget = { request, number, count in
            if let dispatcher = unsafe Dispatcher.serving(request) {
                dispatcher.filesystem.forget([Forgotten(inode: inode(number), count: count)])
            }
            unsafe fuse_reply_none(request)
        }
        unsafe forget_multi = { request, count, forgets in
            if let dispatcher = unsafe Dispatcher.serving(request) {
                dispatcher.filesystem.forget(
                    unsafe UnsafeBufferPointer(start: forgets, count: count).map {
                        Forgotten(inode: inode($0.ino), count: $0.nlookup)
                    }
                )
            }
            unsafe fuse_reply_none(request)
        }
    }
}
