import ArgumentParser
import AssetModel
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
        let sources = try paths.dropLast().map(MountPath.init)
        let isFolder = destination.isFolder
        guard isFolder || sources.count == 1 else {
            throw ExitStatus.failed.because("\(destination) is no folder, so that only one file can be copied to it.")
        }
        var (copies, isComplete) = ([ExportedCopy](), true)
        for source in sources {
            let name = source.names.last ?? source.mount.path.name
            let files = try ListedFile.all(in: [source], recursive: true)
            if !files.isComplete { isComplete = false }
            for file in files.found {
                // One file goes to the named path, a folder's files below it.
                let target = isFolder ? [name] + file.rest : [destination.name] + file.rest
                copies.append(ExportedCopy(file: file, target: target))
            }
        }
        let place = isFolder ? destination : destination.removingLastComponent()
        guard let folder = place.isEmpty ? Held.folder(".") : Held.made(place) else {
            throw ExitStatus.failed.because("\(place): \(systemReason).")
        }
        let editor = Editor()
        let isPlain = place.isEmpty
        try ProgressBar.run(copies, isComplete: isComplete, "exported", name: \.file.path.description) { copy in
            let path =
                isPlain
                ? FilePath(bytes: Array(copy.target.joined(separator: [0x2F]))) : place.appending(below: copy.target)
            try Exporter(
                file: copy.file,
                root: folder,
                target: copy.target,
                path: path,
                options: (embed, sidecar, force),
                editor: editor
            ).run()
        }
    }
}

/// One copy: a file, and the names of its target below the destination folder.
private struct ExportedCopy {
    let file: ListedFile
    let target: [[UInt8]]
}

/// The user-set values of a file, from its `user.asset.info`; an empty value is one that the user has
/// removed.
struct Said {
    var fields: [(field: Field, value: String)] = []
    var type = ""

    var isEmpty: Bool { fields.isEmpty }

    /// Whether an exported copy must not show the file's embedded values: a user has removed one, or changed
    /// the location.
    var mustNotLeave: Bool { fields.contains { $0.value.isEmpty || $0.field == .gps } }

    init() {}

    init(of file: Held, in mount: Held) throws {
        guard let text = try AssetInformation.text(of: file, in: mount),
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
