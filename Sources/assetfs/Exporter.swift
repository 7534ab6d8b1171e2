import ArgumentParser
import AssetModel
import CLinux
import Foundation
import MetadataExtraction
import SystemPackage

/// Copies one file, by descriptors: other users may be able to write to the destination folder.
struct Exporter {
    let file: ListedFile
    /// The destination folder that the caller has named, and the names below it.
    let root: Held
    let target: [[UInt8]]
    /// The path of the copy, for messages.
    let path: FilePath
    let options: (embed: Bool, sidecar: Bool, force: Bool)
    let editor: Editor

    /// A file under another name until it is complete, so that an incomplete copy is never mistaken for the
    /// file.
    private final class Partial {
        let folder: Held
        let name = Array(".assetfs-\(UUID().uuidString).part".utf8)
        let descriptor: Int32

        init?(in folder: Held) {
            self.folder = folder
            descriptor = unsafe openat(
                folder.descriptor,
                name.terminated,
                O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                0o600
            )
            if descriptor < 0 { return nil }
        }

        deinit {
            guard descriptor >= 0 else { return }
            _ = close(descriptor)
            unsafe _ = unlinkat(folder.descriptor, name.terminated, 0)
        }

        /// Renames the file to its final name.
        func finish(as target: [UInt8], replacing: Bool) -> Bool {
            guard fsync(descriptor) == 0 else { return false }
            let flags: UInt32 = replacing ? 0 : 1 /* RENAME_NOREPLACE */
            let (from, to) = (folder.descriptor, folder.descriptor)
            if unsafe renameat2(from, name.terminated, to, target.terminated, flags) == 0 { return true }
            // Some filesystems do not support the flag.
            guard !replacing, errno == EINVAL else { return false }
            return unsafe linkat(from, name.terminated, to, target.terminated, 0) == 0
        }
    }

    func run() throws {
        guard let name = target.last else { throw ExitStatus.failed.because("\(path) is no name of a file.") }
        let source = try file.open()
        let folder = try root.openFolders(Array(target.dropLast()), mode: 0o777)
        try check(name, of: folder, for: source)
        let said = options.embed || options.sidecar ? try Said(of: source, in: file.mount) : Said()
        guard let partial = Partial(in: folder) else { throw failure(path) }
        try copyBytes(source, to: partial)
        var embedded: Partial?
        if options.embed, !said.isEmpty { embedded = try embed(said, partial, in: folder) }
        try finish(embedded ?? partial, like: source, as: name)
        if !said.isEmpty, options.sidecar || options.embed && embedded == nil {
            try writeSidecar(said, in: folder)
        }
    }

    private func check(_ name: [UInt8], of folder: Held, for source: Held) throws {
        guard let present = folder.status(of: name) else { return }
        if source.isSame(present) {
            throw ExitStatus.failed.because("\(path) is the file itself, which export never changes.")
        }
        guard options.force else {
            throw ExitStatus.failed.because("\(path) is there already; --force replaces it.")
        }
    }

    /// Writes the fields into a second copy, made from the first: the worker runs as another user, which the
    /// mount does not let in.
    /// - Returns: nil where the file's format cannot hold the fields.
    private func embed(_ said: Said, _ partial: Partial, in folder: Held) throws -> Partial? {
        guard let copy = Partial(in: folder) else { throw failure(path) }
        do throws(Examiner.Failure) {
            let tags = Embedding.tags(for: said.fields, type: said.type)
            guard !tags.isEmpty else { throw .file("Nothing of it has a place in the file.") }
            let unknown = try editor.embed(
                tags,
                from: FileDescriptor(rawValue: partial.descriptor),
                into: FileDescriptor(rawValue: copy.descriptor),
                // Only the extension tells the kinds of text files apart.
                extension: file.path.extension ?? ""
            )
            if !unknown.isEmpty {
                Output.note("\(file.path): ExifTool cannot write \(unknown.joined(separator: ", ")).")
            }
            return copy
        } catch {
            guard case .file(let reason) = error else { throw failure(file.path, error) }
            guard !said.mustNotLeave else {
                throw ExitStatus.failed.because(
                    "\(file.path) is not exported: \(reason) The copy would say what has been removed; without --embed it is copied as it is."
                )
            }
            Output.note(
                "\(file.path): \(reason) What people have said is in \(FilePath(bytes: folder.sidecar(of: path.name))) instead."
            )
            return nil
        }
    }

    private func copyBytes(_ source: Held, to partial: Partial) throws {
        let file = source.reopen()
        guard file >= 0 else { throw failure(self.file.path) }
        defer { _ = close(file) }
        guard SparseCopy(from: file, to: partial.descriptor).run() else { throw failure(self.file.path) }
    }

    /// Gives the copy the times and permissions of the file, and its name.
    private func finish(_ partial: Partial, like source: Held, as name: [UInt8]) throws {
        _ = fchmod(partial.descriptor, source.status.st_mode & 0o777)
        unsafe _ = futimens(partial.descriptor, [source.status.st_atim, source.status.st_mtim])
        guard partial.finish(as: name, replacing: options.force) else { throw failure(path) }
    }

    private func writeSidecar(_ said: Said, in folder: Held) throws {
        let target = path
        let name = folder.sidecar(of: target.name)
        let place = target.removingLastComponent()
        let path = place.isEmpty ? FilePath(bytes: name) : place.appending(name: name)
        if name.count != target.name.count + 4 {
            Output.note("\(target): the name is too long for a sidecar of its own; that is \(path).")
        }
        if !options.force, folder.status(of: name) != nil {
            throw ExitStatus.failed.because("\(path) is there already; --force replaces it.")
        }
        let tags = Embedding.sidecarTags(for: said.fields.filter { !$0.value.isEmpty })
        guard !tags.isEmpty else { return }
        guard let partial = Partial(in: folder) else { throw failure(path) }
        do throws(Examiner.Failure) {
            try editor.writeSidecar(tags, into: FileDescriptor(rawValue: partial.descriptor))
        } catch {
            throw failure(path, error)
        }
        _ = fchmod(partial.descriptor, 0o644 & ~Self.umask)
        guard partial.finish(as: name, replacing: options.force) else { throw failure(path) }
    }

    private static let umask: mode_t = {
        let umask = Foundation.umask(0o077)
        _ = Foundation.umask(umask)
        return umask
    }()

    private func failure(_ path: FilePath, _ failure: Examiner.Failure? = nil) -> ExitCode {
        switch failure {
        case nil: ExitStatus.failed.because("\(path): \(systemReason).")
        case .file(let reason), .unavailable(let reason), .disk(let reason, _):
            ExitStatus.failed.because("\(path): \(reason)")
        }
    }
}
