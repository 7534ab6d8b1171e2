import ArgumentParser
import AssetModel
import CLinux
import Foundation
import SystemPackage

struct TrashCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trash",
        abstract: "Shows what was removed and can be taken back, with the paths that it had.",
        discussion:
            "Each is a file in the mount's trash/: read it there, move it out to take it back, or remove it for good."
    )

    @Argument(help: "Where the library is mounted; need not be said when there is one mount.")
    var mountpoint: FilePath?
    @Flag(help: "Print JSON, one object on a line: user.asset.info of each file, and its name in the trash.")
    var json = false
    @OptionGroup var names: NameOptions

    func run() throws {
        let trash = try Trash(mount: Held.mount(mountpoint))
        var isComplete = true
        for name in try trash.names() {
            // A file that was restored meanwhile is left out.
            guard let file = trash.folder.find([name]) else { continue }
            // The failure has been printed already.
            guard let found = try? AssetInformation.members(ofTrashed: file) else {
                if trash.folder.status(of: name) != nil { isComplete = false }
                continue
            }
            var info = found.members
            if json {
                if !found.isWhole {
                    isComplete = false
                    Output.note(
                        "\(file.path): user.asset.info has more than 64 KiB; what people have said of the file is left out."
                    )
                }
                let shown = String(decoding: name, as: UTF8.self)
                info["trash_name"] = shown
                if !shown.utf8.elementsEqual(name) {
                    info["trash_name_hex"] = name.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
                }
                let data = try JSONSerialization.data(
                    withJSONObject: info,
                    options: [.sortedKeys, .withoutEscapingSlashes]
                )
                Output.printJSON(String(decoding: data, as: UTF8.self))
                continue
            }
            let removed = (info["trashed"] as? String ?? "").prefix(19).replacingOccurrences(of: "T", with: " ")
            let size = ByteCountFormatter.string(fromByteCount: Int64(info["size"] as? Int ?? 0), countStyle: .binary)
            let columns = "\(info["id"] ?? "")".padded(to: 9) + removed.padded(to: 21) + size.padded(to: 12)
            let path = (try? ExtendedAttribute.bytes("user.asset.path", of: file)) ?? name
            if names.isRaw {
                Output.print(Array(columns.utf8) + path, isRaw: true)
            } else {
                Output.print(Sentence(columns + path.shown))
            }
        }
        if !isComplete { throw ExitCode(ExitStatus.failed.rawValue) }
    }
}
