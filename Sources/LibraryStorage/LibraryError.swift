public import AssetModel
public import BlobStore
public import Catalog
public import SystemPackage

/// The reasons for which a library refuses an operation: one case for each that a caller can tell apart.
public enum LibraryError: Error, CustomStringConvertible, Sendable {
    /// There is no node of that name, or the node is gone.
    case notFound
    /// The name is taken.
    case nameTaken(EntryName)
    /// A node that is no folder was used as one.
    case notAFolder
    /// A folder was used as another kind of node.
    case isAFolder
    /// A folder still has entries.
    case folderNotEmpty(EntryName)
    /// A folder would be moved into itself.
    case intoItself
    /// A name has more than 255 bytes; the number of bytes.
    case nameTooLong(Int)
    /// Bytes that are not a valid name, or an invalid value.
    case invalid(String)
    /// The operation does not apply to this kind of node, or at this place.
    case notPermitted(String)
    /// The answer depends on the bytes of a file that the caller may not read.
    case unreadable(String)
    /// The place belongs to a view that cannot be written to.
    case readOnly
    /// Another file has the name of this one now.
    case replaced
    /// There is no extended attribute of that name.
    case noSuchAttribute
    /// There is an extended attribute of that name already.
    case attributeExists
    /// A value, or all of them together, exceed a limit.
    case tooLong(String)
    /// The operation is not possible on this file.
    case unsupported(String)
    /// Another operation on the file is under way.
    case busy(String)
    /// A commit that is needed takes long, and the request may not wait for it: the caller can try again
    /// later. Nothing has changed.
    case occupied(String)
    /// The path of a folder would be too long, or go through too many folders.
    case pathTooLong(String)
    /// A commit that is needed reads for long: the operation has to be tried again when the commit is done.
    /// Nothing has changed.
    case pending(PendingCommit)
    /// The mount ends, or the caller was interrupted, before a commit that is needed.
    case interrupted
    /// A number beyond the existing range.
    case outOfRange(String)
    /// Extended attributes of that namespace are not supported.
    case unsupportedAttribute(String)
    /// The disk is full, or nearly so: the rest is reserved for the catalog.
    case noSpace(String)
    /// A signed path has no signature.
    case unsigned
    /// The signature of a signed path is not, or no longer, the library's, or its signer no longer owns the
    /// file.
    case forged
    /// A signed path has expired, and the time at which it did.
    case ended(Timestamp)
    /// A URL that may not be fetched.
    case fetch(FetchProblem)
    /// A policy rejects an upload.
    case refused(UploadRejection)
    /// Uploads that were open at the end of the mount could not be committed; how many, and why.
    case unfinished(Int, String)
    /// Bytes could not be stored or read.
    case blobs(BlobStoreError)
    /// The catalog could not be read or written.
    case catalog(CatalogError)

    /// Converts an error of any layer below; SQLite's own errors become the catalog's.
    public init(_ error: any Error) {
        switch error {
        case let error as LibraryError: self = error
        case let refusal as UploadRejection: self = .refused(refusal)
        case BlobStoreError.io(.interrupted, _): self = .interrupted
        case BlobStoreError.noSpace(let operation): self = .noSpace("The library's disk is full (\(operation)).")
        case let error as BlobStoreError: self = .blobs(error)
        case let error as CatalogError where error.isNoSpace: self = .noSpace(error.description)
        case let error as CatalogError: self = .catalog(error)
        case EntryName.Invalid.tooLong(let count): self = .nameTooLong(count)
        case EntryName.Invalid.malformed: self = .invalid("The name is empty or has a slash in it.")
        // The search index and the ends of transactions throw SQLite's own errors.
        default: self.init(CatalogError(error) as any Error)
        }
    }

    /// Names the failure of a system call on the library's disk.
    public init(_ errno: Errno, during operation: String) { self.init(BlobStoreError(errno, during: operation)) }

    /// The error as one sentence.
    public var description: String {
        switch self {
        case .notFound: "There is no such file or folder."
        case .nameTaken(let name): "The name “\(name)” is taken."
        case .notAFolder: "A part of the path is not a folder."
        case .isAFolder: "It is a folder."
        case .folderNotEmpty(let name): "The folder “\(name)” is not empty."
        case .intoItself: "A folder cannot be moved into itself."
        case .nameTooLong(let count): "The name has \(count.counted("byte")); 255 are allowed."
        case .invalid(let reason), .notPermitted(let reason), .noSpace(let reason), .tooLong(let reason),
            .outOfRange(let reason), .unsupported(let reason), .busy(let reason), .occupied(let reason),
            .pathTooLong(let reason), .unreadable(let reason):
            reason
        case .pending: "The file is being read for its verdict."
        case .interrupted:
            "The mount ends while the file is being read for its verdict; the upload goes on at the next mount."
        case .readOnly: "This place is a view and cannot be written to."
        case .replaced: "Another file has come to have the name; look it up again."
        case .noSuchAttribute: "There is no extended attribute of that name."
        case .attributeExists: "There is an extended attribute of that name already."
        case .unsupportedAttribute(let name): "Extended attributes such as “\(name)” are not kept."
        case .unsigned: "The path is not signed; “assetfs sign” prints one that is."
        case .forged: "The signature of the path is wrong, or does not hold any more; ask the owner for another path."
        case .ended(let time): "The signed path has ended at \(time); ask for another."
        case .fetch(let problem): problem.sentence
        case .refused(let refusal): refusal.sentence
        case .unfinished(let count, let reason):
            "\(count.counted("upload")) could not be finished, and the next mount tries again: \(reason)"
        case .blobs(let error): error.description
        case .catalog(let error): error.description
        }
    }
}
