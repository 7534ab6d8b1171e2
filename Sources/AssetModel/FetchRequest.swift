/// A request to fetch a URL, with Uploadcare's other `from_url` parameters, each on a line of its own.
public struct FetchRequest: Equatable, Sendable {
    /// The URL; http or https.
    public let url: String
    /// The name for the file; nil for the one that the server gives.
    public var name: EntryName?
    /// Whether a file that was fetched from the same URL before, and remembered, is the result.
    public var checksDuplicates = false
    /// Whether the URL is remembered; by default the value of `checksDuplicates`.
    public var savesDuplicates = false
    /// Free metadata of the file.
    public var metadata: [(key: String, value: String)] = []

    /// Returns whether two requests are equal.
    public static func == (a: FetchRequest, b: FetchRequest) -> Bool { a.text == b.text }

    /// Reads a request.
    public init(_ text: String) throws(FetchProblem) {
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map(String.init)
        url = lines[0].trimmingSpaces
        try Self.check(url)
        var saves: Bool?
        for line in lines.dropFirst() where !line.trimmingSpaces.isEmpty {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2 else { throw FetchProblem(.invalid, "“\(Shown.value(line))” is not NAME=VALUE.") }
            let (key, value) = (parts[0].trimmingSpaces, parts[1].trimmingSpaces)
            switch key {
            case "filename":
                guard let name = try? EntryName(value) else {
                    throw FetchProblem(.invalid, "filename: “\(Shown.value(value))” is no name of a file.")
                }
                self.name = name
            case "check_URL_duplicates": checksDuplicates = try Self.flag(key, value)
            case "save_URL_duplicates": saves = try Self.flag(key, value)
            case _ where key.hasPrefix("metadata[") && key.hasSuffix("]"):
                let name = String(key.dropFirst(9).dropLast())
                guard let field = Field(Field.metadataPrefix + name) else {
                    throw FetchProblem(
                        .invalid,
                        "metadata: “\(Shown.value(name))” is no key: 1 to 64 of A-Z a-z 0-9 _ - . :"
                    )
                }
                if let objection = field.objection(to: Array(value.utf8)) {
                    throw FetchProblem(
                        .invalid,
                        "metadata[\(Shown.value(name))] cannot be “\(Shown.value(value))”: \(objection.reason)."
                    )
                }
                metadata.append((name, value))
            default:
                throw FetchProblem(
                    .invalid,
                    "There is no “\(Shown.value(key))”; there are filename, check_URL_duplicates, save_URL_duplicates and metadata[KEY]."
                )
            }
        }
        guard metadata.count <= Field.metadataLimit else {
            throw FetchProblem(.invalid, "There are \(metadata.count) keys of metadata; \(Field.metadataLimit) may be.")
        }
        savesDuplicates = saves ?? checksDuplicates
    }

    /// The request as text that `init` reads.
    public var text: String {
        var lines = [url]
        if let name { lines.append("filename=\(name)") }
        lines.append("check_URL_duplicates=\(checksDuplicates ? 1 : 0)")
        lines.append("save_URL_duplicates=\(savesDuplicates ? 1 : 0)")
        for (key, value) in metadata { lines.append("metadata[\(key)]=\(value)") }
        return lines.joined(separator: "\n")
    }

    private static func flag(_ key: String, _ value: String) throws(FetchProblem) -> Bool {
        switch value.lowercased() {
        case "1", "true": return true
        case "0", "false": return false
        default: throw FetchProblem(.invalid, "\(key) is 0 or 1.")
        }
    }

