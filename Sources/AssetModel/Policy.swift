/// The policy for uploads into a folder, put together from the settings of all folders above it.
public struct Policy: Sendable {
    /// The treatment of content that another asset has.
    public enum Duplicates: String, CaseIterable, Sendable {
        /// The content is uploaded.
        case none = "NONE"
        /// The content is rejected.
        case reject = "REJECT"
        /// The name shows the existing asset.
        case returnExisting = "RETURN_EXISTING"
    }

    /// The scope in which duplicates are looked for.
    public enum Scope: String, CaseIterable, Sendable {
        /// The same folder.
        case exactFolder = "EXACT_FOLDER"
        /// The folder that sets the policy, and all folders below it.
        case subtree = "SUBTREE"
        /// The whole library.
        case entirePortal = "ENTIRE_PORTAL"
    }

    /// The treatment of malware.
    public enum Scan: String, CaseIterable, Sendable {
        /// Uploads are not scanned.
        case off
        /// Malware is rejected, and so are all uploads while the scanner is not available.
        case reject
        /// Malware is uploaded and marked.
        case flag
    }

    /// Whether an upload to a taken name replaces the file; otherwise it gets a name of its own.
    public var overwrites = true
    /// The treatment of content that another asset has.
    public var duplicates = Duplicates.none
    /// The scope in which duplicates are looked for.
    public var scope = Scope.exactFolder
    /// Whether new assets are stored; otherwise they expire after 24 hours unless a user stores them.
    public var stores = true
    /// Whether the owners of files may store them; otherwise only the folder's owner may.
    public var autostores = true
    /// Whether embedded metadata is ignored.
    public var ignoresEmbeddedMetadata = false
    /// The maximum number of bytes of a file.
    public var maxSize: ByteCount?
    /// The only accepted types; nil accepts all.
    public var allowedTypes: TypeList?
    /// Rejected types.
    public var forbiddenTypes = TypeList()
    /// Rejected names.
    public var forbiddenNames: [NamePattern] = []
    /// Temporary names, in addition to those that are temporary everywhere.
    public var temporaryNames: [NamePattern] = []
    /// Junk names, in addition to those that are junk everywhere.
    public var junkNames: [NamePattern] = []
    /// The treatment of malware.
    public var scan = Scan.off
    /// The access level of new assets; nil for none.
    public var access: Access?
    /// The lifetime of new assets; nil if they do not expire.
    public var life: Period?
    /// The former versions that are kept.
    public var versions = VersionRetention()
    /// The time that removed files are kept in the trash; nil if they are not kept.
    public var trashLife: Period? = Period.shortestLife

    /// The time in seconds after which a file expires that is not stored.
    ///
    /// Uploadcare removes such a file within 24 hours.
    public static let temporaryLife: Int64 = 24 * 60 * 60

    /// The types of fields, where these permit fewer values than the fields themselves.
    public var fieldTypes: [Field: FieldType] = [:]

    /// Creates the policy of a plain filesystem.
    public init() {}

    /// Whether an upload may be rejected, or renamed, because of its content: it must then be committed
    /// before the program gets its answer.
    public var mayRefuseOrRename: Bool {
        !overwrites || duplicates != .none || scan != .off || maxSize != nil || allowedTypes != nil
            || !forbiddenTypes.isEmpty || !forbiddenNames.isEmpty
    }

    /// Whether new assets expire after 24 hours unless a user stores them.
    public var isTemporary: Bool { !stores || !autostores }

    /// Returns the policy with retention and lifetimes at least as long as another's: trash and lifetimes are
    /// the longer ones of both, and former versions are kept if either policy keeps them.
    public func sparing(as other: Policy) -> Policy {
        var spared = self
        spared.trashLife = [trashLife, other.trashLife].compactMap { $0 }.max { $0.isShorter(than: $1) }
        spared.versions = versions.joined(with: other.versions)
        spared.life = life.flatMap { life in other.life.map { life.isShorter(than: $0) ? $0 : life } }
        spared.stores = stores || other.stores
        spared.autostores = autostores || other.autostores
        return spared
    }

    /// Applies one setting.
    ///
    /// - Throws: `Objection` if the value is not valid.
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
            // A year of 366 days, so that a value is accepted if it is permitted in any year.
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

    /// The reason why a value is invalid, as a part of a sentence.
    public struct Objection: Error, Equatable, Sendable {
        /// A description of valid values.
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

/// The former versions of an asset that are kept: by default `20,P30D`, the last 20, without those replaced
/// more than 30 days ago.
public struct VersionRetention: Hashable, Sendable {
    /// The maximum number; nil for any number.
    public var count: Int? = 20
    /// The maximum time after their replacement; nil for any time.
    public var period: Period? = Period("P30D")
    /// The minimum time that a version must have been the present one to be kept at all.
    public var shortestStay = Period("PT1M")

    /// Whether versions are removed only by users.
    public var keepsAll: Bool { count == nil && period == nil }

    /// Whether an asset's first version is kept in addition, at any age: true unless no former version is
    /// kept.
    public var keepsOriginal: Bool { count != 0 }

    /// Creates the default retention.
    public init() {}

    /// Returns the retention that keeps every version that one of two keeps.
    func joined(with other: VersionRetention) -> VersionRetention {
        var joined = self
        joined.count = count.flatMap { count in other.count.map { Swift.max(count, $0) } }
        joined.period = period.flatMap { period in other.period.map { period.isShorter(than: $0) ? $0 : period } }
        joined.shortestStay = shortestStay.flatMap { stay in
            other.shortestStay.map { stay.isShorter(than: $0) ? stay : $0 }
        }
        return joined
    }

    /// Reads `all`, or up to three parts: the number, the time after replacement, and the minimum time as
    /// present version.
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

/// A number of bytes as a user writes it: `5M` is 5 × 1024 × 1024, as in PHP, whose limits the products'
/// messages quote.
public struct ByteCount: Hashable, Sendable, CustomStringConvertible {
    /// The number of bytes.
    public let bytes: Int64
    /// The text as it was written.
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

    /// Reads a limit; nil for `none`.
    init?(limit text: String) throws(Policy.Objection) {
        if text == "none" { return nil }
        guard let count = ByteCount(text) else {
            throw Policy.Objection("it is a number of bytes such as 5242880, 5M or 20G, or none")
        }
        self = count
    }
}
