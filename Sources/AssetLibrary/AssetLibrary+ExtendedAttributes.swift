public import AssetModel
internal import Catalog

// Extended attributes that people and programs set, kept byte for byte.
extension AssetLibrary {
    /// What setxattr(2) demands of the attribute's present.
    public enum Presence: Sendable {
        /// It may be there or not.
        case any
        /// It must not be there (XATTR_CREATE).
        case absent
        /// It must be there (XATTR_REPLACE).
        case present
    }

    /// Sets an extended attribute of up to 64 KiB.
    public func setExtendedAttribute(
        _ name: [UInt8],
        of id: NodeID,
        to value: [UInt8],
        _ presence: Presence = .any
    ) throws(LibraryError) {
        guard value.count <= 65_536 else { throw .valueTooLong(value.count) }
        try space.take(Int64(value.count))
        try write { records in
            let isThere = try records.extendedAttribute(name, of: id) != nil
            if isThere, presence == .absent { throw LibraryError.attributeExists }
            if !isThere, presence == .present { throw LibraryError.noSuchAttribute }
            guard try records.node(id) != nil else { throw LibraryError.notFound }
            try records.setExtendedAttribute(name, of: id, to: value)
            try records.addLinks(0, to: id, at: .now)
        }
    }

    /// Removes an extended attribute.
    public func removeExtendedAttribute(_ name: [UInt8], of id: NodeID) throws(LibraryError) {
        try write { records in
            guard try records.extendedAttribute(name, of: id) != nil else { throw LibraryError.noSuchAttribute }
            try records.deleteExtendedAttribute(name, of: id)
            try records.addLinks(0, to: id, at: .now)
        }
    }
}
