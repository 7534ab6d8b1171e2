internal import AssetModel

/// The probe's answer for a file: its type, and its streams.
struct ProbedFacts: Equatable {
    /// A stream, or the values of the whole container.
    struct Stream: Equatable {
        /// The codec; for the whole, the container.
        var name = ""
        var values: [String: String] = [:]

        subscript(name: String) -> String? { values[name] }
        func number(_ name: String) -> Double? { values[name].flatMap(Double.init) }
    }

    var type: String?
    var charset: String?
    var whole = Stream()
    var audio: [Stream] = []
    var video: [Stream] = []

    init() {}

    /// Parses an answer: names and values, each with a NUL behind it; nil where it is malformed.
    init?(_ answer: [UInt8]) {
        let fields = Array(answer.split(separator: 0, omittingEmptySubsequences: false).dropLast())
        guard fields.count.isMultiple(of: 2), fields.count <= 2000 else { return nil }
        var target = \ProbedFacts.whole
        for index in stride(from: 0, to: fields.count, by: 2) {
            guard let value = String(validating: fields[index + 1], as: UTF8.self) else { return nil }
            switch String(decoding: fields[index], as: UTF8.self) {
            case "type": type = value
            case "charset": charset = value
            case "container": whole.name = value
            case "audio":
                audio.append(Stream(name: value))
                target = \.audio[audio.count - 1]
            case "video":
                video.append(Stream(name: value))
                target = \.video[video.count - 1]
            case let name:
                guard Double(value)?.isFinite ?? (name == "profile") else { return nil }
                self[keyPath: target].values[name] = value
            }
        }
    }
}

/// ExifTool's answer for a file: tags with their values.
struct EmbeddedFacts {
    /// A tag: its group in families 0 and 1, its name, and its values.
    struct Tag {
        let outer: String
        let group: String
        let name: String
        let values: [String]
    }

    private(set) var tags: [Tag] = []
    private var index: [String: [Int]] = [:]

    init() {}

    /// Parses an answer: `ok`, and then the tags.
    /// - Throws: ExifTool's error, or that the answer is malformed.
    init(_ answer: [UInt8]) throws(Examiner.Failure) {
        var fields = answer.split(separator: 0, omittingEmptySubsequences: false).dropLast()
        // Invalid UTF-8 is repaired: EXIF's text may be in any encoding.
        func next() -> String? { fields.popFirst().map { String(decoding: $0, as: UTF8.self) } }
        switch next() {
        case "ok": break
        case "error": throw .file("ExifTool could not read the file: \(next() ?? "").")
        default: throw Self.malformed
        }
        while let outer = next() {
            guard let name = next(), let colon = name.firstIndex(of: ":"), let count = next().flatMap({ Int($0) }),
                (1...1000).contains(count), fields.count >= count
            else { throw Self.malformed }
            let values = (0..<count).compactMap { _ in next() }
            let tag = Tag(
                outer: outer,
                group: String(name[..<colon]),
                name: String(name[name.index(after: colon)...]),
                values: values
            )
            index[name, default: []].append(tags.count)
            tags.append(tag)
        }
    }

    private static var malformed: Examiner.Failure { .file("What ExifTool's worker said of the file is no answer.") }

    /// The values of a tag, such as `IFD0:Model`, without blank ones, in the order of precedence.
    subscript(name: String) -> [String] {
        // An answer has up to 1 MiB, all of which may belong to one tag.
        var seen: Set<String> = []
        return (index[name] ?? []).flatMap { tags[$0].values }.map(\.trimmingSpaces)
            .filter { !$0.isEmpty && seen.insert($0).inserted }
    }

    /// Returns the first valid value of some tags; `ID3` and `ID3v1` stand for themselves, `ID3*` for all
    /// newer versions.
    func first(_ names: [String], where isMeant: (String) -> Bool = { _ in true }) -> String? {
        for name in names {
            for name in Self.expanded(name) {
                if let value = self[name].first(where: isMeant) { return value }
            }
        }
        return nil
    }

    /// Returns the values of the first of some tags that has any.
    func firstList(_ names: [String]) -> [String] {
        for name in names.flatMap(Self.expanded) where !self[name].isEmpty { return self[name] }
        return []
    }

    private static func expanded(_ name: String) -> [String] {
        guard name.hasPrefix("ID3*:") else { return [name] }
        return ["ID3v2_4", "ID3v2_3", "ID3v2_2"].map { $0 + name.dropFirst("ID3*".count) }
    }
}
