/// A part of an asset's description that users edit: text in UTF-8, as attribute `user.asset.` plus the
/// field's name.
public struct Field: Hashable, Sendable {
    /// Its name, such as `caption`, `meta.project` or `exif.FNumber`.
    public let name: String

    private init(known name: String) { self.name = name }

    /// Creates a field by its name; nil if no field has that name.
    public init?(_ name: String) {
        guard
            Self.described.contains(name) || Self.extracted.contains(name) || Self.isMetadata(name) || Self.isTag(name)
        else { return nil }
        self.name = name
    }

    /// A short description of the picture.
    public static let caption = Field(known: "caption")
    /// The title.
    public static let title = Field(known: "title")
    /// The long description.
    public static let description = Field(known: "description")
    /// Keywords for searches, separated by commas.
    public static let keywords = Field(known: "keywords")
    /// The author.
    public static let photographer = Field(known: "photographer")
    /// The owner of the copyright.
    public static let copyrightHolder = Field(known: "copyright_holder")
    /// The copyright notice.
    public static let copyrightNotice = Field(known: "copyright_notice")
    /// A text for users that cannot see the picture.
    public static let alternativeText = Field(known: "alternative_text")
    /// The rating.
    public static let rank = Field(known: "rank")
    /// The local time of the recording, with its zone if known: RFC 3339.
    public static let capturedAt = Field(known: "captured_at")
    /// The position: latitude and longitude, and altitude in metres.
    public static let gps = Field(known: "gps")

    /// The URL that the file was fetched from.
    public static let sourceURL = Field(known: "source_url")
    /// The language of the content.
    public static let language = Field(known: "language")
    /// The encoding of a text, which overrides the detected one.
    public static let charset = Field(known: "charset")

    /// Fields that are listed both when user-set and when extracted.
    private static let described: Set<String> = [
        "caption", "title", "description", "keywords", "photographer", "copyright_holder", "copyright_notice",
        "alternative_text", "rank", "category", "project", "album", "copyright_policy", "charset", "source_url",
    ]
    /// Fields that are listed only when user-set: otherwise copying a file would turn extracted values into
    /// user-set ones.
    private static let extracted: Set<String> = [
        "captured_at", "gps", "camera_make", "camera_model", "lens", "exposure_time", "f_number", "iso", "focal_length",
        "language",
    ]

    /// Whether the field is listed also when its value is extracted.
    public var isListedWhenExtracted: Bool { Self.described.contains(name) }

    /// Whether the value may be extracted from the file, so that a reader waits for the extraction.
    public var isExtracted: Bool {
        !isMetadata && !["category", "project", "album", "copyright_policy", "charset", "source_url"].contains(name)
    }

    // MARK: Free metadata

    /// Whether it is one of Uploadcare's free keys.
    public var isMetadata: Bool { name.hasPrefix(Self.metadataPrefix) }

    /// The prefix of the names of free metadata.
    public static let metadataPrefix = "meta."
    /// The maximum number of free keys of an asset, as with Uploadcare.
    public static let metadataLimit = 50

    /// Returns whether a name is one of free metadata; Uploadcare's rule: 1 to 64 of `A-Z a-z 0-9 _ - . :`.
    private static func isMetadata(_ name: String) -> Bool {
        guard name.hasPrefix(metadataPrefix) else { return false }
        let key = name.utf8.dropFirst(metadataPrefix.utf8.count)
        return (1...64).contains(key.count)
            && key.allSatisfy { Self.isWordCharacter($0) || [0x2D, 0x2E, 0x3A].contains($0) }
    }

    // MARK: Tags

    /// Groups of tags, named as ExifTool's family 0, in lower case.
    public static let tagGroups: Set<String> = [
        "exif", "iptc", "xmp", "photoshop", "jfif", "png", "gif", "riff", "quicktime", "matroska", "asf", "id3",
        "vorbis",
        "theora", "opus", "flac", "ape", "aiff", "mpeg", "ogg", "pdf", "postscript", "flashpix", "xml", "zip", "rtf",
        "html",
        "svg", "mie", "font", "real", "flash", "audible", "dicom", "djvu", "torrent",
    ]