    /// Checks a URL without a request to a server.
    private static func check(_ url: String) throws(FetchProblem) {
        guard let colon = url.firstRange(of: "://") else {
            throw FetchProblem(.schemeRequired, "No URL scheme supplied.")
        }
        let scheme = url[..<colon.lowerBound].lowercased()
        guard scheme == "http" || scheme == "https" else {
            throw FetchProblem(
                .schemeInvalid,
                "Invalid URL scheme: “\(Shown.value(scheme))”; http and https are fetched."
            )
        }
        let rest = url[colon.upperBound...]
        let authority = rest.prefix { !"/?#".contains($0) }
        let host = authority.split(separator: "@", omittingEmptySubsequences: false).last ?? ""
        guard !host.isEmpty, host.first != ":" else { throw FetchProblem(.hostRequired, "No URL host supplied.") }
        let isHost = host.utf8.allSatisfy {
            (0x30...0x3A).contains($0) || (0x41...0x5D).contains($0) && $0 != 0x5C || (0x61...0x7A).contains($0)
                || [0x2D, 0x2E, 0x5F, 0x25].contains($0)
        }
        guard isHost else { throw FetchProblem(.hostMalformed, "URL host is malformed: “\(Shown.value(host))”.") }
        guard url.utf8.count <= 8000, url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw FetchProblem(
                .parsingFailed,
                "Failed to parse URL: it has more than 8000 bytes, a space, or what has to be written as %XX."
            )
        }
    }

    // MARK: Names

    /// Returns the name of a fetched file, from the server's Content-Disposition or else from the URL, and
    /// the name as given there.
    ///
    /// Uploadcare's rule: characters other than ASCII letters, digits, dots and underscores are left out; a
    /// name without any is `original`.
    public static func name(disposition: String, url: String) -> (name: String, original: String) {
        let said = nameInDisposition(disposition) ?? nameInURL(url)
        let base = said.unicodeScalars.split(whereSeparator: { $0 == "/" || $0 == "\\" }).last.map(String.init) ?? ""
        let kept = base.unicodeScalars.filter {
            $0.isASCII && ($0.properties.isAlphabetic || $0.properties.numericType != nil || $0 == "." || $0 == "_")
        }
        // A URL must not create a hidden file, or one that desktops or servers treat specially.
        var bytes = Array(String(String.UnicodeScalarView(kept)).utf8.drop { $0 == 0x2E })
        if bytes.count > 200 {
            let end = bytes.lastIndex(of: 0x2E).map { bytes[$0...] } ?? []
            bytes = end.count <= 20 ? Array(bytes.prefix(200 - end.count) + end) : Array(bytes.prefix(200))
        }
        let hasStem = bytes.contains { $0 != 0x2E }
        return (hasStem ? String(decoding: bytes, as: UTF8.self) : "original", base)
    }

    private static func nameInURL(_ url: String) -> String {
        let path = url.prefix { $0 != "?" && $0 != "#" }
        guard let start = path.firstRange(of: "://") else { return "" }
        let parts = path[start.upperBound...].split(separator: "/", omittingEmptySubsequences: false)
        return parts.count > 1 ? percentDecoded(String(parts[parts.count - 1])) : ""
    }

    /// Returns the name in a Content-Disposition header; RFC 6266: `filename*` takes precedence over
    /// `filename`.
    private static func nameInDisposition(_ text: String) -> String? {
        var plain: String?
        for part in parameters(of: text) {
            let pair = part.split(separator: "=", maxSplits: 1).map { String($0).trimmingSpaces }
            guard pair.count == 2 else { continue }
            switch pair[0].lowercased() {
            case "filename*":
                let pieces = pair[1].split(separator: "'", maxSplits: 2, omittingEmptySubsequences: false)
                if pieces.count == 3 { return percentDecoded(String(pieces[2])) }
            case "filename":
                var value = pair[1]
                if value.count > 1, value.first == "\"", value.last == "\"" {
                    value = String(value.dropFirst().dropLast()).split(
                        separator: "\\\"",
                        omittingEmptySubsequences: false
                    ).joined(separator: "\"")
                }
                plain = value
            default: break
            }
        }
        return plain
    }

    /// Splits a text at semicolons, except at those in quotation marks.
    private static func parameters(of text: String) -> [String] {
        var (parts, isQuoted) = ([""], false)
        for character in text {
            if character == "\"" { isQuoted.toggle() }
            if character == ";", !isQuoted { parts.append("") } else { parts[parts.count - 1].append(character) }
        }
        return parts.map(\.trimmingSpaces)
    }

    private static func percentDecoded(_ text: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            // > pct-encoded = "%" HEXDIG HEXDIG — RFC 3986, 2.1
            let digits = String(decoding: rest.prefix(2), as: UTF8.self).lowercased()
            if byte == 0x25, let value = [UInt8](hexadecimal: digits)?.first {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
