import ArgumentParser
import AssetModel
import Foundation
import SystemPackage

struct ScrubCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scrub",
        abstract:
            "Compares all contents with the SHA-256 that they were stored under, and names the files that are damaged.",
        discussion: """
            A mount does that by itself, slowly, every 30 days (-o scrub=PERIOD). What is damaged is never given out; copying the same \
            content in again heals it. Ends with status 11 where anything is damaged. Interrupting this command does not end the work.
            """
    )

    @Argument(help: "Where the library is mounted; need not be said when there is one mount.")
    var mountpoint: FilePath?
    @Flag(help: "Print what is known, and begin nothing.")
    var report = false
    @Flag(help: "Print JSON: the mount's uploads/jobs/scrub.json.")
    var json = false
    @OptionGroup var names: NameOptions

    func run() throws {
        let mount = try Held.mount(mountpoint)
        if !report {
            try ExtendedAttribute.set("user.asset.scrub", of: try mount.open("folders"), to: "1")
            try ProgressBar.run(of: 100, "compared") {
                usleep(50_000)
                let state = try State(of: mount)
                return state.isRunning ? state.percent : nil
            }
        }
        let state = try State(of: mount)
        if json {
            Output.printJSON(state.line)
        } else {
            for file in state.damaged(names) { names.print(file) }
            if !names.isRaw { Output.print(Sentence(state.summary)) }
        }
        if state.count > 0 { throw ExitCode(ExitStatus.damaged.rawValue) }
    }

    private struct State {
        let line: String
        private let members: [String: Any]

        init(of mount: Held) throws {
            let path = FilePath("uploads/jobs/scrub.json").names
            guard let text = mount.find(path)?.contents(),
                let members = try? JSONSerialization.jsonObject(with: Data(text)) as? [String: Any]
            else {
                throw ExitStatus.unreadable(mount.path.appending(below: path))
            }
            line = String(decoding: text, as: UTF8.self).trimmingCharacters(in: .newlines)
            self.members = members
        }

        var isRunning: Bool { ["waiting", "progress"].contains(members["status"] as? String) }
        var percent: Int { members["percent"] as? Int ?? 0 }
        var count: Int { members["damaged"] as? Int ?? 0 }

        /// Returns a line for each corrupt file; for a former version with its number.
        func damaged(_ names: NameOptions) -> [String] {
            (members["damaged_files"] as? [[String: Any]] ?? []).map { file in
                let version = (file["version"] as? Int).map { " (former content \($0))" } ?? ""
                let path = (file["path"] as? String).map(names.text) ?? "asset \(file["asset"] ?? "")"
                return "\(path)\(version): \(file["reason"] ?? "")"
            }
        }

        var summary: String {
            let bytes = ByteCountFormatter.string(
                fromByteCount: Int64(members["bytes"] as? Int ?? 0),
                countStyle: .binary
            )
            let contents = "\((members["contents"] as? Int ?? 0).counted("content")), \(bytes)"
            let state =
                isRunning
                ? "\(contents) compared so far (\(percent) %)"
                : (members["finished"] as? String).map { "\(contents) compared until \($0.prefix(19))Z" }
                    ?? "Never compared"
            let skipped = members["skipped"] as? Int ?? 0
            return state + (skipped > 0 ? "; \(skipped) could not be read now" : "") + "; \(count) damaged."
        }
    }
}
