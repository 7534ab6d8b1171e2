import ArgumentParser
import AssetModel
import Foundation
import SystemPackage

struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Says what an upload to a path would do, and which folder's policy says so."
    )

    @Argument(help: "A path below a mount; nothing need be there yet.")
    var path: FilePath

    func run() throws {
        let place = try MountPath(path)
        let held = place.mount.find(place.names)
        let isFolder = held?.isFolder ?? false
        let folder = if let held, held.isFolder { held } else { try place.openParent() }
        let policy = try EffectivePolicy(of: folder)
        if !isFolder, let name = place.names.last { try explainName(EntryName(name), held, in: folder, policy) }
        explainContent(policy)
        if let reason = try ExtendedAttribute.read("user.asset.error", of: folder) {
            say("last refusal", reason, nil)
        }
    }

    private func explainName(
        _ name: EntryName,
        _ held: Held?,
        in folder: Held,
        _ policy: EffectivePolicy
    ) throws {
        switch NameClass(ofFile: name) {
        case .temporary: say("name", "temporary: an upload when it is renamed to a final name, and judged then", nil)
        case .junk: say("name", "junk: kept as a file, never an asset", nil)
        case .final: say("name", "final: whatever is written here is an upload, judged when it is closed", nil)
        }
        let overwrite = policy.settings["overwrite"]
        guard let held else { return say("name is free", "a new asset", nil) }
        guard held.isFile else {
            return say(
                "name is taken",
                "\(held.kind) gets no content; a file that is moved to the name replaces it",
                nil
            )
        }
        let id =
            try ExtendedAttribute.read("user.asset.id", of: held).map { "asset \($0)" }
            ?? "a file that is no asset"
        guard overwrite?.value.lowercased() == "false" || overwrite?.value == "0" else {
            return say("name is taken", "\(id) gets a new version", overwrite)
        }
        let taken = Set(folder.entries() ?? [])
        var number = 1
        while taken.contains(name.numbered(number).bytes) { number += 1 }
        say(
            "name is taken",
            "\(id) stays as it is; new content becomes “\(Shown.name(name.numbered(number).bytes))”",
            overwrite
        )
    }

    private func explainContent(_ policy: EffectivePolicy) {
        let settings = policy.settings
        func value(_ key: PolicyKey) -> String { settings[key.rawValue]?.value ?? "" }
        let places = ["EXACT_FOLDER": "in this folder", "SUBTREE": "in the folder that says so and below it"]
        let place = places[value(.scope).uppercased()] ?? "anywhere in the library"
        let duplicates =
            switch value(.duplicates).uppercased() {
            case "REJECT": "content that another asset \(place) has is refused (EEXIST)"
            case "RETURN_EXISTING": "content that another asset \(place) has: the name shows that asset"
            default: "not looked for; equal content is stored once all the same"
            }
        say("duplicates", duplicates, settings["duplicates"])
        let sentences: [(PolicyKey, String, (String) -> String)] = [
            (.maxSize, "none", { "up to \($0); more is refused at the first byte too many (EFBIG)" }),
            (.quota, "none", { "the folder may hold \($0); more is refused (EDQUOT)" }),
            (.allowedTypes, "*", { "only \($0); others are refused (EPERM)" }),
            (.forbiddenTypes, "none", { "\($0): refused (EPERM)" }),
            (.forbiddenNames, "none", { "\($0): refused (EPERM)" }),
            (.scan, "off", { $0 == "flag" ? "malware is uploaded and marked" : "malware is refused (EPERM)" }),
            (.store, "1", { $0 == "0" ? "goes after 24 hours, unless user.asset.stored is set to 1" : "stays" }),
            (
                .autostore, "true",
                { _ in "nothing stays beyond 24 hours but by the folder's owner's word, or root's (EPERM)" }
            ),
            (.noEXIF, "false", { _ in "embedded metadata is left alone" }),
        ]
        for (key, usual, sentence) in sentences {
            guard let setting = settings[key.rawValue], setting.value != usual else { continue }
            say(key.rawValue.replacingOccurrences(of: "_", with: " "), sentence(setting.value), setting)
        }
        for key in policy.fieldKeys {
            guard let setting = settings[key], let type = try? FieldType(setting.value) else { continue }
            say(
                String(key.dropFirst(PolicyKey.fieldPrefix.count)),
                "\(type); other values are refused (EINVAL)",
                setting
            )
        }
    }

    private func say(_ what: String, _ sentence: String, _ setting: EffectivePolicy.Setting?) {
        Output.print(Sentence(what.padded(to: 18) + sentence + (setting.map { "  [\(Shown.name($0.origin))]" } ?? "")))
    }
}
