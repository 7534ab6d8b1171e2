import ArgumentParser
import Foundation

struct JobsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "jobs",
        abstract: "Shows the background work that waits, goes on or has failed.",
        discussion: "Each piece of work is a file in the mount's uploads/jobs/."
    )

    @Argument(help: "Where the library is mounted; need not be said when there is one mount.")
    var mountpoint: String?
    @Flag(help: "Wait until nothing is waiting any more.")
    var wait = false
    @Flag(help: "Print the jobs as they are: JSON, one on a line.")
    var json = false

    func run() throws {
        let folder = try MountPoint.only(mountpoint) + "/uploads/jobs"
        if wait {
            // The first that is waiting is enough to know.
            while try names(in: folder).contains(where: { job($0, in: folder).map { $0.status != "error" } ?? false }) {
                usleep(100_000)
            }
        }
        let jobs = try names(in: folder).sorted { $0.localizedStandardCompare($1) == .orderedAscending }
            .compactMap { job($0, in: folder) }
        for job in jobs { print(json ? job.line : job.text) }
        guard !json else { return }
        let failed = jobs.count { $0.status == "error" }
        print("\(jobs.count - failed) to be done, \(failed) failed.")
    }

    private struct Job {
        let status: String
        let line: String
        let text: String
    }

    private func names(in folder: String) throws -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder)
        } catch {
            throw ExitStatus.unreadable(folder)
        }
    }

    /// A piece of work; nil for what has ended meanwhile.
    private func job(_ name: String, in folder: String) -> Job? {
        guard let line = try? String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8),
            let job = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any],
            let status = job["status"] as? String, status != "success"
        else { return nil }
        var text = status.padded(to: 10) + (job["token"] as? String ?? name).padded(to: 20)
        text += job["url"] as? String ?? job["filename"] as? String ?? ""
        if let error = job["error"] as? String { text += ": \(error)" }
        if let retry = job["retry"] as? String { text += " (again at \(retry.prefix(19))Z)" }
        return Job(status: status, line: line.trimmingCharacters(in: .newlines), text: text)
    }
}
