internal import CFuse
internal import SystemPackage

extension fuse_lowlevel_ops {
    /// Serves chattr(1) and lsattr(1), which the kernel sends as ioctls of their own (fs/fuse/ioctl.c); any
    /// other is ENOTTY.
    mutating func serveFlags() {
        unsafe ioctl = { request, number, command, _, _, _, input, inputCount, outputCount in
            // A copy, because the buffer is libfuse's.
            let words = unsafe UnsafeRawBufferPointer(start: input, count: input == nil ? 0 : inputCount)
                .words()
            unsafe answer(request, "ioctl") { (fs, caller) throws(OperationFailure) in
                try reply(to: command, words, inode(number), fs, caller)
            } reply: { (request, answer) in
                unsafe answer.withUnsafeBytes { unsafe fuse_reply_ioctl(request, 0, $0.baseAddress, $0.count) }
            }
        }
    }
}

/// From the kernel's include/uapi/linux/fs.h.
private enum Command {
    static let getFlags: UInt32 = 0x8008_6601
    static let setFlags: UInt32 = 0x4008_6602
    static let getExtended: UInt32 = 0x801C_581F
    static let setExtended: UInt32 = 0x401C_5820
    /// The number of words in struct fsxattr: its flags, the unsupported members, and padding.
    static let extendedWords = 7
    /// Flags of FS_IOC_FSSETXATTR, and those of FS_IOC_SETFLAGS for them: immutable, append-only, no access
    /// times, no dump.
    static let extended: [(flag: UInt32, plain: UInt32)] = [(0x8, 0x10), (0x10, 0x20), (0x40, 0x80), (0x80, 0x40)]
}

/// Carries out an ioctl.
/// - Returns: the words of its answer.
private func reply(
    to command: UInt32,
    _ words: [UInt32],
    _ inode: InodeNumber,
    _ fs: any Filesystem,
    _ caller: Caller
) throws(OperationFailure) -> [UInt32] {
    switch command {
    case Command.getFlags: return [try fs.flags(of: inode, for: caller)]
    case Command.setFlags:
        guard let flags = words.first else { throw OperationFailure(.invalidArgument) }
        try fs.setFlags(of: inode, to: flags, for: caller)
        return []
    case Command.getExtended:
        let flags = try fs.flags(of: inode, for: caller)
        let extended = Command.extended.reduce(0) { $0 | (flags & $1.plain != 0 ? $1.flag : 0) }
        return [extended] + Array(repeating: 0, count: Command.extendedWords - 1)
    case Command.setExtended:
        guard words.count >= Command.extendedWords else { throw OperationFailure(.invalidArgument) }
        let known = Command.extended.reduce(0) { $0 | $1.flag }
        // Extent sizes and project numbers are not supported; the extent count cannot be set.
        guard words[0] & ~known == 0, words[1] == 0, words[3] == 0, words[4] == 0 else {
            throw OperationFailure(.notSupportedOnSocket)
        }
        try fs.setFlags(
            of: inode,
            to: Command.extended.reduce(0) { $0 | (words[0] & $1.flag != 0 ? $1.plain : 0) },
            for: caller
        )
        return []
    default: throw OperationFailure(.noTTY)
    }
}

extension UnsafeRawBufferPointer {
    /// Returns the bytes as whole numbers of 32 bits.
    fileprivate func words() -> [UInt32] {
        (0..<count / 4).map { unsafe loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self) }
    }
}

extension Errno {
    /// ENOTTY: inappropriate ioctl for the file.
    fileprivate static var noTTY: Errno { Errno(rawValue: 25) }
}
