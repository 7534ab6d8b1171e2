public import AssetModel

/// Maps fields to the tags of a copy: the Metadata Working Group's for pictures, which keep EXIF, IPTC and
/// XMP equal; for the other formats each one's own tags besides XMP.
public enum Embedding {
    /// Returns the tags for a copy of a file of some type, for `Editor.embed`; an empty value removes the
    /// present one.
    public static func tags(for fields: [(field: Field, value: String)], type: String) -> [String] {
        fields.flatMap { tags(for: $0.field, $0.value, kind: Kind(type)) }
    }

    /// Returns the tags for a sidecar file beside the copy.
    public static func sidecarTags(for fields: [(field: Field, value: String)]) -> [String] {
        fields.flatMap { tags(for: $0.field, $0.value, kind: .sidecar) }
    }

    private enum Kind {
        case picture, film, document, sidecar

        init(_ type: String) {
            switch type {
            case let type where type.hasPrefix("image/"): self = .picture
            case let type where type.hasPrefix("video/") || type == "audio/mp4": self = .film
            case "application/pdf": self = .document
            default: self = .sidecar
            }
        }
    }

    private static func tags(for field: Field, _ value: String, kind: Kind) -> [String] {
        func list(_ name: String, _ separator: Character) -> [String] {
            let values = value.split(separator: separator).map { String($0).trimmingSpaces }.filter { !$0.isEmpty }
            return values.isEmpty ? ["\(name)="] : values.map { "\(name)+=\($0)" }
        }
        let isPicture = kind == .picture
        switch field.name {
        case "caption":
            // The other places of a caption get the same text, where they exist.
            let others = ["ExifIFD:UserComment", "IFD0:XPComment", "File:Comment", "PNG:Description", "PNG:Comment"]
            return isPicture
                ? ["MWG:Description=\(value)"] + others.map { "\($0)?=\(value)" }
                : ["XMP-dc:Description=\(value)"] + (kind == .film ? ["Keys:Description=\(value)"] : [])
        case "title":
            let others = [
                "IPTC:ObjectName", "IFD0:XPTitle", "PNG:Title", "ItemList:Title", "UserData:Title", "Keys:DisplayName",
            ]
            switch kind {
            case .film: return ["XMP-dc:Title=\(value)", "Keys:Title=\(value)"] + others.map { "\($0)?=\(value)" }
            case .document: return ["XMP-dc:Title=\(value)", "PDF:Title=\(value)"]
            case .picture: return ["XMP-dc:Title=\(value)"] + others.map { "\($0)?=\(value)" }
            case .sidecar: return ["XMP-dc:Title=\(value)"]
            }
        case "description":
            return ["XMP-iptcCore:ExtDescrAccessibility=\(value)"] + (kind == .document ? ["PDF:Subject=\(value)"] : [])
        case "alternative_text": return ["XMP-iptcCore:AltTextAccessibility=\(value)"]
        case "keywords":
            // The hierarchical keywords of other programs would restore removed keywords.
            let paths = [
                "XMP-lr:HierarchicalSubject=", "XMP-digiKam:TagsList=", "XMP-microsoft:LastKeywordXMP=",
                "IFD0:XPKeywords=",
            ]
            return list(isPicture ? "MWG:Keywords" : "XMP-dc:Subject", ",")
                + (kind == .document ? list("PDF:Keywords", ",") + ["XMP-pdf:Keywords="] : isPicture ? paths : [])
        case "photographer":
            let names =
                list(isPicture ? "MWG:Creator" : "XMP-dc:Creator", ";") + (isPicture ? ["IFD0:XPAuthor?=\(value)"] : [])
            return names + (kind == .film ? ["Keys:Author=\(value)"] : kind == .document ? ["PDF:Author=\(value)"] : [])
        case "copyright_notice": return [(isPicture ? "MWG:Copyright" : "XMP-dc:Rights") + "=\(value)"]
        case "copyright_holder": return ["XMP-plus:CopyrightOwnerName=\(value)"]
        case "rank":
            // Half stars are rounded up.
            guard let rank = Int(value), (0...10).contains(rank) else {
                return value.isEmpty ? ["XMP-xmp:Rating="] : []
            }
            return [(isPicture ? "MWG:Rating" : "XMP-xmp:Rating") + "=\((rank + 1) / 2)"]
        case "captured_at": return time(value, kind)
        case "gps": return position(value, kind)
        case "language": return ["XMP-dc:Language=\(value)"]
        case "camera_make": return [(isPicture ? "IFD0:Make" : "XMP-tiff:Make") + "=\(value)"]
        case "camera_model": return [(isPicture ? "IFD0:Model" : "XMP-tiff:Model") + "=\(value)"]
        case "lens": return [(isPicture ? "ExifIFD:LensModel" : "XMP-aux:Lens") + "=\(value)"]
        default: return tag(field.name, value)
        }
    }

