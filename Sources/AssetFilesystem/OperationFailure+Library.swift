internal import AssetLibrary
internal import AssetModel
internal import BlobStore
internal import Catalog
internal import FUSE
internal import LibraryStorage
internal import SystemPackage

extension OperationFailure {
    /// Converts a library's refusal to the errno that a program gets.
    ///
    /// This is the only place where such a refusal becomes an errno.
    init(_ error: LibraryError) {
        switch error {
        case .notFound: self.init(.noSuchFileOrDirectory)
        case .nameTaken: self.init(.fileExists)  // mkdir(2), link(2)
        case .notAFolder: self.init(.notDirectory)
        case .isAFolder: self.init(.isDirectory)  // unlink(2): Linux says EISDIR where POSIX says EPERM
        case .folderNotEmpty: self.init(.directoryNotEmpty)  // rmdir(2); rename(2) also allows EEXIST
        case .intoItself: self.init(.invalidArgument)  // rename(2)
        case .nameTooLong: self.init(.fileNameTooLong)
        case .invalid(let reason): self.init(.invalidArgument, cause: reason)
        case .notPermitted(let reason): self.init(.notPermitted, cause: reason)
        case .unreadable(let reason): self.init(.permissionDenied, cause: reason)  // setxattr(2): EACCES
        case .readOnly: self.init(.notPermitted)
        case .replaced: self = .lookAgain
        case .noSuchAttribute: self.init(.attributeNotFound)  // getxattr(2): ENODATA
        case .attributeExists: self.init(.fileExists)  // setxattr(2) with XATTR_CREATE
        case .tooLong(let reason): self.init(.argListTooLong, cause: reason)  // setxattr(2): E2BIG
        case .outOfRange(let reason): self.init(.outOfRange, cause: reason)  // setxattr(2): ERANGE
        case .unsupportedAttribute: self.init(.notSupportedOnSocket)  // setxattr(2): ENOTSUP
        case .unsupported(let reason): self.init(.notSupportedOnSocket, cause: reason)
        case .busy(let reason): self.init(.resourceBusy, cause: reason)
        // Without a line in the log for each: a program that retries does so often.
        case .occupied: self.init(.resourceBusy)
        case .pathTooLong: self.init(.fileNameTooLong)
        case .pending(let verdict): self.init(.interrupted, awaiting: { verdict.whenDone(for: $0, $1) })
        // With its type: without it the name would mean LibraryError's own case, and this initializer would
        // call itself.
        case .interrupted: self.init(Errno.interrupted)
        // Without a line in the log for each: a program that retries in a loop would fill the rest of the
        // disk with lines.
        case .noSpace: self.init(.noSpace)
        case .catalog(.unwritten): self.init(.ioError)
        case .fetch(let problem): self.init(Errno(problem), cause: problem.sentence)
        case .unsigned: self.init(.missingKey)
        case .forged: self.init(.rejectedKey)
        case .ended: self.init(.expiredKey)
        case .refused(let refusal): self.init(Errno(refusal.kind))
        // write(2), truncate(2) and fallocate(2): a refusal in principle by the disk below is no failure of
        // the library. The opener's share is counted; here the system has too few descriptors, or the open
        // files exceed all shares.
        case .blobs(.io(.tooManyOpenFiles, _)): self.init(.tooManyOpenFiles)
        case .blobs(.io(.tooManyOpenFilesInSystem, _)): self.init(.tooManyOpenFilesInSystem)
        case .blobs(.io(.fileTooLarge, _)): self.init(.fileTooLarge)
        case .blobs(.io(.invalidArgument, _)): self.init(.invalidArgument)
        case .blobs(.io(.notSupportedOnSocket, _)): self.init(.notSupportedOnSocket)
        case .unfinished, .blobs, .catalog: self.init(.ioError, cause: "\(error)")
        }
    }
}

extension OperationFailure {
    /// ESTALE, after which open(2) and truncate(2) look the name up once more, and find the file that is
    /// meant for them: `Detours`.
    static var lookAgain: OperationFailure { OperationFailure(.staleNFSFileHandle) }

    /// The failure of open(2) where the upload would get a name of its own and begin with bytes that the
    /// writer may not read.
    static var mayNotBegin: OperationFailure {
        OperationFailure(
            .permissionDenied,
            cause: "The name stays, and another file would begin with the content, which is not yours to read."
        )
    }

    /// The failure of open(2) where the upload needs a name of its own, and the writer may not write to the
    /// folder.
    static var mayNotMakeNames: OperationFailure {
        OperationFailure(.permissionDenied, cause: "The name stays, and no other may be made in the folder.")
    }

    /// The failure of open(2) by a process in another pid namespace: the kernel numbers all its threads 0, so
    /// that they cannot be distinguished.
    static var unknownThread: OperationFailure {
        OperationFailure(
            .notSupportedOnSocket,
            cause:
                "The name stays, and the writer is in another pid namespace than assetfs; mount where both see each other."
        )
    }

    /// The ENOENT of a lookup that the kernel must not cache.
    static var missingForNow: OperationFailure { OperationFailure(.noSuchFileOrDirectory) }
}

extension Errno {
    init(_ kind: UploadRejection.Kind) {
        switch kind {
        case .duplicate: self = .fileExists
        case .tooLarge: self = .fileTooLarge
        case .forbidden: self = .notPermitted
        case .quota: self = .diskQuotaExceeded
        }
    }

    /// Converts the reason why a URL may not be fetched to an errno.
    init(_ problem: FetchProblem) {
        // EPROTONOSUPPORT: socket(2)
        self = problem.errno == "EPROTONOSUPPORT" ? Errno(rawValue: 93) : .invalidArgument
    }

    /// ENOKEY: required key not available.
    static var missingKey: Errno { Errno(rawValue: 126) }
    /// EKEYEXPIRED: key has expired.
    static var expiredKey: Errno { Errno(rawValue: 127) }
    /// EKEYREJECTED: key was rejected by service.
    static var rejectedKey: Errno { Errno(rawValue: 129) }

    /// ENODATA: there is no extended attribute of that name.
    static var attributeNotFound: Errno { Errno(rawValue: 61) }
}

/// Runs a library call; a refusal becomes the operation's failure.
func refusing<Value>(_ body: () throws(LibraryError) -> Value) throws(OperationFailure) -> Value {
    do throws(LibraryError) { return try body() } catch { throw OperationFailure(error) }
}

/// Checks a name from the kernel.
func entryName(_ name: Name) throws(OperationFailure) -> EntryName {
    do throws(EntryName.Invalid) {
        return try EntryName(name.bytes)
    } catch {
        switch error {
        case .tooLong(let count): throw OperationFailure(LibraryError.nameTooLong(count))
        case .malformed: throw OperationFailure(.invalidArgument)
        }
    }
}
