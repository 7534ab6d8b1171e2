import ArgumentParser
import Foundation

struct InfoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Shows what assetfs knows about a file in a mount."
    )

    @Argument(help: "A file below a mount.")
    var path: String
    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let text = try readInfo()
        if json { return print(text) }
        guard let members = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] else { return }
        let rows = [
            ("File", "filename"), ("Asset", "id"), ("Inode", "node"), ("Size", "size"), ("SHA-256", "sha256"),
            ("Versions", "versions"), ("First uploaded", "created"), ("as", "original_filename"),
            ("by user", "user_id"),
            ("Last uploaded", "uploaded"),
        ]
        for (label, key) in rows {
            guard let value = members[key] else { continue }
            print(label.padded(to: 16) + "\(value)")
        }
    }

    private func readInfo() throws -> String {
        guard let text = try ExtendedAttribute.read("user.asset.info", of: path) else {
            throw ExitStatus.failed.because(
                "\(path) is not an asset: it is a folder, a link, or not below an assetfs mount."
            )
        }
        return text
    }
}
