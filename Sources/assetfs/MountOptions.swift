import AssetFilesystem
import AssetLibrary
import AssetModel
import Glibc
internal import LibraryStorage
import SystemPackage

/// The options of `-o`: those of assetfs, and those that are passed to the kernel and libfuse.
struct MountOptions {
    var rootView = AssetFilesystem.RootView.all
    var usesPassthrough = true
    /// Whether files may be opened by handles, as NFS servers do.
    var exportsHandles = false
    /// The policies where no folder sets another value.
    var policies: [(key: PolicyKey, value: String)] = []
    /// The path of clamd's socket.
    var scanner = "/run/clamav/clamd.ctl"
    /// The settings of URL imports; nil where imports are not allowed.
    var fetching: FetchSettings?
    /// The folders besides the library that blobs may be stored in.
    var stores: [(name: String, path: String)] = []
    /// A line of shell that is run for each event.
    var eventCommand: String?
    /// The interval at which all blobs are verified by their SHA-256; nil for only on request.
    var scrubbing = Period("P30D")
    /// The categories of debug lines in the log.
    var debug: Set<DebugCategory> = []
    /// The options of mount(8), fuse(8) and libfuse.
    var system = SystemOptions()

    /// A sentence about an invalid option.
    struct Invalid: Error {
        let sentence: String
        /// Whether the option itself is refused or unknown, and not a value of an assetfs option.
        var isRefusal = false
    }

    /// Parses the comma-separated lists of `-o`, in their order.
    init(_ lists: [String]) throws(Invalid) {
        for option in lists.flatMap(Self.options) {
            let parts = option.split(separator: "=", maxSplits: 1).map(String.init)
            switch (parts.first ?? "", parts.count > 1 ? parts[1] : nil) {
            case ("view", let value):
                guard let view = value.flatMap(AssetFilesystem.RootView.init) else {
                    let known = AssetFilesystem.RootView.allCases.map(\.rawValue).joined(separator: ", ")
                    throw Invalid(sentence: "“\(option)” is not a view of the mount; there are \(known).")
                }
                rootView = view
            case (let name, let value?) where name.hasPrefix("policy."):
                policies.append(try Self.policy(String(name.dropFirst("policy.".count)), value))
            case ("clamd", let path?) where path.hasPrefix("/"): scanner = path
            case ("clamd", _):
                throw Invalid(sentence: "“\(option)” is no path of a socket; it begins with a slash.")
            case ("fetch", let networks):
                fetching = fetching ?? FetchSettings()
                fetching?.networks = try Self.networks(networks)
            case ("fetch_time", let value):
                guard let seconds = value.flatMap(Int.init), (1...1_000_000).contains(seconds) else {
                    throw Invalid(sentence: "“\(option)” is no number of seconds, such as fetch_time=3600.")
                }
                fetching = fetching ?? FetchSettings()
                fetching?.time = seconds
            case ("on_event", let command?) where RawArguments.isText(command): eventCommand = command
            case ("on_event", _?): throw Invalid(sentence: "“on_event” wants a command that is UTF-8.")
            case ("on_event", nil): throw Invalid(sentence: "“on_event” wants a command: on_event=/usr/local/bin/tell.")
            case ("store", let value): stores.append(try Self.store(value ?? ""))
            case ("scrub", "off"): scrubbing = nil
            case ("scrub", let value):
                let start = Timestamp(rawValue: 0)
                guard let period = value.flatMap({ Period($0) }),
                    period.added(to: start) >= Period.shortestLife.added(to: start)
                else {
                    throw Invalid(
                        sentence:
                            "“\(option)” is neither an ISO 8601 period of a day or more, such as scrub=P30D, nor scrub=off."
                    )
                }
                scrubbing = period
            case ("debug", let categories): debug.formUnion(try Self.categories(categories))
            case ("passthrough", nil): usesPassthrough = true
            case ("nopassthrough", nil): usesPassthrough = false
            case ("export", nil): exportsHandles = true
            case ("noexport", nil): exportsHandles = false
            case (let name, let value): try system.take(name, value)
            }
        }
        try system.check()
    }

