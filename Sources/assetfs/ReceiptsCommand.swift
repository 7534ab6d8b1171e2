import ArgumentParser
import AssetModel
import Foundation

struct ReceiptsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "receipts",
        abstract: "Shows what became of each upload, oldest first."
    )

    @Argument(help: "Where the library is mounted; need not be said when there is one mount.")
    var mountpoint: String?
    @Flag(help: "Only uploads that were refused.")
    var rejected = false
    @Option(help: "Only uploads of the last while: 90s, 15m, 1h, 2d.")
    var since: String?
    @Flag(help: "Go on with those that come.")
    var follow = false
    @Flag(help: "Print the receipts as they are: JSON, one on a line.")
    var json = false

    func run() throws {
        try Journal.read("receipts.jsonl", of: MountPoint.only(mountpoint), since: since, follow: follow, show)
    }

    private func show(_ line: String) {
        guard let receipt = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else { return }
        let outcome = receipt["outcome"] as? String ?? ""
        if rejected, outcome != "rejected" { return }
        if json { return Journal.out(line) }
        let time = (receipt["at"] as? String ?? "").prefix(19).replacingOccurrences(of: "T", with: " ")
        var text =
            time.padded(to: 21) + outcome.padded(to: 11)
            + (receipt["path"] as? String ?? receipt["name"] as? String ?? "")
        if let requested = receipt["requested"] as? String { text += " (for \(requested))" }
        if let asset = receipt["asset"] as? Int { text += ", asset \(asset)" }
        if let reason = receipt["reason"] as? String { text += ": \(reason)" }
        Journal.out(text)
    }
}
