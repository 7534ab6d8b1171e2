internal import AssetLibrary
internal import Catalog
public import FUSE
internal import LibraryStorage
internal import SystemPackage

extension AssetFilesystem {
    /// Finds data and holes of the working file.
    ///
    /// A mapping through the page cache may have data that the kernel has not written back yet, and lseek(2)
    /// does not trigger the writeback: a reader finds no holes while another handle may map the file for
    /// writing. A program that has such a handle itself must sync first.
    public func lseek(
        _ handle: FileHandle,
        offset: Int64,
        whence: Int32,
        for caller: Caller
    ) throws(OperationFailure) -> Int64 {
        guard let open = handle.object as? OpenFileHandle else {
            return try lseek(handle.object as? OpenViewHandle, offset: offset, whence: whence)
        }
        let (file, size) = open.node.content
        // > ENXIO whence is SEEK_DATA or SEEK_HOLE, and offset is beyond the end of the file — lseek(2)
        guard let file, offset < size, offset >= 0 else { throw OperationFailure(.noSuchAddressOrDevice) }
        // The working file belongs to another node as well; to report all of it as data is always correct.
        let isDoubtful = open.node.isShared || !open.isWriting && open.node.mayHaveUnwrittenPages
        if isDoubtful { return whence == 4 /* SEEK_HOLE */ ? size : offset }
        let found = try refusing { () throws(LibraryError) in
            try library.seek(file, of: open.node, offset, whence: whence)
        }
        guard let found else { throw OperationFailure(.noSuchAddressOrDevice) }
        return min(found, size)
    }

    /// Answers for a view's file, which is all data.
    private func lseek(_ view: OpenViewHandle?, offset: Int64, whence: Int32) throws(OperationFailure) -> Int64 {
        guard let view else { throw OperationFailure(.badFileDescriptor) }
        let known = view.version?.size ?? view.content.map { Int64($0.count) }
        let size = if let known { known } else { try reading { try $0.size(of: view.journal) } }
        guard offset < size, offset >= 0 else { throw OperationFailure(.noSuchAddressOrDevice) }
        return whence == 4 /* SEEK_HOLE */ ? size : offset
    }
}
