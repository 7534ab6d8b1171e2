public import AssetModel
public import Catalog
public import LibraryStorage

extension Uploader {
    /// Refuses changes of access level and expiry by users other than the owner and root: the right to write
    /// is not enough.
    public func refuseUnlessOwner(of node: NodeRecord, _ name: String) throws(LibraryError) {
        guard uid == 0 || uid == node.uid else {
            throw .notPermitted("\(name) is for the \(node.isFolder ? "folder" : "file")'s owner, and root, to say.")
        }
    }
}

extension Records {
    /// Returns the expiry that is kept for a file that is no asset yet.
    public func waitingExpiry(of id: NodeID) throws -> String? {
        try extendedAttribute(AttributeName.expires, of: id).map { String(decoding: $0, as: UTF8.self) }
    }
}
