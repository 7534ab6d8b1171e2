public import AssetModel

/// What is known of a file's content, ready to be kept.
public struct Findings: Sendable {
    /// Its MIME type.
    public let mediaType: String
    /// EXIF's 1 to 8, where it has one.
    public let orientation: Int64?
    /// Whether XMP has it, too.
    public let isOrientationInXMP: Bool
    /// Why not all of it could be found out; nil where it could.
    public let problem: String?
    /// All of it, as a JSON object: `mime_type` and its like, `fields`, and `tags`.
    ///
    /// docs/FORMAT.md has its shape.
    public let json: JSONObject

    init(_ probed: ProbedFacts, _ embedded: EmbeddedFacts, problem: String?) {
        let media = MediaFacts(probed, embedded)
        mediaType = media.type
        orientation = media.orientation
        isOrientationInXMP = !embedded["XMP-tiff:Orientation"].isEmpty
        self.problem = problem
        var json = JSONObject()
        media.add(to: &json)
        let fields = embedded.fields(of: media)
        var fieldsJSON = JSONObject()
        for (field, value) in fields { fieldsJSON.add(field.name, value) }
        json.add("fields", fieldsJSON)
        var tags = JSONObject()
        for (name, value) in embedded.namedTags { tags.add(name, value) }
        json.add("tags", tags)
        self.json = json
    }
}

extension EmbeddedFacts {
    /// Tags under the names of fields, `exif.FNumber`: the first of each name, for there may be several.
    ///
    /// What is computed from others, and what is about the file as such, is not among them.
    var namedTags: [(name: String, value: String)] {
        var seen: Set<String> = []
        return tags.compactMap { tag in
            let name = "\(tag.outer.lowercased()).\(tag.name)"
            let text = tag.values.joined(separator: ", ")
            guard Field.isTag(name), !text.isEmpty, text.utf8.count <= 4096 else { return nil }
            return seen.insert(name).inserted ? (name, text) : nil
        }
    }
}
