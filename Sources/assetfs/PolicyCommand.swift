import ArgumentParser
import AssetModel
import Foundation
import SystemPackage

struct PolicyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy",
        abstract: "Shows or sets what a folder says about uploads into it and into the folders below.",
        discussion: """
            Keys: \(PolicyKey.choices). \
            Each is the extended attribute user.policy.KEY of the folder. The defaults of the whole library are those of folders/.
            """
    )

    @Argument(help: "A folder below a mount.")
    var folder: FilePath
    @Argument(help: "What the folder is to say, as KEY=VALUE.")
    var settings: [String] = []
    @Option(help: "A key that the folder is to say nothing about any more.")
    var remove: [String] = []
    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let pairs = try settings.map { setting -> (PolicyKey, String) in
            let parts = setting.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2 else { throw ValidationError("“\(setting)” is not KEY=VALUE.") }
            let key = try known(parts[0])
            do throws(Policy.Objection) {
                var policy = Policy()
                try policy.apply(key, parts[1])
            } catch {
                throw ValidationError("\(key.rawValue) cannot be “\(parts[1])”: \(error.reason).")
            }
            return (key, parts[1])
        }
        let removed = try remove.map(known)
        let folder = try MountPath(folder).open()
        for (key, value) in pairs { try ExtendedAttribute.set("user.policy.\(key.rawValue)", of: folder, to: value) }
        for key in removed { try ExtendedAttribute.remove("user.policy.\(key.rawValue)", of: folder) }
        let policy = try EffectivePolicy(of: folder)
        if json { return Output.printJSON(policy.json) }
        for key in PolicyKey.general.map(\.rawValue) + policy.fieldKeys {
            guard let setting = policy.settings[key] else { continue }
            Output.print(
                Sentence(key.padded(to: 16) + setting.value.padded(to: 20) + "  " + Shown.name(setting.origin))
            )
        }
    }

    private func known(_ name: String) throws -> PolicyKey {
        guard let key = PolicyKey(rawValue: name) else {
            throw ValidationError("There is no policy “\(name)”; there are \(PolicyKey.choices).")
        }
        return key
    }
}

extension String {
    /// Returns the text padded with spaces, so that columns are aligned.
    func padded(to width: Int) -> String { self + String(repeating: " ", count: max(1, width - count)) }
}
