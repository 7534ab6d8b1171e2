public import AssetModel

/// The metadata of a file, in the form in which it is stored.
public struct Findings: Sendable {
    /// The MIME type.
    public let mediaType: String
    /// The orientation, EXIF's 1 to 8, where the file has one.
    public let orientation: Int64?
    /// Whether XMP has the orientation, too.
    public let isOrientationInXMP: Bool
    /// The reason why some metadata is missing; nil where none is.
    public let problem: String?
    /// All metadata as a JSON object: `mime_type` and the other properties, `fields`, and `tags`.
    ///
    /// docs/FORMAT.md describes it.
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
    /// The tags under the names of fields, `exif.FNumber`: the first of each name, for there may be several.
    ///
    /// Composite tags, and those about the file as such, are left out.
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
