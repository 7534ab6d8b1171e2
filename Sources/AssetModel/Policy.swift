/// What applies to uploads into a folder, when all that the folders above it say has been put together.
public struct Policy: Sendable {
    /// What becomes of content that another asset has.
    public enum Duplicates: String, CaseIterable, Sendable {
        /// It is uploaded.
        case none = "NONE"
        /// It is refused.
        case reject = "REJECT"
        /// The name shows the asset that has it.
        case returnExisting = "RETURN_EXISTING"
    }

    /// Where another asset counts.
    public enum Scope: String, CaseIterable, Sendable {
        /// In the same folder.
        case exactFolder = "EXACT_FOLDER"
        /// In the folder that says so, and in all below it.
        case subtree = "SUBTREE"
        /// Everywhere.
        case entirePortal = "ENTIRE_PORTAL"
    }

    /// What becomes of malware.
    public enum Scan: String, CaseIterable, Sendable {
        /// Nobody looks.
        case off
        /// It is refused, and so is everything while the scanner cannot be asked.
        case reject
        /// It is uploaded and marked.
        case flag
    }

    /// Whether content that is written to a name that is taken takes its place; else it gets a name of its own.
    public var overwrites = true
    /// What becomes of content that another asset has.
    public var duplicates = Duplicates.none
    /// Where another asset counts.
    public var scope = Scope.exactFolder
    /// Whether new assets go after 24 hours unless somebody stores them.
    public var isTemporary = false
    /// Whether embedded metadata is left alone.
    public var ignoresEmbeddedMetadata = false
    /// The most bytes that a file may have.
    public var maxSize: ByteCount?
    /// Types that alone are taken; nil takes all.
    public var allowedTypes: TypeList?
    /// Types that are refused.
    public var forbiddenTypes = TypeList()
    /// Names that are refused.
    public var forbiddenNames: [NamePattern] = []
    /// Names that are temporary besides those that are so everywhere.
    public var temporaryNames: [NamePattern] = []
    /// Names that are junk besides those that are so everywhere.
    public var junkNames: [NamePattern] = []
    /// What becomes of malware.
    public var scan = Scan.off

    /// How long a file stays that is not stored, in seconds.
    ///
    /// Uploadcare removes such a file within 24 hours.
    public static let temporaryLife: Int64 = 24 * 60 * 60

    /// What a plain filesystem does.
    public init() {}

    /// Whether an upload may be refused, or be filed under another name, when its content is known: the verdict must then
    /// come before the answer that the program waits for.
    public var mayRefuseOrRename: Bool {
        !overwrites || duplicates != .none || scan != .off || maxSize != nil || allowedTypes != nil
            || !forbiddenTypes.isEmpty || !forbiddenNames.isEmpty
    }

    /// Takes one setting.
    ///
    /// Keys that say nothing about the moment of an upload are only checked.
    /// - Throws: `Objection` where the value cannot be meant.
    public mutating func apply(_ key: PolicyKey, _ value: String) throws(Objection) {
        switch key {
        case .preset:
            let preset: Preset = try Self.choice(value)
            for (key, value) in preset.settings { try apply(key, value) }
        case .overwrite: overwrites = try Self.flag(value)
        case .duplicates: duplicates = try Self.choice(value)
        case .scope: scope = try Self.choice(value)
        case .access: _ = try Self.access(value)
        case .ttl:
            guard let days = Period(value)?.approximateDays, (1...366).contains(days) else {
                throw Objection("it is an ISO 8601 period from P1D to P1Y, such as P3M")
            }
        case .store:
            guard ["0", "1", "auto"].contains(value) else { throw Objection("it is 1, 0 or auto") }
            isTemporary = value == "0"
        case .noEXIF: ignoresEmbeddedMetadata = try Self.flag(value)
        case .maxSize: maxSize = try ByteCount(limit: value)
        case .quota: _ = try ByteCount(limit: value)
        case .allowedTypes: allowedTypes = value == "*" || value == "none" ? nil : try TypeList(value)
        case .forbiddenTypes: forbiddenTypes = value == "none" ? TypeList() : try TypeList(value)
        case .forbiddenNames: forbiddenNames = try NamePattern.list(value)
        case .temporaryNames: temporaryNames += try NamePattern.list(value)
        case .junkNames: junkNames += try NamePattern.list(value)
        case .scan: scan = try Self.choice(value)
        case .versions:
            let parts = value.split(separator: ",").map(String.init)
            let isCount = parts.first.map { $0 == "all" || Int($0).map { $0 >= 0 } ?? false } ?? false
            let periods = isCount ? parts.dropFirst() : parts[...]
            guard !parts.isEmpty, periods.count <= 1, periods.allSatisfy({ Period($0) != nil }) else {
                throw Objection("it is how many, how long, or both: 20, P30D, “20,P30D”, or all")
            }
        case .trash:
            guard value == "none" || Period(value) != nil else {
                throw Objection("it is an ISO 8601 period such as P30D, or none")
            }
        case .writeBack: _ = try Self.flag(value)
        }
    }

