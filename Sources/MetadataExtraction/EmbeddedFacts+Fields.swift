internal import AssetModel

// Maps tags to fields: in the order of the Metadata Working Group's guidelines 2.0, which ExifTool's `MWG`
// tags follow; after them the tags that each kind of file has besides.
extension EmbeddedFacts {
    /// Returns the fields that are embedded in the file.
    func fields(of media: MediaFacts) -> [(field: Field, value: String)] {
        let isVideo = media.type.hasPrefix("video/")
        var found: [(String, String?)] = [
            ("caption", caption), ("title", title), ("description", longText(isDocument: isDocument(media.type))),
            ("alternative_text", first(["XMP-iptcCore:AltTextAccessibility"])), ("keywords", keywords),
            ("photographer", photographers.isEmpty ? nil : photographers.joined(separator: "; ")),
            ("copyright_holder", copyrightHolder), ("copyright_notice", copyrightNotice), ("rank", rank),
            ("captured_at", isDocument(media.type) ? nil : capturedTime(ofVideo: isVideo)?.description),
            ("gps", position),
            ("camera_make", make), ("camera_model", model), ("lens", lens), ("language", language),
        ]
        for (name, sources, range) in Self.exposure { found.append((name, number(sources, range))) }
        return found.compactMap { name, value in
            guard let field = Field(name), let value = value.map({ Self.cleaned($0) }), !value.isEmpty,
                field.objection(to: Array(value.utf8)) == nil
            else { return nil }
            return (field, value)
        }
    }

    private func isDocument(_ type: String) -> Bool { type.hasPrefix("application/") || type.hasPrefix("text/") }

    /// Converts line ends to Unix's, and removes characters that a terminal would interpret.
    private static func cleaned(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        var wasReturn = false
        for scalar in text.unicodeScalars {
            if scalar == "\r" {
                result.append("\n")
            } else if scalar == "\n" {
                if !wasReturn { result.append(scalar) }
            } else if scalar
                == "\t" || scalar.properties.generalCategory != .control
            {
                result.append(scalar)
            }
            wasReturn = scalar == "\r"
        }
        return String(String(result).trimmingSpaces.prefix(65_536))
    }

    // MARK: Words

    private var caption: String? {
        first(
            [
                "MWG:Description", "XMP-dc:Description", "IPTC:Caption-Abstract", "IFD0:ImageDescription",
                "ExifIFD:UserComment",
                "IFD0:XPComment", "File:Comment", "PNG:Description", "PNG:Comment", "Keys:Description",
                "ItemList:Description",
                "UserData:Comment", "ID3*:Comment", "Vorbis:Description", "Vorbis:Comment", "ItemList:Comment",
                "APE:Comment",
                "ASF:Description", "RIFF:Comment",
            ],
            where: { !Self.isJunk($0) }
        )
    }

    private var title: String? {
        first(
            [
                "XMP-dc:Title", "IPTC:ObjectName", "IFD0:XPTitle", "PNG:Title", "Keys:Title", "Keys:DisplayName",
                "ItemList:Title",
                "UserData:Title", "ID3*:Title", "Vorbis:Title", "APE:Title", "ASF:Title", "Matroska:Title",
                "RIFF:Title",
                "PDF:Title", "XML-dc:Title", "FlashPix:Title", "PostScript:Title", "HTML:Title", "RTF:Title",
                "ID3v1:Title",
            ],
            where: { !$0.hasPrefix("Microsoft Word - ") && $0.lowercased() != "untitled" }
        )
    }

    private func longText(isDocument: Bool) -> String? {
        if let text = first(["XMP-iptcCore:ExtDescrAccessibility"]) { return text }
        return isDocument ? first(["XML-dc:Description", "PDF:Subject", "FlashPix:Subject", "FlashPix:Comments"]) : nil
    }

    /// The keywords, merged from all tags that hold them; each once, in its first spelling.
    private var keywords: String? {
        var seen: Set<String> = []
        var result: [String] = []
        func add(_ names: [String], separators: String = "", leafAfter: Character? = nil) {
            for value in names.flatMap({ self[$0] }) {
                for part in value.split(whereSeparator: { separators.contains($0) }) {
                    let leaf = leafAfter.flatMap { part.split(separator: $0).last } ?? part
                    // A comma in a keyword would split it: KFileMetaData shows U+201A instead.
                    let word = String(leaf).trimmingSpaces.map { $0 == "," ? "\u{201A}" : $0 }
                    guard !word.isEmpty, result.count < 1000, seen.insert(String(word).lowercased()).inserted else {
                        continue
                    }
                    result.append(String(String(word).prefix(256)))
                }
            }
        }
        add(["MWG:Keywords", "XMP-dc:Subject", "IPTC:Keywords"])
        add(["XMP-lr:HierarchicalSubject"], leafAfter: "|")
        add(["XMP-digiKam:TagsList", "XMP-microsoft:LastKeywordXMP"], leafAfter: "/")
        add(["IFD0:XPKeywords"], separators: ";")
        add(["PDF:Keywords", "XMP-pdf:Keywords", "XML:Keywords", "FlashPix:Keywords"], separators: ",;")
        add(["XMP-meta:Keyword", "ItemList:Keyword", "Keys:Keywords"])
        return result.isEmpty ? nil : result.joined(separator: ",")
    }

