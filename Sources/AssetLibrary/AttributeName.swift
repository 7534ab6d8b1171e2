internal import AssetModel

/// Whose an extended attribute is.
enum AttributeName {
    /// The caller's: kept byte for byte. `user.*` for everybody, `trusted.*` and `security.*` as the kernel lets root.
    case free
    /// A POSIX access control list of a file or folder.
    case accessList
    /// The access control list that a folder hands down.
    case defaultList
    /// A field of the asset.
    case field(Field)
    /// A switch of the asset.
    case flag(AssetFlag)
    /// Any other name in `user.asset.`, with what follows that.
    case computed(String)
    /// `user.policy.`, with the rest of the name.
    case policy(String)
    /// `system.*`, and whatever else there may be.
    case unsupported

    /// What is said of an asset with 0 or 1, and is not listed: a copy begins anew.
    enum AssetFlag: String {
        /// Whether it stays, or goes after 24 hours.
        case stored
        /// Whether its embedded metadata is left alone.
        case noEXIF = "no_exif"
    }

    init(_ name: [UInt8]) {
        func rest(_ prefix: String) -> String? {
            name.starts(with: prefix.utf8) ? String(decoding: name.dropFirst(prefix.utf8.count), as: UTF8.self) : nil
        }
        if let key = rest(Self.assetPrefix) {
            self = Field(rawValue: key).map(Self.field) ?? AssetFlag(rawValue: key).map(Self.flag) ?? .computed(key)
        } else if let key = rest("user.policy.") {
            self = .policy(key)
        } else if rest("user.") != nil || rest("trusted.") != nil || rest("security.") != nil {
            self = .free
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

    private static let assetPrefix = "user.asset."

    /// A field's name.
    static func bytes(of field: Field) -> [UInt8] { Array((assetPrefix + field.rawValue).utf8) }
}
