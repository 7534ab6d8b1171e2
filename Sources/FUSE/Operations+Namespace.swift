internal import CFuse

extension fuse_lowlevel_ops {
    mutating func serveNamespace() {
        unsafe mknod = { request, parent, name, mode, device in
            unsafe answer(request, "mknod") { (fs, caller) throws(OperationFailure) in
                try unsafe fs.mknod(Name(name), in: inode(parent), mode: mode, device: UInt64(device), for: caller)
            } reply: {
                unsafe replyEntry($0, $1)
            }
        }
        unsafe mkdir = { request, parent, name, mode in
            unsafe answer(request, "mkdir") { (fs, caller) throws(OperationFailure) in
                try unsafe fs.mkdir(Name(name), in: inode(parent), mode: mode, for: caller)
            } reply: {
                unsafe replyEntry($0, $1)
            }
        }
        unsafe symlink = { request, target, parent, name in
            unsafe answer(request, "symlink") { (fs, caller) throws(OperationFailure) in
                try unsafe fs.symlink(Name(name), in: inode(parent), target: Name(target).bytes, for: caller)
            } reply: {
                unsafe replyEntry($0, $1)
            }
        }
        unsafe link = { request, number, parent, name in
            let name = unsafe Name(name)
            unsafe answer(request, "link") { (fs, caller) throws(OperationFailure) in
                try fs.link(inode(number), as: name, in: inode(parent), for: caller)
            } reply: {
                unsafe replyEntry($0, $1)
            }
        }
        unsafe unlink = { request, parent, name in
            let name = unsafe Name(name)
            unsafe answer(request, "unlink") { (fs, caller) throws(OperationFailure) in
                try fs.unlink(name, in: inode(parent), for: caller)
            } reply: {
                unsafe replyEmpty($0, $1)
            }
        }
        unsafe rmdir = { request, parent, name in
            unsafe answer(request, "rmdir") { (fs, caller) throws(OperationFailure) in
                try unsafe fs.rmdir(Name(name), in: inode(parent), for: caller)
            } reply: {
                unsafe replyEmpty($0, $1)
            }
        }
        unsafe rename = { request, parent, name, newParent, newName, flags in
            let (name, newName) = unsafe (Name(name), Name(newName))
            unsafe answer(request, "rename") { (fs, caller) throws(OperationFailure) in
                try fs.rename(name, in: inode(parent), to: newName, in: inode(newParent), flags: flags, for: caller)
            } reply: {
                unsafe replyEmpty($0, $1)
            }
        }
    }
}
