public import SystemPackage

/// Bytes for read(2).
public enum ReadReply: Sendable {
    /// These bytes.
    case bytes([UInt8])
    /// Up to `count` bytes of an open file from `offset`; `owner` keeps the descriptor open until the reply is sent.
    case file(FileDescriptor, owner: any Sendable & AnyObject, offset: Int64, count: Int)
}

/// What statfs(2) shows.
public struct FilesystemStatistics: Sendable {
    /// Bytes in a block.
    public var blockSize: UInt64
    /// Blocks in all.
    public var blocks: UInt64
    /// Free blocks.
    public var freeBlocks: UInt64
    /// Free blocks for people other than root.
    public var availableBlocks: UInt64
    /// Inodes in all.
    public var files: UInt64
    /// Free inodes.
    public var freeFiles: UInt64

    /// Describes a disk.
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
