import ArgumentParser

struct ReceiptsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "receipts",
        abstract: "Shows what became of each upload, oldest first."
    )

    @OptionGroup var journal: Journal
    @Flag(help: "Only uploads that were refused.")
    var rejected = false

    func run() throws {
        try journal.print("receipts.jsonl", where: { !rejected || $0["outcome"] as? String == "rejected" }) {
            Self.text(of: $0, shown: journal.names.text)
        }
    }

    /// Returns a receipt's line for users; `shown` escapes a name for the terminal.
    static func text(of receipt: [String: Any], shown: (String) -> String) -> String {
        var text = Journal.time(of: receipt) + (receipt["outcome"] as? String ?? "").padded(to: 11)
        text += shown(receipt["path"] as? String ?? receipt["name"] as? String ?? "")
        if let requested = receipt["requested"] as? String { text += " (for \(shown(requested)))" }
        if let asset = receipt["asset"] as? Int { text += ", asset \(asset)" }
        if let reason = receipt["reason"] as? String { text += ": \(reason)" }
        return text
    }
}
