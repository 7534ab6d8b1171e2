import ArgumentParser
import AssetModel
import Foundation
internal import LibraryRules
import SystemPackage

struct InfoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Shows what assetfs knows about a file in a mount.",
        discussion: "A star marks what a person has said; the rest the file says itself."
    )

    @Argument(help: "A file below a mount.")
    var path: FilePath
    @Flag(help: "Print JSON: the value of user.asset.info.")
    var json = false
    @Flag(help: "Show all tags that are embedded in the file, too.")
    var tags = false

    func run() throws {
        let text = try readInfo()
        if json { return Output.printJSON(text) }
        guard let info = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] else { return }
        for line in InformationText(info, tags: tags).lines { Output.print(line) }
    }

    private func readInfo() throws -> String {
        let found = try MountPath(path)
        let place = try found.open()
        let text = place.isFile || place.isFolder ? try AssetInformation.text(of: place, in: found.mount) : nil
        guard let text else {
            throw ExitStatus.failed.because(
                "\(path) is not an asset: it is a folder, a link, or not below an assetfs mount."
            )
        }
        return text
    }
}
