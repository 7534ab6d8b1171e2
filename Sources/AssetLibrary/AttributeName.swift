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
    /// Any other name in `user.asset.`, with what follows that.
    case computed(String)
    /// `user.policy.`, with the rest of the name.
    case policy(String)
    /// `system.*`, and whatever else there may be.
    case unsupported

    init(_ name: [UInt8]) {
        func rest(_ prefix: String) -> String? {
            name.starts(with: prefix.utf8) ? String(decoding: name.dropFirst(prefix.utf8.count), as: UTF8.self) : nil
        }
        if let key = rest(Self.assetPrefix) {
            self = Field(rawValue: key).map(Self.field) ?? .computed(key)
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

    private static let assetPrefix = "user.asset."

    /// A field's name.
    static func bytes(of field: Field) -> [UInt8] { Array((assetPrefix + field.rawValue).utf8) }
}
