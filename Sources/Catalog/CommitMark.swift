internal import CWriteAheadLog

/// Where a catalog's log has the end of a transaction, by which another log can be told from it.
public struct CommitMark: Equatable, Sendable {
    /// Bytes before the frame's header.
    public let offset: Int64
    /// The frame's header, with a checksum of the log up to there: 24 bytes.
    public let header: [UInt8]

    /// How many bytes a header has.
    public static let headerSize = Int(WAL_FRAME_HEADER)

    /// Makes a mark of its offset and header; nil where the offset is negative, and where the header has another size.
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