    /// What is wrong with a value: a part of a sentence.
    public struct Objection: Error, Equatable, Sendable {
        /// What the value has to be.
        public let reason: String
        init(_ reason: String) { self.reason = reason }
    }

    private static func flag(_ value: String) throws(Objection) -> Bool {
        switch value.lowercased() {
        case "true", "1": return true
        case "false", "0": return false
        default: throw Objection("it is true or false")
        }
    }

    private static func choice<Choice: CaseIterable & RawRepresentable<String>>(
        _ value: String
    ) throws(Objection) -> Choice {
        // HubSpot's and our spellings differ in case only.
        if let choice = Choice.allCases.first(where: { $0.rawValue.lowercased() == value.lowercased() }) {
            return choice
        }
        let names = Choice.allCases.map(\.rawValue)
        throw Objection("it is \(names.dropLast().joined(separator: ", ")) or \(names.last ?? "")")
    }

    private static func access(_ value: String) throws(Objection) -> String {
        let known = [
            "PUBLIC_INDEXABLE", "PUBLIC_NOT_INDEXABLE", "PRIVATE", "HIDDEN_INDEXABLE", "HIDDEN_NOT_INDEXABLE",
            "HIDDEN_PRIVATE", "HIDDEN_SENSITIVE", "SENSITIVE", "1", "2", "3",
        ]
        guard known.contains(value) else { throw Objection("it is \(known.joined(separator: ", "))") }
        return value
    }
}

/// A number of bytes as a person wrote it: `5M` is 5 × 1024 × 1024, as in PHP, whose limits the products' messages quote.
public struct ByteCount: Hashable, Sendable, CustomStringConvertible {
    /// How many.
    public let bytes: Int64
    /// As it was written.
    public let description: String

    /// Reads digits and, if any, K, M, G or T.
    public init?(_ text: String) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        var unit = text.dropFirst(digits.count).uppercased()
        for suffix in ["IB", "B"] where unit.count > suffix.count - 1 && unit.hasSuffix(suffix) {
            unit = String(unit.dropLast(suffix.count))
        }
        let powers = ["": 0, "K": 10, "M": 20, "G": 30, "T": 40]
        guard let number = Int64(digits), let power = powers[unit] else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << power)
        guard !overflow else { return nil }
        self.bytes = bytes
        description = text
    }

    /// The same as a limit; nil for `none`.
    init?(limit text: String) throws(Policy.Objection) {
        if text == "none" { return nil }
        guard let count = ByteCount(text) else {
            throw Policy.Objection("it is a number of bytes such as 5242880, 5M or 20G, or none")
        }
        self = count
    }
}

/// An ISO 8601 period: `P3M`, `P1Y6M`, `P2W`, `P1DT12H`.
public struct Period: Hashable, Sendable {
    /// How many of each, in the order years, months, weeks, days, hours, minutes, seconds.
    let counts: [Int]

    /// Reads a period.
    public init?(_ text: String) {
        guard text.first == "P" || text.first == "p" else { return nil }
        var counts = [Int](repeating: 0, count: 7)
        var next = 0
        var number = ""
        var isTime = false
        var hasAny = false
        for character in text.dropFirst().uppercased() {
            if character.isASCII, character.isNumber {
                number.append(character)
                continue
            }
            if character == "T", number.isEmpty, !isTime {
                (next, isTime, hasAny) = (4, true, false)
                continue
            }
            let letters: [Character] = ["Y", "M", "W", "D", "H", "M", "S"]
            let indices = isTime ? next..<7 : next..<4
            guard let index = indices.first(where: { letters[$0] == character }),
                let count = Int(number), count < 1_000_000
            else { return nil }
            counts[index] = count
            next = index + 1
            number = ""
            hasAny = true
        }
        guard hasAny, number.isEmpty else { return nil }
        self.counts = counts
    }

    /// About how many days; a year has 365, and twelve months are a year.
    var approximateDays: Int { counts[0] * 365 + counts[1] * 365 / 12 + counts[2] * 7 + counts[3] + counts[4] / 24 }
}
