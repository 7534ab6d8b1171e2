/// The number of a POSIX object: also its inode number and its primary key in the catalog.
///
/// A number is never reused.
public struct NodeID: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number.
    public let rawValue: Int64
    /// Wraps a number.
    public init(rawValue: Int64) { self.rawValue = rawValue }
    /// The number in decimal.
    public var description: String { String(rawValue) }
    /// The folder that contains all others, shown as `folders/`.
    public static let folders = NodeID(rawValue: 2)
    /// The folder of those files of assets that have no name in `folders/`: it has a folder for each asset,
    /// named by its number.
    public static let unfiled = NodeID(rawValue: 8)
    /// The folder of alternative files: it has a folder for each asset, named by its number.
    public static let alternatives = NodeID(rawValue: 9)
    /// The folder that contains all collections, shown as `collections/`.
    public static let collections = NodeID(rawValue: 10)
    /// The folders that are in no other.
    public static let roots: [NodeID] = [folders, unfiled, alternatives, collections]
    /// Lower numbers belong to the views; the catalog assigns none of them.
    public static let firstInCatalog: Int64 = 64
}

/// An asset's number, the products' resource id.
///
/// A number is never reused.
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
