/// A POSIX object's number: also its inode number and its primary key in the catalog.
///
/// Never used twice.
public struct NodeID: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number.
    public let rawValue: Int64
    /// Wraps a number.
    public init(rawValue: Int64) { self.rawValue = rawValue }
    /// The number in decimal.
    public var description: String { String(rawValue) }
    /// The folder that all others are in, shown as `folders/`.
    public static let folders = NodeID(rawValue: 2)
    /// Where assets have their files that have no name in `folders/`: a folder for each asset, called by its number.
    public static let unfiled = NodeID(rawValue: 8)
    /// Where assets have their alternative files: a folder for each asset, called by its number.
    public static let alternatives = NodeID(rawValue: 9)
    /// The folder that all collections are in, shown as `collections/`.
    public static let collections = NodeID(rawValue: 10)
    /// The folders that are in no other.
    public static let roots: [NodeID] = [folders, unfiled, alternatives, collections]
    /// Numbers below this one belong to the views; the catalog gives out none of them.
    public static let firstInCatalog: Int64 = 64
}

/// An asset's number, the products' resource id.
///
/// Never used twice.
public struct AssetID: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number.
    public let rawValue: Int64
    /// Wraps a number.
    public init(rawValue: Int64) { self.rawValue = rawValue }
    /// The number in decimal.
    public var description: String { String(rawValue) }
}

/// A version's row in the catalog.
public struct VersionID: RawRepresentable, Hashable, Sendable {
    /// The number.
    public let rawValue: Int64
    /// Wraps a number.
    public init(rawValue: Int64) { self.rawValue = rawValue }
}

/// A blob's row in the catalog.
public struct BlobID: RawRepresentable, Hashable, Sendable {
    /// The number.
    public let rawValue: Int64
    /// Wraps a number.
    public init(rawValue: Int64) { self.rawValue = rawValue }
}