    /// Splits a list into options; a comma within a value is written `\,`, as in mount(8).
    private static func options(_ list: String) -> [String] {
        var (options, isEscaped): ([String], Bool) = ([""], false)
        for character in list {
            if isEscaped || character != "," && character != "\\" {
                options[options.count - 1] += (isEscaped && character != "," ? "\\" : "") + String(character)
                isEscaped = false
            } else if character == "," {
                options.append("")
            } else {
                isEscaped = true
            }
        }
        return options.filter { !$0.isEmpty }
    }

    /// Parses categories of debug lines that are given as `fuse+uploads` or `fuse,uploads`; nil and `all`
    /// mean all of them.
    static func categories(_ text: String?) throws(Invalid) -> Set<DebugCategory> {
        var categories: Set<DebugCategory> = []
        for name in (text ?? "all").split(omittingEmptySubsequences: false, whereSeparator: { $0 == "+" || $0 == "," })
        {
            if name == "all" {
                categories.formUnion(DebugCategory.allCases)
            } else if let category = DebugCategory(rawValue: String(name)) {
                categories.insert(category)
            } else {
                throw Invalid(sentence: "debug: “\(name)” is no category; there are \(DebugCategory.choices).")
            }
        }
        return categories
    }

    /// Parses networks that are given as `10.0.0.0/8+fd00::/8`, or `private` for all.
    private static func networks(_ text: String?) throws(Invalid) -> String {
        guard let text, !text.isEmpty else { return "" }
        if text == "private" { return "*" }
        for network in text.split(separator: "+", omittingEmptySubsequences: false) {
            let parts = network.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            var bytes = [UInt8](repeating: 0, count: 16)
            let width =
                unsafe inet_pton(AF_INET, parts[0], &bytes) == 1
                ? 32 : unsafe inet_pton(AF_INET6, parts[0], &bytes) == 1 ? 128 : -1
            guard width > 0, parts.count == 1 || Int(parts[1]).map({ (0...width).contains($0) }) ?? false else {
                throw Invalid(
                    sentence: "fetch: “\(network)” is no network such as 10.0.0.0/8 or fd00::/8; “private” allows all."
                )
            }
        }
        return text
    }

    /// Parses a store that is given as `NAME:FOLDER`.
    private static func store(_ text: String) throws(Invalid) -> (name: String, path: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let isName =
            parts[0].utf8.count <= 64
            && parts[0].utf8.allSatisfy { $0 == 0x2D || $0 == 0x5F || isalnum(Int32($0)) != 0 }
        guard parts.count == 2, isName, parts[0].contains(where: { !$0.isNumber }), parts[0] != "primary",
            parts[1].hasPrefix("/")
        else {
            throw Invalid(
                sentence:
                    "“store=\(text)” is no store: say NAME:FOLDER, such as store=archive:/mnt/archive. A name has letters, digits, - and _, and is not “primary”."
            )
        }
        let path: FilePath?
        do { path = try MountPoint.resolved(FilePath(bytes: RawArguments.bytes(parts[1]))) } catch { path = nil }
        guard let path, RawArguments.isText(parts[1]), let text = String(validating: path.bytes, as: UTF8.self) else {
            throw Invalid(sentence: "“store=\(text)” is no store: the path of a store is UTF-8.")
        }
        return (parts[0], text)
    }

    private static func policy(_ name: String, _ value: String) throws(Invalid) -> (PolicyKey, String) {
        guard let key = PolicyKey(rawValue: name) else {
            throw Invalid(sentence: "There is no policy “\(name)”; there are \(PolicyKey.choices).")
        }
        do throws(Policy.Objection) {
            var policy = Policy()
            try policy.apply(key, value)
        } catch {
            throw Invalid(sentence: "policy.\(name) cannot be “\(value)”: \(error.reason).")
        }
        return (key, value)
    }
}

extension DebugCategory {
    /// The names of the categories, for the user.
    static var choices: String { (allCases.map(\.rawValue) + ["all"]).joined(separator: ", ") }
}
