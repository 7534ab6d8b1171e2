import ArgumentParser
import AssetModel
import CLinux
import Foundation
import MetadataExtraction
import SystemPackage

struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Copies files out of a mount, with what people have said of them if that is asked for.",
        discussion: """
            With --embed it is written into the copies, as EXIF, IPTC and XMP have it; files of a kind that cannot hold it get a sidecar. \
            The files in the mount stay as they are.
            """
    )

    @Argument(
        help:
            "Files and folders below a mount, and at the end where to: an existing folder, or the name of the one copy."
    )
    var paths: [FilePath]
    @Flag(help: "Write the fields into the copies.") var embed = false
    @Flag(help: "Write the fields into a file NAME.xmp beside each copy.") var sidecar = false
    @Flag(name: .shortAndLong, help: "Replace what is there.") var force = false

    func validate() throws {
        guard paths.count >= 2 else { throw ValidationError("Say what to copy, and then where to.") }
    }

    func run() throws {
        let destination = paths[paths.count - 1]
        let copies = try Self.copies(of: Array(paths.dropLast()), to: destination)
        let editor = Editor()
        try ProgressBar.run(copies, "exported", name: { $0.0.description }) { try copy($0, to: $1, editor) }
    }

    /// What goes where, folders with all that is in them.
    private static func copies(of sources: [FilePath], to destination: FilePath) throws -> [(FilePath, FilePath)] {
        let isFolder = destination.isFolder
        guard isFolder || sources.count == 1 else {
            throw ExitStatus.failed.because("\(destination) is no folder, so that only one file can be copied to it.")
        }
        var result: [(FilePath, FilePath)] = []
        for source in sources {
            // A path that ends with a dot has another name.
            let name = source.name.last == 0x2E ? try MountPoint.resolved(source).name : source.name
            let target = isFolder ? destination.appending(name: name) : destination
            for file in try FileList.files(in: [source], recursive: true) {
                let rest = file.bytes.dropFirst(source.length)
                result.append((file, rest.isEmpty ? target : target.appending(name: Array(rest))))
            }
        }
        return result
    }

    private func copy(_ source: FilePath, to target: FilePath, _ editor: Editor) throws {
        if !force, target.status() != nil {
            throw ExitStatus.failed.because("\(target) is there already; --force replaces it.")
        }
        if Self.isSame(source, target) {
            throw ExitStatus.failed.because("\(target) is the file itself, which export never changes.")
        }
        let folder = target.removingLastComponent()
        guard folder.isEmpty || folder.makeFolders() else { throw Self.failure(folder, nil) }
        let said = embed || sidecar ? try Said(of: source) : Said()
        // Under another name until it is complete, so that no half of a file is ever taken for one.
        let (partial, embedded) = (Self.temporaryName(in: folder), Self.temporaryName(in: folder))
        defer { for path in [partial, embedded] { _ = unsafe path.withC { unsafe unlink($0) } } }
        try copyBytes(source, to: partial)
        var isEmbedded = false
        if embed, !said.isEmpty {
            do throws(Examiner.Failure) {
                // Out of the copy: the worker is another user, whom the mount does not let in.
                try write(partial, to: embedded) { (file, copy) throws(Examiner.Failure) in
                    let tags = Embedding.tags(for: said.fields, type: said.type)
                    guard !tags.isEmpty else { throw .file("Nothing of it has a place in the file.") }
                    let unknown = try editor.embed(
                        tags,
                        from: file,
                        into: copy,
                        extension: Self.fileExtension(of: source)
                    )
                    if !unknown.isEmpty {
                        Output.note("\(source): ExifTool cannot write \(unknown.joined(separator: ", ")).")
                    }
                }
                isEmbedded = true
            } catch {
                guard case .file(let reason) = error else { throw Self.failure(source, error) }
                guard !said.mustNotLeave else {
                    throw ExitStatus.failed.because(
                        "\(source) is not exported: \(reason) The copy would say what has been removed; without --embed it is copied as it is."
                    )
                }
                Output.note("\(source): \(reason) What people have said is in \(target.sidecar) instead.")
            }
        }
        try finish(isEmbedded ? embedded : partial, like: source, as: target)
        if !said.isEmpty, sidecar || embed && !isEmbedded { try writeSidecar(said, for: target, editor) }
    }

    /// A name that nobody else has.
    private static func temporaryName(in folder: FilePath) -> FilePath {
        folder.appending(".assetfs-\(UUID().uuidString).part")
    }

    /// The extension, where it is text: none other says of which kind a file is.
    private static func fileExtension(of path: FilePath) -> String { path.extension ?? "" }

    private static func isSame(_ one: FilePath, _ other: FilePath) -> Bool {
        guard let first = one.status(), let second = other.status() else { return false }
        return first.st_dev == second.st_dev && first.st_ino == second.st_ino
    }

    /// Opens both files for `body`.
    private func write(
        _ source: FilePath,
        to partial: FilePath,
        _ body: (FileDescriptor, FileDescriptor) throws(Examiner.Failure) -> Void
    ) throws(Examiner.Failure) {
        let file = source.open(O_RDONLY)
        defer { if file >= 0 { _ = close(file) } }
        let copy = partial.open(O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        defer { if copy >= 0 { _ = close(copy) } }
        guard file >= 0, copy >= 0 else { throw .unavailable(unsafe String(cString: strerror(errno))) }
        try body(FileDescriptor(rawValue: file), FileDescriptor(rawValue: copy))
        guard fsync(copy) == 0 else { throw .unavailable(unsafe String(cString: strerror(errno))) }
    }

    private func copyBytes(_ source: FilePath, to partial: FilePath) throws {
        do throws(Examiner.Failure) {
            try write(source, to: partial) { (file, copy) throws(Examiner.Failure) in
                while true {
                    let count = copy_file_range(file.rawValue, nil, copy.rawValue, nil, 1 << 30, 0)
                    if count == 0 { return }
                    guard count < 0 else { continue }
                    // Not between these two filesystems: as cp(1) does.
                    try Self.copyThroughMemory(file.rawValue, copy.rawValue)
                    return
                }
            }
        } catch {
            throw Self.failure(source, error)
        }
    }

    private static func copyThroughMemory(_ file: Int32, _ copy: Int32) throws(Examiner.Failure) {
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = unsafe read(file, &buffer, buffer.count)
            if count == 0 { return }
            var done = 0
            while done < count {
                let written = unsafe buffer.withUnsafeBytes {
                    unsafe Glibc.write(copy, $0.baseAddress?.advanced(by: done), count - done)
                }
                guard written > 0 else { throw .unavailable(unsafe String(cString: strerror(errno))) }
                done += written
            }
            guard count > 0 else { throw .unavailable(unsafe String(cString: strerror(errno))) }
        }
    }

    /// The copy gets the times and permissions of the file, and its name.
    private func finish(_ partial: FilePath, like source: FilePath, as target: FilePath) throws {
        guard let status = source.status() else { throw Self.failure(source, nil) }
        _ = unsafe partial.withC { unsafe chmod($0, status.st_mode & 0o777) }
        let times = [status.st_atim, status.st_mtim]
        _ = unsafe partial.withC { unsafe utimensat(AT_FDCWD, $0, times, 0) }
        try Self.rename(partial, to: target)
    }

    private func writeSidecar(_ said: Said, for target: FilePath, _ editor: Editor) throws {
        let path = target.sidecar
        if path.name.count != target.name.count + 4 {
            Output.note("\(target): the name is too long for a sidecar of its own; that is \(path).")
        }
        if !force, path.status() != nil {
            throw ExitStatus.failed.because("\(path) is there already; --force replaces it.")
        }
        let tags = Embedding.sidecarTags(for: said.fields.filter { !$0.value.isEmpty })
        guard !tags.isEmpty else { return }
        let partial = Self.temporaryName(in: path.removingLastComponent())
        defer { _ = unsafe partial.withC { unsafe unlink($0) } }
        let file = partial.open(O_RDWR | O_CREAT | O_EXCL, mode: 0o644)
        guard file >= 0 else { throw Self.failure(path, nil) }
        defer { _ = close(file) }
        do throws(Examiner.Failure) {
            try editor.writeSidecar(tags, into: FileDescriptor(rawValue: file))
        } catch {
            throw Self.failure(path, error)
        }
        try Self.rename(partial, to: path)
    }

    private static func rename(_ path: FilePath, to target: FilePath) throws {
        let result = unsafe path.withC { from in unsafe target.withC { unsafe Foundation.rename(from, $0) } }
        guard result == 0 else { throw failure(target, nil) }
    }

    private static func failure(_ path: FilePath, _ failure: Examiner.Failure?) -> ExitCode {
        switch failure {
        case nil: ExitStatus.failed.because("\(path): \(systemReason).")
        case .file(let reason), .unavailable(let reason): ExitStatus.failed.because("\(path): \(reason)")
        }
    }
}

/// What people have said of a file, from its `user.asset.info`; an empty value is what they have removed.
private struct Said {
    var fields: [(field: Field, value: String)] = []
    var type = ""

    var isEmpty: Bool { fields.isEmpty }

    /// Whether the file has something that a person has taken away, or a place that is another's now.
    var mustNotLeave: Bool { fields.contains { $0.value.isEmpty || $0.field == .gps } }

    init() {}

    init(of path: FilePath) throws {
        guard let text = try ExtendedAttribute.read("user.asset.info", of: path),
            let info = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        else { return }
        type = info["mime_type"] as? String ?? ""
        let values = info["fields"] as? [String: String] ?? [:]
        for name in info["set_by_person"] as? [String] ?? [] {
            if let field = Field(name), let value = values[name] { fields.append((field, value)) }
        }
        for name in info["removed_by_person"] as? [String] ?? [] {
            if let field = Field(name) { fields.append((field, "")) }
        }
    }
}
