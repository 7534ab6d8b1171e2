import ArgumentParser
import AssetModel
import Foundation
import SystemPackage

struct SignCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sign",
        abstract: "Prints a path by which everybody can read a file, or put files into a folder, until it ends.",
        discussion: """
            What a signed URL is on the web. Who knows the path needs no right to the file or folder; for other users than the one that has \
            mounted, the mount needs -o allow_other. What is put into a folder gets the next free name, is judged by the folder's policy, \
            and is its owner's then; nobody can list or read what is there by the path. For the owner, and root, to ask for; the owner's path ends when the file or \
            folder comes to another owner.
            """
    )

    @Argument(help: "Files, or with --upload folders, below a mount's folders/; with --revoke-all, where the mount is.")
    var paths: [FilePath] = []
    @Option(help: "When it ends: 15m, 1h, 2d, P3M, or a time such as 2027-01-31T12:00:00Z.")
    var expires = "1h"
    @Flag(help: "Let files be put into the folder.")
    var upload = false
    @Flag(help: "End all signed paths of the library, at once and for good.")
    var revokeAll = false
    @OptionGroup var names: NameOptions

    func validate() throws {
        guard Timestamp(end: expires, from: .now) != nil else {
            throw ValidationError("“\(expires)” is no end; write 15m, 1h, 2d, P3M or 2027-01-31T12:00:00Z.")
        }
        if revokeAll, upload || paths.count > 1 {
            throw ValidationError("--revoke-all ends all signed paths of a mount, and takes that alone.")
        }
        if !revokeAll, paths.isEmpty { throw ValidationError("Say which file or folder is meant.") }
    }

    func run() throws {
        if revokeAll {
            let mount = try Held.mount(paths.first)
            return try ExtendedAttribute.set("user.asset.revoke_signed", of: try mount.folders, to: "1")
        }
        for path in paths { Output.print(try sign(path), isRaw: names.isRaw) }
    }

    /// Signs a file or folder.
    /// - Returns: the signed path; that of a box ends with a slash.
    private func sign(_ path: FilePath) throws -> [UInt8] {
        guard let place = try MountPath(finding: path), place.isBelow("folders") || place.isBelow("resources") else {
            throw ExitStatus.failed.because(
                "\(path) is not below the folders/ of an assetfs mount; one with view=folders has no signed paths."
            )
        }
        let attribute = "user.asset.signed\(upload ? "_upload" : "").\(expires)"
        guard let signed = try ExtendedAttribute.bytes(attribute, of: place.open()) else {
            throw ExitStatus.failed.because("\(path) is nothing that can be signed.")
        }
        return place.mount.path.bytes + [0x2F] + signed
    }
}
