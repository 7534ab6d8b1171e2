public import AssetModel

/// The name of an extended attribute, by the part of assetfs that it belongs to.
public enum AttributeName: Sendable {
    /// An attribute of the caller, kept byte for byte: `user.*` for all users, `trusted.*` and `security.*`
    /// as the kernel permits them to root.
    case free
    /// A POSIX access control list of a file or folder.
    case accessList
    /// The access control list that a folder hands down.
    case defaultList
    /// A field of the asset, by its own name or by one that desktops use.
    case field(Field)
    /// The rank, where it is one that desktops show.
    case rating
    /// The media type: the one that a program has set, or else the one that was detected.
    case mediaType
    /// An action on the asset.
    case action(Action)
    /// A switch of the asset.
    case flag(AssetFlag)
    /// The access level or the expiry of the asset.
    case life(Life)
    /// The store for the asset's blobs.
    case alternateStore
    /// Any other name in `user.asset.`, with the part after that.
    case computed(String)
    /// `user.policy.`, with the rest of the name.
    case policy(String)
    /// A namespace alone, such as `user.`, which is no attribute's name.
    case nameless
    /// `system.*`, and all other names.
    case unsupported

    /// A flag of an asset, 0 or 1, which is not listed: a copy begins with the defaults.
    public enum AssetFlag: String, Sendable {
        /// Whether the asset stays, or expires after 24 hours.
        case stored
        /// Whether the asset's embedded metadata is ignored.
        case noEXIF = "no_exif"
    }

    /// An attribute of access or expiry.
    ///
    /// It holds until a user changes it, and is listed; except `ttl`, which begins anew with a copy.
    public enum Life: String, Sendable {
        /// The access level, by HubSpot's name.
        case access
        /// The access level as OpenAsset's number.
        case accessLevel = "access_level"
        /// The period from now to the expiry.
        case ttl
        /// The time of the expiry.
        case expires

        /// Whether it is the access level.
        public var isAccess: Bool { self == .access || self == .accessLevel }
    }

    /// An action that setting an attribute performs; such an attribute has no value to be read.
    public enum Action: String, Sendable {
        /// Rotates the picture clockwise.
        case rotate = "rotate_degrees"
        /// Resets the fields to the file's embedded metadata.
        case reprocess
        /// Fetches a URL into the folder.
        case fetch
        /// Compares all blobs with their SHA-256.
        case scrub
        /// Checks the library.
        case verify
        /// Invalidates all signed paths.
        case revokeSigned = "revoke_signed"
    }

    /// Names of fields used by desktops, browsers and KDE's Baloo: freedesktop.org's
    /// CommonExtendedAttributes.
    private static let aliases: [String: AttributeName] = [
        "user.xdg.comment": .field(.caption), "user.xdg.tags": .field(.keywords),
        "user.xdg.origin.url": .field(.sourceURL), "user.xdg.language": .field(.language),
        "user.dublincore.title": .field(.title), "user.dublincore.creator": .field(.photographer),
        "user.dublincore.rights": .field(.copyrightNotice), "user.dublincore.description": .field(.description),
        "user.dublincore.subject": .field(.keywords), "user.dublincore.date": .field(.capturedAt),
        "user.charset": .field(.charset), "user.baloo.rating": .rating, "user.mime_type": .mediaType,
    ]

    /// Parses the bytes of a name.
    public init(_ name: [UInt8]) {
        func rest(_ prefix: String) -> String? {
            name.starts(with: prefix.utf8) ? String(decoding: name.dropFirst(prefix.utf8.count), as: UTF8.self) : nil
        }
        if let key = rest(Self.assetPrefix) {
            self =
                Field(key).map(Self.field) ?? AssetFlag(rawValue: key).map(Self.flag)
                ?? Action(rawValue: key).map(Self.action) ?? Life(rawValue: key).map(Self.life)
                ?? (name == Self.store ? .alternateStore : .computed(key))
        } else if let key = rest("user.policy.") {
            self = .policy(key)
        } else if let alias = Self.aliases[String(decoding: name, as: UTF8.self)] {
            self = alias
        } else if let key = rest("user.") ?? rest("trusted.") ?? rest("security.") {
            self = key.isEmpty ? .nameless : .free
        } else if rest(KernelAttributes.accessList) == "" {
            self = .accessList
        } else if rest(KernelAttributes.defaultList) == "" {
            self = .defaultList
        } else {
            self = .unsupported
        }
    }

    /// The attribute of a folder with the reason for the refusal of the last upload into it.
    public static let error = Array("user.asset.error".utf8)

    /// Returns the attribute of a folder with the reason for a user; root's has the last refusal of any user.
    public static func error(of uid: UInt32) -> [UInt8] { uid == 0 ? error : error + Array(".\(uid)".utf8) }

    /// Whether an attribute has such a reason.
    public static func isError(_ name: [UInt8]) -> Bool { name == error || name.starts(with: error + [0x2E]) }

    /// The access level of a file.
    public static let access = Array("user.asset.access".utf8)

    /// The expiry of a file; also kept under this name while the file shows no asset.
    public static let expires = Array("user.asset.expires".utf8)

    /// The store for an asset's blobs, by OpenAsset's name; also kept under this name while the file shows no
    /// asset.
    public static let store = Array("user.asset.alternate_store_id".utf8)

    private static let assetPrefix = "user.asset."

    /// Returns a field's name.
    public static func bytes(of field: Field) -> [UInt8] { Array((assetPrefix + field.name).utf8) }

    /// The field that the attribute belongs to, under any of its names.
    public var field: Field? {
        switch self {
        case .field(let field): field
        case .rating: .rank
        default: nil
        }
    }

    /// Returns the field that a desktop's name stands for; nil for the field's own name, and names of no
    /// field.
    public static func desktopField(_ name: [UInt8]) -> Field? {
        AttributeName(name).field.flatMap { name == bytes(of: $0) ? nil : $0 }
    }

    /// Returns a name of a field as text; nil where it is the field's own.
    public static func alias(_ name: [UInt8], of field: Field) -> String? {
        name == bytes(of: field) ? nil : String(decoding: name, as: UTF8.self)
    }

    /// Returns all names of a field, its own first.
    public static func names(of field: Field) -> [[UInt8]] { [bytes(of: field)] + (aliasesByField[field] ?? []) }

    private static let aliasesByField = Dictionary(
        grouping: aliases.compactMap { name, attribute in attribute.field.map { (field: $0, name: Array(name.utf8)) } },
        by: \.field
    ).mapValues { $0.map(\.name) }
}
