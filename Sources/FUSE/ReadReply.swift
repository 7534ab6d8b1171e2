public import SystemPackage

/// The result of read(2).
public enum ReadReply: Sendable {
    /// These bytes.
    case bytes([UInt8])
    /// Up to `count` bytes of an open file from `offset`; `owner` keeps the descriptor open until the reply
    /// is sent.
    case file(FileDescriptor, owner: any Sendable & AnyObject, offset: Int64, count: Int)
}

/// The statistics of a filesystem for statfs(2).
public struct FilesystemStatistics: Sendable {
    /// The number of bytes in a block.
    public var blockSize: UInt64
    /// The total number of blocks.
    public var blocks: UInt64
    /// The number of free blocks.
    public var freeBlocks: UInt64
    /// The number of free blocks for users other than root.
    public var availableBlocks: UInt64
    /// The total number of inodes.
    public var files: UInt64
    /// The number of free inodes.
    public var freeFiles: UInt64

    /// Creates statistics.
    public init(
        blockSize: UInt64,
        blocks: UInt64,
        freeBlocks: UInt64,
        availableBlocks: UInt64,
        files: UInt64,
        freeFiles: UInt64
    ) {
        self.blockSize = blockSize
        self.blocks = blocks
        self.freeBlocks = freeBlocks
        self.availableBlocks = availableBlocks
        self.files = files
        self.freeFiles = freeFiles
    }
}