    /// Returns the assignment of a tag that a user has set by its own name, where ExifTool writes its group.
    private static func tag(_ name: String, _ value: String) -> [String] {
        let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
        let groups = ["exif": "EXIF", "iptc": "IPTC", "xmp": "XMP"]
        guard parts.count == 2, let group = groups[parts[0]] else { return [] }
        return ["\(group):\(parts[1])=\(value)"]
    }

    private static func time(_ value: String, _ kind: Kind) -> [String] {
        let all: [String] =
            switch kind {
            case .picture:
                ["MWG:DateTimeOriginal", "XMP-exif:DateTimeOriginal", "XMP-photoshop:DateCreated", "MWG:CreateDate"]
            case .film: ["Keys:CreationDate", "XMP-photoshop:DateCreated", "XMP-exif:DateTimeOriginal"]
            case .document, .sidecar: ["XMP-photoshop:DateCreated"]
            }
        guard let time = CapturedTime(value) else { return value.isEmpty ? all.map { "\($0)=" } : [] }
        // EXIF has colons in its dates, and requires the time.
        let text = time.description
        let exif =
            text.prefix(10).map { $0 == "-" ? ":" : String($0) }.joined()
            + text.dropFirst(10).map { $0 == "T" ? " " : String($0) }.joined().replacingZulu
        guard time.time != nil else { return ["XMP-photoshop:DateCreated=\(exif)"] }
        switch kind {
        case .picture: return ["MWG:DateTimeOriginal=\(exif)", "XMP-exif:DateTimeOriginal?=\(exif)"]
        case .film: return ["Keys:CreationDate=\(exif)", "XMP-photoshop:DateCreated=\(exif)"]
        case .document, .sidecar: return ["XMP-photoshop:DateCreated=\(exif)"]
        }
    }

    /// Removes first all tags with a location, of any program: a location that a user has
    /// removed must not be exported.
    private static func position(_ value: String, _ kind: Kind) -> [String] {
        let position = Position(value)
        var tags = ["XMP-exif:GPS*=", "XMP-iptcExt:LocationCreated=", "XMP-iptcExt:LocationShown="]
        switch kind {
        case .picture:
            tags.append("GPS:all=")
            guard let position else { return tags }
            tags += [
                "GPS:GPSLatitude=\(abs(position.latitude))", "GPS:GPSLatitudeRef=\(position.latitude < 0 ? "S" : "N")",
                "GPS:GPSLongitude=\(abs(position.longitude))",
                "GPS:GPSLongitudeRef=\(position.longitude < 0 ? "W" : "E")",
            ]
            guard let altitude = position.altitude else { return tags }
            return tags + ["GPS:GPSAltitude=\(abs(altitude))", "GPS:GPSAltitudeRef=\(altitude < 0 ? 1 : 0)"]
        case .film:
            tags += [
                "UserData:GPSCoordinates=", "ItemList:GPSCoordinates=", "UserData:LocationInformation=",
                "Keys:GPSCoordinates=",
            ]
            guard let position else { return tags }
            let altitude = position.altitude.map { " \($0)" } ?? ""
            return tags.dropLast() + ["Keys:GPSCoordinates=\(position.latitude) \(position.longitude)\(altitude)"]
        case .document, .sidecar:
            if kind == .sidecar { tags = [] }
            guard let position else { return tags }
            tags += ["XMP-exif:GPSLatitude=\(position.latitude)", "XMP-exif:GPSLongitude=\(position.longitude)"]
            guard let altitude = position.altitude else { return tags }
            return tags + ["XMP-exif:GPSAltitude=\(abs(altitude))", "XMP-exif:GPSAltitudeRef=\(altitude < 0 ? 1 : 0)"]
        }
    }
}

extension String {
    /// The text with a numeric zone, as EXIF writes it.
    fileprivate var replacingZulu: String { hasSuffix("Z") ? dropLast() + "+00:00" : self }
}
