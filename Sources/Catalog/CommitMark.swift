internal import CWriteAheadLog

/// The position of a transaction's end in a catalog's log, which distinguishes that log from any other.
public struct CommitMark: Equatable, Sendable {
    /// The number of bytes before the frame's header.
    public let offset: Int64
    /// The frame's header, with a checksum of the log up to there: 24 bytes.
    public let header: [UInt8]

    /// The number of bytes of a header.
    public static let headerSize = Int(WAL_FRAME_HEADER)

    /// Creates a mark from its offset and header; nil if the offset is negative or the header has another
    /// size.
    public init?(offset: Int64, header: [UInt8]) {
        guard offset >= 0, header.count == Self.headerSize else { return nil }
        (self.offset, self.header) = (offset, header)
    }

    /// Reads the mark of a connection's last transaction.
    init?(_ connection: UnsafeMutableRawPointer?) {
        var header = [UInt8](repeating: 0, count: Self.headerSize)
        let offset = unsafe wal_commit(connection, &header)
        self.init(offset: offset, header: header)
    }
}
