import ArgumentParser
import Foundation

struct EventsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events",
        abstract: "Shows what has happened to assets, oldest first: uploads, moves, removals, changes.",
        discussion: """
            What products tell a webhook. The mount's uploads/events.jsonl has the same, and a program that is named when mounting, with \
            -o on_event=COMMAND, is told of each.
            """
    )

    @Argument(help: "Where the library is mounted; need not be said when there is one mount.")
    var mountpoint: String?
    @Option(help: "Only events of a kind, such as file.deleted; may be said more than once.")
    var kind: [String] = []
    @Option(help: "Only events of the last while: 90s, 15m, 1h, 2d.")
    var since: String?
    @Flag(help: "Go on with those that come.")
    var follow = false
    @Flag(help: "Print the events as they are: JSON, one on a line.")
    var json = false

    func run() throws {
        try Journal.read("events.jsonl", of: MountPoint.only(mountpoint), since: since, follow: follow, show)
    }

    private func show(_ line: String) {
        guard let event = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else { return }
        let name = event["event"] as? String ?? ""
        guard kind.isEmpty || kind.contains(name) else { return }
        if json { return Journal.out(line) }
        let time = (event["at"] as? String ?? "").prefix(19).replacingOccurrences(of: "T", with: " ")
        var text = time.padded(to: 21) + name.padded(to: 19)
        if let from = event["from"] as? String { text += "\(from) → " }
        text += event["path"] as? String ?? ""
        if let outcome = event["outcome"] as? String { text += " (\(outcome))" }
        if let asset = event["asset"] as? Int { text += ", asset \(asset)" }
        if let changed = event["changed"] as? [String] { text += ": \(changed.joined(separator: ", "))" }
        for key in ["reason", "infection", "status"] { if let value = event[key] as? String { text += ": \(value)" } }
        Journal.out(text)
    }
}
