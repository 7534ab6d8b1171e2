import Foundation
import AssetModel

/// Formats the description of an asset, which a mount gives as JSON, as lines for users.
struct InformationText {
    private(set) var lines: [Sentence] = []

    /// Takes the members of the object; `tags` adds the tags that are embedded in the file.
    init(_ info: [String: Any], tags: Bool) {
        addContent(info)
        addFields(info)
        let rows = [
            ("Asset", "id"), ("UUID", "uuid"), ("Inode", "node"), ("Size", "size"), ("SHA-256", "sha256"),
            ("Versions", "versions"), ("First uploaded", "created"), ("as", "original_filename"),
            ("by user", "user_id"),
            ("Last uploaded", "uploaded"), ("Expires", "expires"),
        ]
        for (label, key) in rows { if let value = info[key] { row(label, "\(value)") } }
        guard tags else { return }
        for (name, value) in (info["tags"] as? [String: String] ?? [:]).sorted(by: { $0.key < $1.key }) {
            lines.append(Sentence(Shown.name(name).padded(to: 36) + Shown.name(value)))
        }
    }

    private mutating func addContent(_ info: [String: Any]) {
        row("File", info["filename"] as? String ?? "")
        switch info["status"] as? String {
        case "processing": row("State", "nobody has looked into it yet")
        case "failed", "infected": row("State", info["error"] as? String ?? "failed")
        default: break
        }
        var kind = info["mime_type"] as? String ?? ""
        if let encoding = info["encoding"] as? String { kind += ", \(encoding)" }
        if let width = info["width"] as? Int, let height = info["height"] as? Int { kind += ", \(width) × \(height)" }
        if let seconds = info["duration"] as? Double { kind += ", \(Self.time(seconds))" }
        if let pages = info["pages"] as? Int { kind += ", " + pages.counted("page") }
        if let video = info["video_info"] as? [String: Any] {
            for key in ["video", "audio"] {
                let codecs = (video[key] as? [[String: Any]] ?? []).compactMap { $0["codec"] as? String }
                if !codecs.isEmpty { kind += ", \(key) \(codecs.joined(separator: " and "))" }
            }
        }
        if !kind.isEmpty { row("Kind", kind) }
        if let turned = info["rotation_since_upload"] as? Int, turned != 0 {
            row("Turned", "\(turned)° clockwise since its upload")
        }
    }

    private mutating func addFields(_ info: [String: Any]) {
        let fields = info["fields"] as? [String: String] ?? [:]
        let own = Set(info["set_by_person"] as? [String] ?? [])
        let order = [
            "title", "caption", "description", "alternative_text", "keywords", "photographer", "copyright_holder",
            "copyright_notice", "rank", "captured_at", "gps", "camera_make", "camera_model", "lens",
        ]
        let exposure = ["exposure_time", "f_number", "iso", "focal_length"]
        let rest = fields.keys.filter { !order.contains($0) && !exposure.contains($0) }.sorted()
        for name in order + rest {
            guard let value = fields[name] else { continue }
            let label =
                name == "gps"
                ? "GPS" : name.contains(".") ? name : name.replacingOccurrences(of: "_", with: " ").capitalizedFirst
            // The lines of a long text are aligned below each other, and none begins in the column of the
            // labels.
            for (number, line) in value.components(separatedBy: "\n").enumerated() {
                row(number == 0 ? label + (own.contains(name) ? " *" : "") : "", line)
            }
        }
        var settings: [String] = []
        if let time = fields["exposure_time"].flatMap(Double.init) {
            // A time so short that its inverse does not fit an integer is shown as it is.
            let part = time > 0 && time < 0.3 ? Int(exactly: (1 / time).rounded()) : nil
            settings.append(part.map { "1/\($0) s" } ?? "\(time) s")
        }
        if let aperture = fields["f_number"] { settings.append("f/\(aperture)") }
        if let speed = fields["iso"] { settings.append("ISO \(speed)") }
        if let length = fields["focal_length"] { settings.append("\(length) mm") }
        if !settings.isEmpty { row("Exposure", settings.joined(separator: ", ")) }
        for (key, value) in (info["metadata"] as? [String: String] ?? [:]).sorted(by: { $0.key < $1.key }) {
            row("meta.\(key) *", value)
        }
    }

    private mutating func row(_ label: String, _ value: String) {
        lines.append(Sentence(Shown.name(label).padded(to: 20) + Shown.name(value)))
    }

    private static func time(_ seconds: Double) -> String {
        guard seconds >= 60, let whole = Int(exactly: seconds.rounded()) else {
            return "\((seconds * 10).rounded() / 10) s"
        }
        let parts = [whole / 3600, whole / 60 % 60, whole % 60].map { $0 < 10 ? "0\($0)" : "\($0)" }
        return (whole >= 3600 ? parts : Array(parts.dropFirst())).joined(separator: ":")
    }
}

extension String {
    fileprivate var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
