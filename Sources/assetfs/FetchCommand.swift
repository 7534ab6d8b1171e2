import ArgumentParser
import AssetModel
import Foundation
import SystemPackage

struct FetchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fetch",
        abstract: "Has the mount fetch URLs into a folder, and shows how far they are.",
        discussion: """
            The mount must allow it: -o fetch. http and https from public addresses; the file gets its name from the server or the URL, and \
            the folder's policy judges it like any upload. The same is `setfattr -n user.asset.fetch -v URL FOLDER`; the state stands in \
            the mount's uploads/jobs/TOKEN.json. What is under way goes on when this command is ended, and after a remount.
            """
    )

    @Argument(help: "URLs, and at the end the folder.")
    var urls: [String]
    @Option(help: "What the file is to be called; for one URL.")
    var filename: String?
    @Flag(help: "Where a file that was fetched from the same URL is remembered, that is the answer.")
    var checkDuplicates = false
    @Flag(inversion: .prefixedNo, help: "Remember the URL; as --check-duplicates where nothing is said.")
    var saveDuplicates: Bool?
    @Option(help: "Free metadata of the file, as KEY=VALUE; may be said more than once.")
    var metadata: [String] = []
    @Flag(help: "Print the tokens, and do not wait.")
    var noWait = false
    @OptionGroup var names: NameOptions

    func validate() throws {
        guard urls.count >= 2 else { throw ValidationError("Say which URL is meant, and the folder that it goes to.") }
        if filename != nil, urls.count > 2 { throw ValidationError("--filename is for one URL.") }
    }

    func run() throws {
        let folder = FilePath(bytes: RawArguments.bytes(urls[urls.count - 1]))
        guard let place = try MountPath(finding: folder), place.isBelow("folders") else {
            throw ExitStatus.failed.because("\(folder) is not below the folders/ of an assetfs mount.")
        }
        let (mount, target) = (place.mount, try place.open())
        var jobs: [(url: String, token: String)] = []
        var failed = false
        for url in urls.dropLast() {
            do {
                let request = try request(for: url)
                try ExtendedAttribute.set("user.asset.fetch", of: target, to: request.text)
                jobs.append((url, try ExtendedAttribute.read("user.asset.job", of: target) ?? ""))
            } catch let problem as FetchProblem {
                _ = ExitStatus.failed.because("\(url): \(problem.sentence)")
                failed = true
            } catch is ExitCode {
                failed = true
            }
        }
        if noWait {
            for job in jobs { Output.print("\(job.token)") }
        } else {
            for job in jobs where try !wait(for: job, in: mount) { failed = true }
        }
        if failed { throw ExitCode(ExitStatus.failed.rawValue) }
    }

    private func request(for url: String) throws -> FetchRequest {
        var lines = [url, "check_URL_duplicates=\(checkDuplicates ? 1 : 0)"]
        if let filename { lines.append("filename=\(filename)") }
        if let saveDuplicates { lines.append("save_URL_duplicates=\(saveDuplicates ? 1 : 0)") }
        for pair in metadata {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { throw FetchProblem(.invalid, "“\(pair)” is not KEY=VALUE.") }
            lines.append("metadata[\(parts[0])]=\(parts[1])")
        }
        return try FetchRequest(lines.joined(separator: "\n"))
    }

    /// Shows the progress of an import until it has ended.
    /// - Returns: whether the import has succeeded.
    private func wait(for job: (url: String, token: String), in mount: Held) throws -> Bool {
        let job = (url: job.url, token: job.token, names: FilePath("uploads/jobs/\(job.token).json").names)
        let path = mount.path.appending(below: job.names)
        let isShown = isatty(STDERR_FILENO) == 1
        func show(_ text: String) {
            if isShown { Output.write(STDERR_FILENO, Array("\r\(Shown.sentence(text))\u{1B}[K".utf8)) }
        }
        while true {
            guard let data = mount.find(job.names)?.contents(),
                let state = try? JSONSerialization.jsonObject(with: Data(data)) as? [String: Any]
            else { throw ExitStatus.failed.because("\(path) cannot be read.") }
            switch state["status"] as? String {
            case "success":
                show("")
                let file = FilePath(bytes: Array((state["filename"] as? String ?? "").utf8.filter { $0 != 0 }))
                Output.print(mount.path.appending("folders").appending(below: file.names), isRaw: names.isRaw)
                return true
            case "error":
                show("")
                let sentence = state["error"] as? String ?? "It has failed."
                _ = ExitStatus.failed.because("\(job.url): \(sentence) (\(state["errno"] as? String ?? ""))")
                return false
            case let status:
                let done = ByteCountFormatter.string(
                    fromByteCount: Int64(state["done"] as? Int ?? 0),
                    countStyle: .binary
                )
                let total = (state["total"] as? Int).map {
                    " of " + ByteCountFormatter.string(fromByteCount: Int64($0), countStyle: .binary)
                }
                show("\(status ?? "") \(done)\(total ?? "") \(job.url.suffix(50))")
                usleep(100_000)
            }
        }
    }
}
