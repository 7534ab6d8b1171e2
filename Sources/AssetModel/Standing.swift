/// The readers of a version at one moment, by the rights to its file and to the folders on the paths to each
/// of the file's names.
public struct Standing: Sendable, Equatable {
    /// The right to a file or folder on a path that a user needed.
    public struct Condition: Sendable, Equatable {
        let right: UInt32
        let rights: FileRights

        /// Creates a condition; `right` is 4 to read, 1 to pass through.
        public init(right: UInt32, of rights: FileRights) { (self.right, self.rights) = (right, rights) }

        /// A condition that only root meets.
        public static let nobody = Condition(right: 4, of: FileRights(uid: 0, gid: 0, mode: 0, list: nil))
    }

    /// Rights of the file.
    public let file: FileRights
    /// The conditions of the path to each name, first to the version's own; empty if that path was open to
    /// all users.
    public let ways: [[Condition]]

    /// The maximum number of recorded paths: users that could read by another path alone count as having had
    /// no access.
    private static let wayLimit = 16

    /// Creates a standing.
    public init(file: FileRights, ways: [[Condition]]) {
        self.file = file
        self.ways = ways.first?.isEmpty ?? true ? [] : Array(ways.prefix(Self.wayLimit))
    }

    /// A standing by which root alone could read, used for an unreadable record.
    static let closed = Standing(file: Condition.nobody.rights, ways: [])

    /// Returns whether a user could read the version.
    public func allows(_ user: UInt32, isMember: (_ group: UInt32) -> Bool) -> Bool {
        guard file.permissions(of: user, isMember: isMember) & 4 != 0 else { return false }
        return isOpen(to: user) || ways.contains { Self.isPassable($0, user, isMember) }
    }

    /// Returns whether a user could reach the name that the version had.
    public func showsName(to user: UInt32, isMember: (_ group: UInt32) -> Bool) -> Bool {
        isOpen(to: user) || ways.first.map { Self.isPassable($0, user, isMember) } ?? true
    }

    /// Returns whether a user needs no path: the file's owner, root, and every user if the path was open to
    /// all.
    private func isOpen(to user: UInt32) -> Bool { user == 0 || user == file.uid || ways.isEmpty }

    private static func isPassable(_ way: [Condition], _ user: UInt32, _ isMember: (UInt32) -> Bool) -> Bool {
        way.allSatisfy { $0.rights.permissions(of: user, isMember: isMember) & $0.right != 0 }
    }
}

// The recorded form: one standing after the other, each after its length, so that more can be appended.
extension Standing {
    /// The recorded form of one standing.
    public var bytes: [UInt8] {
        var body = file.bytes.counted + UInt32(ways.count).littleEndianBytes
        for way in ways {
            body += UInt32(way.count).littleEndianBytes
            for condition in way { body += condition.right.littleEndianBytes + condition.rights.bytes.counted }
        }
        return body.counted
    }

    /// Reads all standings that were recorded one after the other; invalid bytes make the version readable by
    /// root alone.
    public static func all(in bytes: [UInt8]) -> [Standing] {
        var reader = Reader(bytes: bytes[...])
        var found: [Standing] = []
        while !reader.bytes.isEmpty {
            guard let body = reader.part(), let standing = Standing(body) else { return found + [.closed] }
            found.append(standing)
        }
        return found
    }

    private init?(_ body: [UInt8]) {
        var reader = Reader(bytes: body[...])
        guard let file = reader.rights(), let count = reader.number(), count <= Self.wayLimit else { return nil }
        var ways: [[Condition]] = []
        for _ in 0..<count {
            guard let conditions = reader.number() else { return nil }
            var way: [Condition] = []
            for _ in 0..<conditions {
                guard let right = reader.number(), let rights = reader.rights() else { return nil }
                way.append(Condition(right: right, of: rights))
            }
            ways.append(way)
        }
        self.init(file: file, ways: ways)
    }

    private struct Reader {
        var bytes: ArraySlice<UInt8>

        mutating func number() -> UInt32? {
            guard bytes.count >= 4 else { return nil }
            defer { bytes = bytes.dropFirst(4) }
            return Array(bytes.prefix(4)).number(at: 0, count: 4)
        }

        mutating func part() -> [UInt8]? {
            guard let count = number(), count <= bytes.count else { return nil }
            defer { bytes = bytes.dropFirst(Int(count)) }
            return Array(bytes.prefix(Int(count)))
        }

        mutating func rights() -> FileRights? { part().flatMap(FileRights.init) }
    }
}

extension [UInt8] {
    /// The bytes after their count.
    fileprivate var counted: [UInt8] { UInt32(count).littleEndianBytes + self }
}