    /// Returns whether a text is a default of cameras and programs, and not written by a person.
    private static func isJunk(_ text: String) -> Bool {
        let text = text.trimmingSpaces.lowercased()
        let whole: Set<String> = [
            "olympus digital camera", "sony dsc", "minolta digital camera", "konica minolta digital camera",
            "sanyo digital camera", "ge digital camera", "samsung", "samsung digital camera", "digital camera",
            "binary comment",
            "exif jpeg", "exif_jpeg", "exif_jpeg_picture", "exif jpeg picture", "dcf 1.0", "default",
            "image description",
            "untitled", "ascii",
        ]
        let beginnings = [
            "dcim\\", "created with gimp", "created with the gimp", "created by gimp", "created by the gimp",
            "creator: gd-jpeg",
            "<metadata>", "(itun", "(xxx)",
        ]
        if whole.contains(text) || beginnings.contains(where: { text.hasPrefix($0) }) { return true }
        return text.hasPrefix("<") && text.hasSuffix(">")
            || text.hasPrefix("r:") && text.contains(" g:") && text.contains(" b:")
    }

    // MARK: People and rights

    private var photographers: [String] {
        let names = firstList([
            "MWG:Creator", "XMP-dc:Creator", "IPTC:By-line", "IFD0:Artist", "IFD0:XPAuthor", "Keys:Artist",
            "Keys:Author",
            "ItemList:Artist", "ID3*:Artist", "Vorbis:Artist", "APE:Artist", "RIFF:Artist", "ASF:Author", "PDF:Author",
            "XML-dc:Creator", "FlashPix:Author", "XMP-meta:Initial-creator", "ID3v1:Artist",
        ])
        return names.flatMap { $0.split(separator: ";").map { String($0).trimmingSpaces } }.filter { !$0.isEmpty }
    }

    private var copyrightNotice: String? {
        // EXIF has the photographer's notice, and behind a NUL the editor's.
        first([
            "MWG:Copyright", "XMP-dc:Rights", "IPTC:CopyrightNotice", "IFD0:Copyright", "ID3*:Copyright",
            "Vorbis:Copyright",
            "ASF:Copyright", "ItemList:Copyright", "XML-dc:Rights",
        ]).map { String($0.split(separator: "\n").first ?? "") }
    }

    private var copyrightHolder: String? {
        if let owner = first([
            "XMP-plus:CopyrightOwnerName", "XMP-plus:CopyrightOwnerCopyrightOwnerName", "XMP-xmpRights:Owner",
        ]) {
            return owner
        }
        return copyrightNotice.flatMap(Self.holder)
    }

    /// Returns the holder that a notice such as `© 2011-2014 Jane Doe. All rights reserved.` names.
    static func holder(inNotice notice: String) -> String? {
        var rest = Substring(notice.trimmingSpaces)
        var hasMark = false
        for mark in ["copyright", "(c)", "©"] where rest.lowercased().hasPrefix(mark) {
            rest = Substring(String(rest.dropFirst(mark.count)).trimmingSpaces)
            hasMark = true
        }
        let years = rest.prefix { $0.isASCII && $0.isNumber || " ,-–:".contains($0) }
        guard hasMark, years.contains(where: \.isNumber) || years.isEmpty else { return nil }
        var holder = String(rest.dropFirst(years.count))
        // Lower-casing a text may change its indices; in that case the whole text is taken as the name.
        let lower = holder.lowercased()
        if lower.utf8.count == holder.utf8.count, let end = lower.range(of: "all rights reserved") {
            holder = String(
                decoding: holder.utf8.prefix(lower.utf8.distance(from: lower.startIndex, to: end.lowerBound)),
                as: UTF8.self
            )
        }
        let name = holder.trimmingSpaces.trimming { ".,;".contains($0) }
        return name.isEmpty ? nil : name
    }

    private var language: String? { first(["XMP-dc:Language", "PDF:Language", "XML-dc:Language"]) }

    /// The rating as desktops count it: twice the number of stars.
    private var rank: String? {
        func stars(_ names: [String], _ scale: [Double]) -> Int? {
            guard let value = first(names).flatMap(Double.init), value > 0 else { return nil }
            return scale.enumerated().min { abs($0.element - value) < abs($1.element - value) }.map { $0.offset + 1 }
        }
        let count =
            stars(["MWG:Rating", "XMP-xmp:Rating", "IFD0:Rating", "XMP-acdsee:Rating"], [1, 2, 3, 4, 5])
            ?? stars(
                ["XMP-microsoft:RatingPercent", "IFD0:RatingPercent", "ASF:SharedUserRating"],
                [1, 25, 50, 75, 99]
            )
        return count.map { String($0 * 2) }
    }

