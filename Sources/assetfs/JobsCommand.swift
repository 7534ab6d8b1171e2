import ArgumentParser
import AssetModel
import Foundation
import SystemPackage

struct JobsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "jobs",
        abstract: "Shows the background work that waits, goes on or has failed.",
        discussion: "Each piece of work is a file in the mount's uploads/jobs/."
    )

    @Argument(help: "Where the library is mounted; need not be said when there is one mount.")
    var mountpoint: FilePath?
    @Flag(help: "Wait until nothing is waiting any more.")
    var wait = false
    @Flag(help: "Print the jobs as they are: JSON, one on a line.")
    var json = false
    @OptionGroup var names: NameOptions

    func run() throws {
        let mount = try Held.mount(mountpoint)
        let path = FilePath("uploads/jobs").names
        guard let folder = mount.find(path) else { throw ExitStatus.unreadable(mount.path.appending(below: path)) }
        if wait {
            // One waiting job is enough to go on waiting. A commit may queue a job.
            while try awaitsVerdicts(in: mount)
                || list(folder).contains(where: { job($0, in: folder).map { $0.status != "error" } ?? false })
            {
                usleep(100_000)
            }
        }
        let jobs = try list(folder).sorted { $0.localizedStandardCompare($1) == .orderedAscending }
            .compactMap { job($0, in: folder) }
        for job in jobs { if json { Output.printJSON(job.line) } else { names.print(job.text) } }
        guard !json, !names.isRaw else { return }
        let failed = jobs.count { $0.status == "error" }
        Output.print("\(jobs.count - failed) to be done, \(failed) failed.")
    }

    /// Returns whether uploads still wait for their commit; false for a user that may not see that.
    private func awaitsVerdicts(in mount: Held) throws -> Bool {
        guard let folders = mount.find([Array("folders".utf8)]) ?? mount.find([]),
            let value = try ExtendedAttribute.bytes("user.asset.info", of: folders),
            let info = try? JSONSerialization.jsonObject(with: Data(value)) as? [String: Any]
        else { return false }
        return (info["verdicts"] as? Int ?? 0) > 0
    }

    private struct Job {
        let status: String
        let line: String
        let text: [UInt8]
    }

    private func list(_ folder: Held) throws -> [String] {
        guard let names = folder.entries() else { throw ExitStatus.unreadable(folder.path) }
        return names.map { String(decoding: $0, as: UTF8.self) }
    }

    /// Returns a job; nil where it has ended meanwhile.
    private func job(_ name: String, in folder: Held) -> Job? {
        guard let line = folder.find([Array(name.utf8)])?.contents().map({ String(decoding: $0, as: UTF8.self) }),
            let job = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any],
            let status = job["status"] as? String, status != "success"
        else { return nil }
        let text = status.padded(to: 10) + (job["token"] as? String ?? name).padded(to: 20)
        let subject =
            (job["url"] as? String).map { Array($0.utf8) } ?? JSONObject.name("filename", in: job) ?? []
        var rest = ""
        if let error = job["error"] as? String { rest += ": \(error)" }
        if let retry = job["retry"] as? String { rest += " (again at \(retry.prefix(19))Z)" }
        return Job(
            status: status,
            line: line.trimmingCharacters(in: .newlines),
            text: Array(text.utf8) + names.bytes(subject) + Array(rest.utf8)
        )
    }
}
