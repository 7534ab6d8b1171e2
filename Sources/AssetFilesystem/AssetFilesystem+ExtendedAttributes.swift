internal import AssetLibrary
internal import AssetModel
internal import Catalog
public import FUSE
internal import SystemPackage

extension AssetFilesystem {
    /// Sets an extended attribute.
    public func setxattr(
        _ inode: InodeNumber,
        name: Name,
        value: [UInt8],
        flags: Int32,
        for caller: Caller
    ) throws(OperationFailure) {
        let id = try place(inode)
        switch AttributeNamespace(name.bytes) {
        case .free: break
        case .asset, .policy: throw OperationFailure(.invalidArgument, cause: "There is no such key: \(name).")
        case .unsupported: throw OperationFailure(LibraryError.unsupportedAttribute("\(name)"))
        }
        let presence: AssetLibrary.Presence =
            switch flags {
            case 1: .absent  // XATTR_CREATE
            case 2: .present  // XATTR_REPLACE
            default: .any
            }
        try refusing { () throws(LibraryError) in
            try library.setExtendedAttribute(name.bytes, of: id, to: value, presence)
        }
    }

    /// Reads an extended attribute.
    ///
    /// What the kernel asks for again and again is answered without the catalog.
    public func getxattr(_ inode: InodeNumber, name: Name, for caller: Caller) throws(OperationFailure) -> [UInt8] {
        let id = node(inode)
        guard View(id) == nil else { throw OperationFailure(LibraryError.noSuchAttribute) }
        switch AttributeNamespace(name.bytes) {
        case .unsupported: throw OperationFailure(LibraryError.unsupportedAttribute("\(name)"))
        case .policy: throw OperationFailure(LibraryError.noSuchAttribute)
        case .asset(let key):
            guard let value = try refusing({ () throws(LibraryError) in try library.computed(key, of: id) }) else {
                throw OperationFailure(LibraryError.noSuchAttribute)
            }
            return Array(value.utf8)
        case .free:
            guard let value = try reading({ try $0.extendedAttribute(name.bytes, of: id) }) else {
                throw OperationFailure(LibraryError.noSuchAttribute)
            }
            return value
        }
    }

    /// Names of what was set.
    ///
    /// What is computed is not among them: copying tools would try to set it.
    public func listxattr(_ inode: InodeNumber, for caller: Caller) throws(OperationFailure) -> [[UInt8]] {
        let id = node(inode)
        guard View(id) == nil else { return [] }
        let names = try reading { try $0.extendedAttributeNames(of: id) }
        // > attributes in the trusted namespace are visible only to processes with CAP_SYS_ADMIN — xattr(7)
        return caller.uid == 0 ? names : names.filter { !$0.starts(with: Array("trusted.".utf8)) }
    }

    /// Removes an extended attribute.
    public func removexattr(_ inode: InodeNumber, name: Name, for caller: Caller) throws(OperationFailure) {
        let id = try place(inode)
        switch AttributeNamespace(name.bytes) {
        case .free: break
        case .asset, .policy: throw OperationFailure(LibraryError.noSuchAttribute)
        case .unsupported: throw OperationFailure(LibraryError.unsupportedAttribute("\(name)"))
        }
        try refusing { () throws(LibraryError) in try library.removeExtendedAttribute(name.bytes, of: id) }
    }

    private func place(_ inode: InodeNumber) throws(OperationFailure) -> NodeID {
        let id = node(inode)
        guard View(id) == nil else { throw OperationFailure(LibraryError.readOnly) }
        return id
    }
}

/// Whose an extended attribute is.
enum AttributeNamespace {
    /// The caller's: kept byte for byte. `user.*` for everybody, `trusted.*` and `security.*` as the kernel lets root.
    case free
    /// `user.asset.`, with the rest of the name.
    case asset(String)
    /// `user.policy.`, with the rest of the name.
    case policy(String)
    /// `system.*`, POSIX ACLs among it, and whatever else there may be.
    case unsupported

    init(_ name: [UInt8]) {
        func rest(_ prefix: String) -> String? {
            name.starts(with: Array(prefix.utf8))
                ? String(decoding: name.dropFirst(prefix.utf8.count), as: UTF8.self) : nil
        }
        if let key = rest("user.asset.") {
            self = .asset(key)
        } else if let key = rest("user.policy.") {
            self = .policy(key)
        } else if rest("user.") != nil || rest("trusted.") != nil || rest("security.") != nil {
            self = .free
        } else {
            self = .unsupported
        }
    }
}