    // MARK: The camera

    private var make: String? {
        first([
            "IFD0:Make", "XMP-tiff:Make", "Keys:Make", "Keys:AndroidMake", "UserData:Make", "RIFF:Make",
            "MIE-Camera:Make",
        ])
        .map(Self.singleSpaced)
    }

    /// The model without the make, which some cameras repeat in it.
    private var model: String? {
        guard
            let model = first([
                "IFD0:Model", "XMP-tiff:Model", "Keys:Model", "Keys:AndroidModel", "UserData:Model", "RIFF:Model",
                "MIE-Camera:Model",
            ]).map(Self.singleSpaced)
        else { return nil }
        guard let make, model.lowercased().hasPrefix(make.lowercased() + " ") else { return model }
        return String(model.dropFirst(make.count + 1))
    }

    private static func singleSpaced(_ text: String) -> String { text.split(separator: " ").joined(separator: " ") }

    private var lens: String? {
        let isName = { (text: String) in
            !text.contains("Unknown") && !text.contains("----") && !text.contains(" or ")
                && text.contains { $0.isLetter } && !text.lowercased().hasPrefix("0x") && !text.hasPrefix("n/a")
        }
        if let lens = first(["Composite:LensID"], where: isName) { return Self.singleSpaced(lens) }
        if let lens = first(
            ["ExifIFD:LensModel", "XMP-exifEX:LensModel", "XMP-aux:Lens", "Composite:Lens"],
            where: isName
        ) {
            return Self.singleSpaced(lens)
        }
        // EXIF's LensInfo: shortest and longest focal length, and the f-number at each.
        let parts = self["ExifIFD:LensInfo"].first?.split(separator: " ").map { Double($0) } ?? []
        guard parts.count == 4, let short = parts[0], let long = parts[1], short > 0, long >= short else { return nil }
        let length = short == long ? "\(Self.plain(short))mm" : "\(Self.plain(short))-\(Self.plain(long))mm"
        guard let widest = parts[2], widest > 0 else { return length }
        let narrow = parts[3].map { $0 > 0 && $0 != widest ? "-\(Self.plain($0))" : "" } ?? ""
        return "\(length) f/\(Self.plain(widest))\(narrow)"
    }

    private static func plain(_ number: Double) -> String {
        number == number.rounded() && abs(number) < 1e9 ? String(Int64(number)) : String(number)
    }

    private static let exposure: [(name: String, sources: [String], range: ClosedRange<Double>)] = [
        ("exposure_time", ["ExifIFD:ExposureTime", "XMP-exif:ExposureTime", "Composite:ShutterSpeed"], 1e-7...86_400),
        ("f_number", ["ExifIFD:FNumber", "XMP-exif:FNumber", "Composite:Aperture"], 0.5...128),
        ("iso", ["ExifIFD:ISO", "XMP-exif:ISOSpeedRatings", "Composite:ISO"], 1...10_000_000),
        ("focal_length", ["ExifIFD:FocalLength", "XMP-exif:FocalLength"], 0.1...100_000),
    ]

    private func number(_ names: [String], _ range: ClosedRange<Double>) -> String? {
        for name in names {
            // Some tags hold several values: “100 0”.
            guard let text = self[name].first?.split(separator: " ").first, let number = Double(text),
                range.contains(number)
            else { continue }
            return String(text)
        }
        return nil
    }

    // MARK: The place

    /// The latitude and longitude, and the altitude where there is one.
    var position: String? {
        for group in ["Composite", "XMP-exif"] {
            guard let latitude = self["\(group):GPSLatitude"].first.flatMap(Double.init),
                let longitude = self["\(group):GPSLongitude"].first.flatMap(Double.init),
                abs(latitude) <= 90, abs(longitude) <= 180, latitude != 0 || longitude != 0
            else { continue }
            var text = "\(Self.decimal(latitude)),\(Self.decimal(longitude))"
            if let altitude = self["\(group):GPSAltitude"].first.flatMap(Double.init), abs(altitude) < 1e5 {
                text += ",\(Self.decimal(altitude))"
            }
            return text
        }
        return nil
    }

    /// Rounds to seven decimals, about a centimetre.
    private static func decimal(_ number: Double) -> String {
        let rounded = (number * 1e7).rounded() / 1e7
        return plain(rounded).contains("e") ? "0" : plain(rounded)
    }
}

extension String {
    /// Returns the text without some characters at both ends.
    fileprivate func trimming(_ isUnwanted: (Character) -> Bool) -> String {
        guard let start = firstIndex(where: { !isUnwanted($0) }), let end = lastIndex(where: { !isUnwanted($0) }) else {
            return ""
        }
        return String(self[start...end]).trimmingSpaces
    }

    /// Returns the range of another string in this one.
    fileprivate func range(of other: String) -> Range<String.Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(other) { return start..<index(start, offsetBy: other.count) }
            start = index(after: start)
        }
        return nil
    }
}
