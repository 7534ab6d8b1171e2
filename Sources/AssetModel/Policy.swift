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
    /// Whether new assets stay; else they go after 24 hours unless somebody stores them.
    public var stores = true
    /// Whether whose files they are may let them stay; else nothing stays but by the word of the folder's owner.
    public var autostores = true
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
    /// Who may see new assets; nil says nothing.
    public var access: Access?
    /// How long new assets live; nil for ever.
    public var life: Period?
    /// Which former contents of an asset are kept.
    public var versions = VersionRetention()
    /// How long what was removed is kept; nil for not at all.
    public var trashLife: Period? = Period.shortestLife

    /// How long a file stays that is not stored, in seconds.
    ///
    /// Uploadcare removes such a file within 24 hours.
    public static let temporaryLife: Int64 = 24 * 60 * 60

    /// Which values fields may have, where that is less than the fields themselves take.
    public var fieldTypes: [Field: FieldType] = [:]

    /// What a plain filesystem does.
    public init() {}

    /// Whether an upload may be refused, or be filed under another name, when its content is known: the verdict must then
    /// come before the answer that the program waits for.
    public var mayRefuseOrRename: Bool {
        !overwrites || duplicates != .none || scan != .off || maxSize != nil || allowedTypes != nil
            || !forbiddenTypes.isEmpty || !forbiddenNames.isEmpty
    }

    /// Whether new assets go after 24 hours unless somebody stores them.
    public var isTemporary: Bool { !stores || !autostores }

    /// Returns the policy with no more ends of files and contents than another has: what is removed stays as long, former contents are
    /// kept as the one keeps them that keeps more, and new assets live as long.
    public func sparing(as other: Policy) -> Policy {
        var spared = self
        spared.trashLife = [trashLife, other.trashLife].compactMap { $0 }.max { $0.isShorter(than: $1) }
        spared.versions = versions.joined(with: other.versions)
        spared.life = life.flatMap { life in other.life.map { life.isShorter(than: $0) ? $0 : life } }
        spared.stores = stores || other.stores
        spared.autostores = autostores || other.autostores
        return spared
    }

    /// Takes one setting.
    ///
    /// - Throws: `Objection` where the value cannot be meant.
    public mutating func apply(_ key: PolicyKey, _ value: String) throws(Objection) {
        switch key {
        case .preset:
            let preset: Preset = try Self.choice(value)
            for (key, value) in preset.settings { try apply(key, value) }
        case .overwrite: overwrites = try Self.flag(value)
        case .duplicates: duplicates = try Self.choice(value)
        case .scope: scope = try Self.choice(value)
        case .access:
            guard let access = Access(value) else { throw Objection("it is \(Access.choices)") }
            self.access = access
        case .ttl:
            // A year that has 366 days, so that what may be meant in any is taken.
            let period = Period(value)
            guard value == "none" || period?.endOfLife(from: Self.leapYear) != nil else {
                throw Objection("it is an ISO 8601 period from P1D to P1Y, such as P3M, or none")
            }
            life = period
        case .store:
            guard ["0", "1", "auto"].contains(value) else { throw Objection("it is 1, 0 or auto") }
            stores = value != "0"
        case .autostore: autostores = try Self.flag(value)
        case .noEXIF: ignoresEmbeddedMetadata = try Self.flag(value)
        case .maxSize: maxSize = try ByteCount(limit: value)
        case .quota: _ = try ByteCount(limit: value)
        case .allowedTypes: allowedTypes = value == "*" || value == "none" ? nil : try TypeList(value)
        case .forbiddenTypes: forbiddenTypes = value == "none" ? TypeList() : try TypeList(value)
        case .forbiddenNames: forbiddenNames = try NamePattern.list(value)
        case .temporaryNames: temporaryNames += try NamePattern.list(value)
        case .junkNames: junkNames += try NamePattern.list(value)
        case .scan: scan = try Self.choice(value)
        case .versions: versions = try VersionRetention(value)
        case .trash:
            let period = Period(value)
            guard value == "none" || period != nil else {
                throw Objection("it is an ISO 8601 period such as P30D, or none")
            }
            trashLife = period
        case .writeBack: _ = try Self.flag(value)
        case .field(let field):
            let type = try FieldType(value)
            fieldTypes[field] = type == .any ? nil : type
        }
    }

    /// What is wrong with a value: a part of a sentence.
    public struct Objection: Error, Equatable, Sendable {
        /// What the value has to be.
        public let reason: String

        init(_ reason: String) { self.reason = reason }
    }

    private static let leapYear = Timestamp(rawValue: 1_700_000_000_000_000_000)

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
}

/// Which former contents of an asset are kept: `20,P30D`, the default, the last 20 and none that was replaced more than 30 days ago.
public struct VersionRetention: Hashable, Sendable {
    /// How many; nil for any number.
    public var count: Int? = 20
    /// For how long after they were replaced; nil for ever.
    public var period: Period? = Period("P30D")
    /// How long one must have stood to be kept at all.
    public var shortestStay = Period("PT1M")

    /// Whether nothing is to go but by somebody's will.
    public var keepsAll: Bool { count == nil && period == nil }

    /// Whether an asset's first content is kept besides, at any age: wherever any former content is.
    public var keepsOriginal: Bool { count != 0 }

    /// What holds where nobody says anything.
    public init() {}

    /// Returns what keeps all that one of the two keeps.
    func joined(with other: VersionRetention) -> VersionRetention {
        var joined = self
        joined.count = count.flatMap { count in other.count.map { Swift.max(count, $0) } }
        joined.period = period.flatMap { period in other.period.map { period.isShorter(than: $0) ? $0 : period } }
        joined.shortestStay = shortestStay.flatMap { stay in
            other.shortestStay.map { stay.isShorter(than: $0) ? stay : $0 }
        }
        return joined
    }

    /// Reads `all`, or up to three parts: how many, for how long, and how long one must have stood.
    init(_ text: String) throws(Policy.Objection) {
        if text == "all" {
            (count, period, shortestStay) = (nil, nil, nil)
            return
        }
        var parts = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        count = parts.first.flatMap { Int($0) }
        if let count, count >= 0 { parts.removeFirst() }
        period = parts.first.flatMap { Period($0) }
        if period != nil { parts.removeFirst() }
        if let last = parts.first, let stay = Period(last) {
            shortestStay = stay
            parts.removeFirst()
        }
        guard parts.isEmpty, count ?? 0 >= 0 else {
            throw Policy.Objection(
                "it is how many, for how long, or both, and how long one must have stood: 20, P30D, “20,P30D,PT0S”; or all"
            )
        }
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
