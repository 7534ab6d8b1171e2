import ArgumentParser
import AssetModel
import Foundation
import SystemPackage

struct DescribeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe",
        abstract: "Says what files are: sets, changes or removes fields of many at once.",
        discussion: """
            Each field is the extended attribute user.asset.FIELD of the file. What is set here stays, whatever the file says itself; \
            an empty value is a value, and --remove takes the field away.
            """
    )

    @Argument(help: "Files below a mount.")
    var paths: [FilePath]
    @Option(help: "What the picture shows.") var caption: String?
    @Option(help: "What it is called.") var title: String?
    @Option(help: "The longer text.") var description: String?
    @Option(help: "Words to find it by, separated by commas; those that it has are replaced.") var keywords: String?
    @Option(help: "Words that it has from now on besides its others.") var addKeywords: String?
    @Option(help: "Who made it.") var photographer: String?
    @Option(help: "Whose it is.") var copyrightHolder: String?
    @Option(help: "The notice itself, such as “© 2026 Jane Doe”.") var copyrightNotice: String?
    @Option(help: "What is said to who does not see it.") var alternativeText: String?
    @Option(help: "How good it is: a whole number; 0 to 10 are half stars on a desktop.") var rank: String?
    @Option(help: "Where: 48.1374,11.5755 or 48.1374,11.5755,519.") var gps: String?
    @Option(help: "When: 2024-05-17T14:03:09+02:00, or less of it.") var capturedAt: String?
    @Option(help: "Any other field, as FIELD=VALUE: category=logos, meta.client=ACME, exif.Artist=…") var set:
        [String] = []
    @Option(help: "A field that is to have no value any more.") var remove: [String] = []
    @Option(help: "Turn clockwise by 90, 180 or 270 degrees, without a loss.") var rotate: String?
    @Flag(help: "Go back to what the file says itself.") var reprocess = false
    @Flag(name: .shortAndLong, help: "All files below the folders that are given.") var recursive = false

    func run() throws {
        var values: [(field: Field, value: String)] = []
        let named: [(String, String?)] = [
            ("caption", caption), ("title", title), ("description", description), ("keywords", keywords),
            ("photographer", photographer), ("copyright_holder", copyrightHolder),
            ("copyright_notice", copyrightNotice),
            ("alternative_text", alternativeText), ("rank", rank), ("gps", gps), ("captured_at", capturedAt),
        ]
        for (name, value) in named { if let value { values.append(try Self.checked(name, value)) } }
        for setting in set {
            let parts = setting.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2 else { throw ValidationError("“\(setting)” is not FIELD=VALUE.") }
            values.append(try Self.checked(parts[0], parts[1]))
        }
        let removed = try remove.map(Self.known)
        if let rotate, !["0", "90", "180", "270"].contains(rotate) {
            throw ValidationError("--rotate cannot be “\(rotate)”: it is 0, 90, 180 or 270, clockwise.")
        }
        guard !values.isEmpty || !removed.isEmpty || addKeywords != nil || rotate != nil || reprocess else {
            throw ValidationError("Say what is to be said, such as --caption “At the lake”.")
        }
        let files = try ListedFile.all(in: paths.map(MountPath.init), recursive: recursive)
        try ProgressBar.run(files.found, isComplete: files.isComplete, "described", name: \.path.description) {
            try describe($0.open(), values, removed)
        }
    }

    private func describe(_ file: Held, _ values: [(field: Field, value: String)], _ removed: [Field]) throws {
        // This comes first, because it reverts the fields that are set at that moment, and would revert those
        // set below.
        if reprocess { try ExtendedAttribute.set("user.asset.reprocess", of: file, to: "1") }
        for (field, value) in values { try ExtendedAttribute.set("user.asset.\(field.name)", of: file, to: value) }
        if let addKeywords {
            let present = try ExtendedAttribute.read("user.asset.keywords", of: file) ?? ""
            var words = present.split(separator: ",").map { String($0).trimmingSpaces }
            for word in addKeywords.split(separator: ",").map({ String($0).trimmingSpaces }) where !words.contains(word)
            {
                words.append(word)
            }
            try ExtendedAttribute.set("user.asset.keywords", of: file, to: words.joined(separator: ","))
        }
        for field in removed { try ExtendedAttribute.remove("user.asset.\(field.name)", of: file) }
        if let rotate { try ExtendedAttribute.set("user.asset.rotate_degrees", of: file, to: rotate) }
    }

    private static func known(_ name: String) throws -> Field {
        guard let field = Field(name) else { throw ValidationError("There is no field “\(name)”.") }
        return field
    }

    private static func checked(_ name: String, _ value: String) throws -> (Field, String) {
        let field = try known(name)
        if let objection = field.objection(to: Array(value.utf8)) {
            throw ValidationError("\(name) cannot be “\(value.prefix(60))”: \(objection.reason).")
        }
        return (field, value)
    }
}
