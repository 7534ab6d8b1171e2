/// The name of a setting for uploads into a folder: `user.policy.` plus this name.
public enum PolicyKey: RawRepresentable, Hashable, Sendable {
    case preset
    case overwrite
    case duplicates
    case scope
    case access
    case ttl
    case store
    case autostore
    case noEXIF
    case maxSize
    case quota
    case allowedTypes
    case forbiddenTypes
    case forbiddenNames
    case temporaryNames
    case junkNames
    case scan
    case versions
    case trash
    case writeBack
    /// The type of a field: `field.` plus its name.
    case field(Field)

    /// All keys, except those of single fields.
    public static let general: [PolicyKey] = [
        .preset, .overwrite, .duplicates, .scope, .access, .ttl, .store, .autostore, .noEXIF, .maxSize, .quota,
        .allowedTypes, .forbiddenTypes, .forbiddenNames, .temporaryNames, .junkNames, .scan, .versions, .trash,
        .writeBack,
    ]

    /// All keys, for a message.
    public static let choices = (general.map(\.rawValue) + ["field.NAME"]).joined(separator: ", ")

    /// Creates a key by its name; nil if no key has that name.
    public init?(rawValue: String) {
        if let key = Self.general.first(where: { $0.rawValue == rawValue }) {
            self = key
        } else if rawValue.hasPrefix(Self.fieldPrefix),
            let field = Field(String(rawValue.dropFirst(Self.fieldPrefix.count)))
        {
            self = .field(field)
        } else {
            return nil
        }
    }

    /// The name of the key.
    public var rawValue: String {
        switch self {
        case .preset: "preset"
        case .overwrite: "overwrite"
        case .duplicates: "duplicates"
        case .scope: "scope"
        case .access: "access"
        case .ttl: "ttl"
        case .store: "store"
        case .autostore: "autostore"
        case .noEXIF: "no_exif"
        case .maxSize: "max_size"
        case .quota: "quota"
        case .allowedTypes: "allowed_types"
        case .forbiddenTypes: "forbidden_types"
        case .forbiddenNames: "forbidden_names"
        case .temporaryNames: "temporary_names"
        case .junkNames: "junk_names"
        case .scan: "scan"
        case .versions: "versions"
        case .trash: "trash"
        case .writeBack: "write_back"
        case .field(let field): Self.fieldPrefix + field.name
        }
    }

    /// The prefix of the names of keys of single fields.
    public static let fieldPrefix = "field."

    /// Whether uploads may be rejected or filed by it; otherwise it concerns only assets that are uploaded
    /// already.
    public var concernsUploads: Bool {
        switch self {
        case .access, .ttl, .autostore, .versions, .trash, .field: false
        default: true
        }
    }

    /// The value if no folder sets one; nil if there is no default.
    public var defaultValue: String? {
        switch self {
        case .preset, .access, .ttl, .maxSize, .quota, .temporaryNames, .junkNames, .field: nil
        case .overwrite, .autostore: "true"
        case .duplicates: "NONE"
        case .scope: "EXACT_FOLDER"
        case .store: "1"
        case .noEXIF, .writeBack: "false"
        case .allowedTypes: "*"
        case .forbiddenTypes, .forbiddenNames: "none"
        case .scan: "off"
        case .versions: "20,P30D"
        case .trash: "P1D"
        }
    }
}

/// Settings by which a folder answers uploads as one of the products does.
public enum Preset: String, CaseIterable, Sendable {
    /// The folder works as on any filesystem.
    case posix
    /// A taken name keeps its file, and the new one gets the next free number.
    case hubspot
    /// Content that the library already has is rejected.
    case openasset
    /// Content that the library already has is rejected, and so are names and types that a web server would
    /// execute.
    case resourcespace
    /// Files expire after a day unless they are stored.
    case uploadcare

    /// The settings of a preset, for all keys that any preset sets, so that `posix` cancels the others.
    public var settings: [(key: PolicyKey, value: String)] {
        let values: [PolicyKey: String] =
            switch self {
            case .posix: [:]
            case .hubspot: [.overwrite: "false", .trash: "P30D"]
            case .openasset: [.overwrite: "false", .duplicates: "REJECT", .scope: "ENTIRE_PORTAL"]
            case .resourcespace:
                [
                    .duplicates: "REJECT", .scope: "ENTIRE_PORTAL", .forbiddenTypes: Self.bannedExtensions,
                    .forbiddenNames: Self.bannedNames,
                ]
            case .uploadcare: [.overwrite: "false", .store: "0", .trash: "none"]
            }
        return Self.plain.map { ($0.key, values[$0.key] ?? $0.value) }
    }

    private static let plain: [(key: PolicyKey, value: String)] = [
        (.overwrite, "true"), (.duplicates, "NONE"), (.scope, "EXACT_FOLDER"), (.store, "1"), (.forbiddenTypes, "none"),
        (.forbiddenNames, "none"), (.trash, "P1D"),
    ]

    // ResourceSpace's default list, without `crdownload`: a browser's unfinished download is never an asset
    // here, and browsers fail when it is rejected.
    private static let bannedExtensions = """
        php cgi pl exe asp aspx js jsp sh bash phtml xhtml rhtml shtml phps phpt phar py jar css swf htaccess htpasswd
        """
    private static let bannedNames = """
        .htaccess .htpasswd crossdomain.xml clientaccesspolicy.xml ??????~[0-9] ??????~[0-9].*
        """
}
