import ArgumentParser
import AssetLibrary
import AssetModel
import Foundation
internal import LibraryStorage
internal import LibraryVerification
import SystemPackage

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Checks a library: its catalog, its counts, its files and its index.",
        discussion: """
            A library that is mounted is checked by its mount, at one moment, while it is used. Interrupting this command does not end the \
            work. One that nobody has open is named by its folder, and --repair mends it: counts are made anew, records that belong to \
            nothing are removed, and what has no path gets one in folders/lost+found/. No content is removed, and a copy of the catalog \
            is kept as catalog.before-repair.sqlite. Ends with status 11 where anything is wrong that is not mended.
            """
    )

    @Argument(help: "Where the library is mounted, or its folder; need not be said when there is one mount.")
    var library: FilePath?
    @Flag(help: "Read all contents, too, and compare them with the SHA-256 that they were stored under.")
    var deep = false
    @Flag(help: "Mend what can be mended.")
    var repair = false
    @Flag(help: "Print JSON.")
    var json = false
    @OptionGroup var names: NameOptions

    func run() throws {
        guard let library, try MountPoint.mounts(on: MountPoint.resolved(library)).last?.isOurs != true else {
            return try checkMount()
        }
        let (report, copy) = try check(library)
        if let copy, !json { Output.note("The catalog as it was is kept as \(library)/\(copy).") }
        try Self.print(String(decoding: report.bytesOfJSON, as: UTF8.self), json: json, names)
    }

    /// Asks the mount to check its library, and waits for the result.
    private func checkMount() throws {
        guard !repair else {
            throw ExitStatus.libraryInUse.because(
                "--repair mends a library that nobody has open; unmount it, and name its folder."
            )
        }
        let mount = try Held.mount(library)
        try ExtendedAttribute.set("user.asset.verify", of: try mount.open("folders"), to: deep ? "deep" : "1")
        var line = ""
        try ProgressBar.run(of: 100, "checked") {
            usleep(50_000)
            let path = FilePath("uploads/jobs/verify.json").names
            guard let text = mount.find(path)?.contents(),
                let members = try? JSONSerialization.jsonObject(with: Data(text)) as? [String: Any]
            else { throw ExitStatus.unreadable(mount.path.appending(below: path)) }
            line = String(decoding: text, as: UTF8.self).trimmingCharacters(in: .newlines)
            guard ["waiting", "progress"].contains(members["status"] as? String) else { return nil }
            return members["percent"] as? Int ?? 0
        }
        try Self.print(line, json: json, names)
    }

    private func check(_ path: FilePath) throws -> (CheckReport, copy: String?) {
        let place = try LibraryPlace(existing: path)
        let library = try place.open()
        var result: (CheckReport, copy: String?)?
        var failure: RepairFailure?
        do throws(RepairFailure) {
            result = repair ? try library.repair(isThorough: deep) : (library.verify(isThorough: deep), nil)
        } catch {
            failure = error
        }
        guard let result else {
            throw ExitStatus.failed.because(Sentence(failure?.description ?? ""))
        }
        return result
    }

    /// Prints the result of a check, and exits with the status for it.
    static func print(_ line: String, json: Bool, _ names: NameOptions) throws {
        let members = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] ?? [:]
        let faults = members["faults"] as? Int ?? 0
        if json {
            Output.printJSON(line)
        } else {
            for finding in members["findings"] as? [[String: Any]] ?? [] {
                let subject =
                    (finding["path"] as? String).map(names.text)
                    ?? (finding["row"] as? Int).map { "\(finding["rule"] ?? "") \($0)" }
                let isMended = finding["mended"] as? Bool ?? false
                let advice = isMended ? "Mended." : finding["advice"] as? String
                names.print(
                    (subject.map { "\($0): " } ?? "")
                        + [finding["sentence"] as? String, advice].compactMap(\.self).joined(separator: " ")
                )
            }
            let unnamed = members["unnamed"] as? Int ?? 0
            if unnamed > 0 { Output.note("\(unnamed.counted("more fault is", "more faults are")) like those above.") }
            for note in members["notes"] as? [String] ?? [] { Output.note(Sentence(note)) }
            if !names.isRaw { Output.print(Sentence(summary(members, faults))) }
        }
        if faults > 0 { throw ExitCode(ExitStatus.damaged.rawValue) }
    }

    private static func summary(_ members: [String: Any], _ faults: Int) -> String {
        let bytes = members["bytes"] as? Int ?? 0
        let read =
            bytes > 0 ? ", \(ByteCountFormatter.string(fromByteCount: Int64(bytes), countStyle: .binary)) read" : ""
        let mended = (members["findings"] as? [[String: Any]] ?? []).count { $0["mended"] as? Bool == true }
        let contents = "\((members["contents"] as? Int ?? 0).counted("content")) looked for\(read)"
        return
            "\(contents); \(mended > 0 ? "\(mended.counted("fault")) mended, " : "")\(faults == 0 ? "no faults" : faults.counted("fault"))\(mended > 0 ? " left" : "")."
    }
}
