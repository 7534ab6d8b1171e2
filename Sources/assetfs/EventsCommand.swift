import ArgumentParser

struct EventsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events",
        abstract: "Shows what has happened to assets, oldest first: uploads, moves, removals, changes.",
        discussion: """
            What products tell a webhook. The mount's uploads/events.jsonl has the same, and a program that is named when mounting, with \
            -o on_event=COMMAND, is told of each.
            """
    )

    @OptionGroup var journal: Journal
    @Option(help: "Only events of a kind, such as file.deleted; may be said more than once.")
    var kind: [String] = []

    func run() throws {
        try journal.print("events.jsonl", where: { kind.isEmpty || kind.contains($0["event"] as? String ?? "") }) {
            Self.text(of: $0, shown: journal.names.text)
        }
    }

    /// Returns an event's line for users; `shown` escapes a name for the terminal.
    static func text(of event: [String: Any], shown: (String) -> String) -> String {
        var text = Journal.time(of: event) + (event["event"] as? String ?? "").padded(to: 19)
        if let from = event["from"] as? String { text += "\(shown(from)) → " }
        text += shown(event["path"] as? String ?? "")
        if let outcome = event["outcome"] as? String { text += " (\(outcome))" }
        if let asset = event["asset"] as? Int { text += ", asset \(asset)" }
        if let changed = event["changed"] as? [String] { text += ": \(changed.joined(separator: ", "))" }
        for key in ["reason", "infection", "status"] {
            if let value = event[key] as? String { text += ": \(value)" }
        }
        return text
    }
}
