internal import AssetModel

/// Whose an extended attribute is.
enum AttributeName {
    /// The caller's: kept byte for byte. `user.*` for everybody, `trusted.*` and `security.*` as the kernel lets root.
    case free
    /// A POSIX access control list of a file or folder.
    case accessList
    /// The access control list that a folder hands down.
    case defaultList
    /// A field of the asset, by its own name or by one that desktops use.
    case field(Field)
    /// The rank, where it is one that desktops show.
    case rating
    /// What a program says the type is; where none does, what it is.
    case mediaType
    /// What has the asset worked on.
    case action(Action)
    /// A switch of the asset.
    case flag(AssetFlag)
    /// Who may see the asset, or how long it lives.
    case life(Life)
    /// Where the asset's contents are to be.
    case alternateStore
    /// Any other name in `user.asset.`, with what follows that.
    case computed(String)
    /// `user.policy.`, with the rest of the name.
    case policy(String)
    /// A namespace alone, such as `user.`, which no attribute is called.
    case nameless
    /// `system.*`, and whatever else there may be.
    case unsupported

    /// What is said of an asset with 0 or 1, and is not listed: a copy begins anew.
    enum AssetFlag: String {
        /// Whether it stays, or goes after 24 hours.
        case stored
        /// Whether its embedded metadata is left alone.
        case noEXIF = "no_exif"
    }

    /// What holds until somebody says otherwise; but for `ttl`, which begins anew with a copy, it is listed.
    enum Life: String {
        /// HubSpot's word for who may see it.
        case access
        /// OpenAsset's number for the same.
        case accessLevel = "access_level"
        /// How long from now.
        case ttl
        /// Until when.
        case expires

        /// Whether it says who may see the asset.
        var isAccess: Bool { self == .access || self == .accessLevel }
    }

    /// What setting an attribute does, which has no value to be read.
    enum Action: String {
        /// Turns the picture clockwise.
        case rotate = "rotate_degrees"
        /// Goes back to what the file says itself.
        case reprocess
        /// Has a URL fetched into the folder.
        case fetch
        /// Has all contents compared with their SHA-256.
        case scrub
        /// Has the library checked.
        case verify
        /// Ends all signed paths.
        case revokeSigned = "revoke_signed"
    }

    /// Names that desktops, browsers and KDE's Baloo give to fields: freedesktop.org's CommonExtendedAttributes.
    private static let aliases: [String: AttributeName] = [
        "user.xdg.comment": .field(.caption), "user.xdg.tags": .field(.keywords),
        "user.xdg.origin.url": .field(.sourceURL), "user.xdg.language": .field(.language),
        "user.dublincore.title": .field(.title), "user.dublincore.creator": .field(.photographer),
        "user.dublincore.rights": .field(.copyrightNotice), "user.dublincore.description": .field(.description),
        "user.dublincore.subject": .field(.keywords), "user.dublincore.date": .field(.capturedAt),
        "user.charset": .field(.charset), "user.baloo.rating": .rating, "user.mime_type": .mediaType,
    ]

    init(_ name: [UInt8]) {
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

    /// Where a folder has the reason for which the last upload into it was refused.
    static let error = Array("user.asset.error".utf8)

    /// Where a folder has the reason for a user; root's is the last of anybody's.
    static func error(of uid: UInt32) -> [UInt8] { uid == 0 ? error : error + Array(".\(uid)".utf8) }

    /// Whether an attribute is such a reason.
    static func isError(_ name: [UInt8]) -> Bool { name == error || name.starts(with: error + [0x2E]) }

    /// Who may see a file.
    static let access = Array("user.asset.access".utf8)

    /// When a file goes; also kept under this name while it is no asset.
    static let expires = Array("user.asset.expires".utf8)

    /// In which store an asset's contents are to be, by OpenAsset's name; also kept under this name while it is none.
    static let store = Array("user.asset.alternate_store_id".utf8)

    private static let assetPrefix = "user.asset."

    /// A field's name.
    static func bytes(of field: Field) -> [UInt8] { Array((assetPrefix + field.name).utf8) }

    /// The field that is meant, under whichever name.
    var field: Field? {
        switch self {
        case .field(let field): field
        case .rating: .rank
        default: nil
        }
    }

    /// The field for which a name is a desktop's; nil where it is the field's own name, or none of a field.
    static func desktopField(_ name: [UInt8]) -> Field? {
        AttributeName(name).field.flatMap { name == bytes(of: $0) ? nil : $0 }
    }

    /// A name of a field as text; nil where it is the field's own.
    static func alias(_ name: [UInt8], of field: Field) -> String? {
        name == bytes(of: field) ? nil : String(decoding: name, as: UTF8.self)
    }

    /// All names of a field, its own first.
    static func names(of field: Field) -> [[UInt8]] { [bytes(of: field)] + (aliasesByField[field] ?? []) }

    private static let aliasesByField = Dictionary(
        grouping: aliases.compactMap { name, attribute in attribute.field.map { (field: $0, name: Array(name.utf8)) } },
        by: \.field
    ).mapValues { $0.map(\.name) }
}
