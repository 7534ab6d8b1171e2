import ArgumentParser
import CLinux
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
            print(label.padding(toLength: 16, withPad: " ", startingAt: 0) + "\(value)")
        }
    }

    private func readInfo() throws -> String {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = unsafe lgetxattr(path, "user.asset.info", &buffer, buffer.count)
        guard count < 0 else { return String(decoding: buffer.prefix(count), as: UTF8.self) }
        switch errno {
        case ENOENT: throw ExitStatus.failed.because("\(path) does not exist.")
        case ENODATA:
            throw ExitStatus.failed.because(
                "\(path) is not an asset: it is a folder, a link, or not below an assetfs mount."
            )
        case EOPNOTSUPP: throw ExitStatus.failed.because("\(path) is not below an assetfs mount.")
        case let number: throw ExitStatus.failed.because("\(path): \(unsafe String(cString: strerror(number))).")
        }
    }
}
