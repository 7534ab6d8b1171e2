/// The access level of an asset: HubSpot's values.
public enum Access: Int64, CaseIterable, Sendable {
    /// All users, and search engines.
    case publicIndexable = 1
    /// All users that know the asset's address.
    case publicNotIndexable
    /// The asset's owner.
    case `private`
    /// As `publicIndexable`, and not listed.
    case hiddenIndexable
    /// As `publicNotIndexable`, and not listed.
    case hiddenNotIndexable
    /// As `private`, and not listed.
    case hiddenPrivate
    /// As `sensitive`, and not listed.
    case hiddenSensitive
    /// The asset's owner; the asset contains personal data.
    case sensitive

    /// HubSpot's name of the level.
    public var name: String {
        switch self {
        case .publicIndexable: "PUBLIC_INDEXABLE"
        case .publicNotIndexable: "PUBLIC_NOT_INDEXABLE"
        case .private: "PRIVATE"
        case .hiddenIndexable: "HIDDEN_INDEXABLE"
        case .hiddenNotIndexable: "HIDDEN_NOT_INDEXABLE"
        case .hiddenPrivate: "HIDDEN_PRIVATE"
        case .hiddenSensitive: "HIDDEN_SENSITIVE"
        case .sensitive: "SENSITIVE"
        }
    }

    /// OpenAsset's access level, 1 to 3, which does not distinguish hidden and sensitive assets.
    public var level: Int {
        switch self {
        case .publicIndexable, .hiddenIndexable: 1
        case .publicNotIndexable, .hiddenNotIndexable: 2
        case .private, .hiddenPrivate, .hiddenSensitive, .sensitive: 3
        }
    }

    /// Reads HubSpot's name or OpenAsset's level.
    public init?(_ text: String) {
        if let level = Int64(text), (1...3).contains(level), text.utf8.count == 1 {
            self.init(rawValue: level)
        } else if let access = Access.allCases.first(where: { $0.name == text }) {
            self = access
        } else {
            return nil
        }
    }

    /// All accepted values, for a message.
    public static let choices = (allCases.map(\.name) + ["1", "2", "3"]).joined(separator: ", ")

    /// Whether group and others have no rights, regardless of the mode.
    public var isPrivate: Bool { level == 3 }

    /// Whether the level closes a file, or leaves it out of listings.
    public var isClosing: Bool { isPrivate || isHidden }

    /// Returns the level that closes and hides wherever one of two levels does.
    public func closed(with other: Access?) -> Access {
        let both = [self, other ?? self]
        let hides = both.contains(where: \.isHidden)
        if both.contains(where: { $0 == .sensitive || $0 == .hiddenSensitive }) {
            return hides ? .hiddenSensitive : .sensitive
        }
        if both.contains(where: \.isPrivate) { return hides ? .hiddenPrivate : .private }
        if both.contains(where: { $0.level == 2 }) { return hides ? .hiddenNotIndexable : .publicNotIndexable }
        return hides ? .hiddenIndexable : .publicIndexable
    }

    /// Whether the level leaves a file out of listings.
    public var isHidden: Bool {
        switch self {
        case .hiddenIndexable, .hiddenNotIndexable, .hiddenPrivate, .hiddenSensitive: true
        case .publicIndexable, .publicNotIndexable, .private, .sensitive: false
        }
    }
}