    /// Returns whether a name consists of a group and a tag: `exif.FNumber`.
    public static func isTag(_ name: String) -> Bool {
        let parts = name.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, tagGroups.contains(String(parts[0])) else { return false }
        return (1...100).contains(parts[1].utf8.count) && parts[1].utf8.allSatisfy { isWordCharacter($0) || $0 == 0x2D }
    }

    private static func isWordCharacter(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == 0x5F
    }
}

// MARK: Values

extension Field {
    /// The maximum number of bytes of a value.
    public static let limit = 65_536

    /// The reason why a field cannot have a value, as a part of a sentence.
    public enum Objection: Error, Equatable, Sendable {
        /// The value has no meaning for the field.
        case invalid(String)
        /// The number is beyond the permitted range.
        case outOfRange(String)
        /// The value is too long.
        case tooLong(String)

        /// The reason, as a part of a sentence.
        public var reason: String {
            switch self {
            case .invalid(let reason), .outOfRange(let reason), .tooLong(let reason): reason
            }
        }
    }

    /// Returns the reason why a value cannot be stored; nil if it can be.
    public func objection(to value: [UInt8]) -> Objection? {
        if value.count > Self.limit { return .tooLong("it has \(value.count) bytes, and \(Self.limit) are allowed") }
        if value.contains(0) { return .invalid("it has a NUL byte in it") }
        guard let text = String(validating: value, as: UTF8.self) else { return .invalid("it is not UTF-8 text") }
        if isMetadata {
            // Uploadcare counts characters.
            guard !text.isEmpty else { return .invalid("it is empty, and free metadata has at least one character") }
            let count = text.unicodeScalars.count
            return count > 512 ? .tooLong("it has \(count) characters, and 512 are allowed") : nil
        }
        switch name {
        case "rank":
            let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
            guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }) else {
                return .invalid("it is not a whole number")
            }
            return Int32(text) == nil ? .outOfRange("ranks are from -2147483648 to 2147483647") : nil
        case "captured_at":
            return CapturedTime(text) == nil
                ? .invalid("it is no date such as 2024-05-17, 2024-05-17T14:03:09 or 2024-05-17T14:03:09+02:00") : nil
        case "gps": return Position.objection(to: text)
        case "exposure_time": return Self.objection(to: text, 0...86_400, "seconds")
        case "f_number": return Self.objection(to: text, 0.5...128, "an f-number")
        case "iso": return Self.objection(to: text, 1...10_000_000, "an ISO speed")
        case "focal_length": return Self.objection(to: text, 0.1...100_000, "millimetres")
        default: return nil
        }
    }

    private static func objection(to text: String, _ range: ClosedRange<Double>, _ what: String) -> Objection? {
        guard let number = Double(text), number.isFinite else { return .invalid("it is not a number (\(what))") }
        return range.contains(number)
            ? nil : .outOfRange("it is beyond \(range.lowerBound) to \(range.upperBound) (\(what))")
    }
}

/// A position on the earth: `48.1374,11.5755` or `48.1374,11.5755,519`.
public struct Position: Equatable, Sendable {
    /// Degrees, positive in the north and the east; WGS 84.
    public let latitude: Double
    /// Degrees.
    public let longitude: Double
    /// Metres above the sea.
    public let altitude: Double?

    /// Reads a position.
    public init?(_ text: String) {
        let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map { Double($0.drop { $0 == " " }) }
        guard numbers.count == 2 || numbers.count == 3, let latitude = numbers[0], let longitude = numbers[1],
            abs(latitude) <= 90, abs(longitude) <= 180
        else { return nil }
        if numbers.count == 3, numbers[2].map({ !$0.isFinite }) ?? true { return nil }
        (self.latitude, self.longitude) = (latitude, longitude)
        altitude = numbers.count == 3 ? numbers[2] : nil
    }

    static func objection(to text: String) -> Field.Objection? {
        if Position(text) != nil { return nil }
        let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map { Double($0.drop { $0 == " " }) }
        if numbers.count == 2 || numbers.count == 3, numbers.allSatisfy({ $0?.isFinite ?? false }) {
            return .outOfRange("latitudes are from -90 to 90, longitudes from -180 to 180")
        }
        return .invalid("it is no position such as 48.1374,11.5755 or 48.1374,11.5755,519")
    }
}
