internal import AssetModel

/// The type of a file and its measurable properties.
struct MediaFacts {
    let type: String
    let charset: String?
    /// The displayed size, after the orientation.
    let size: (width: Int64, height: Int64)?
    /// The orientation, EXIF's 1 to 8; 1, 6, 3 or 8 for the rotation of a film.
    let orientation: Int64?
    /// The duration in seconds.
    let duration: Double?
    let hasAudio: Bool
    let hasVideo: Bool
    let pages: Int64?
    private let probed: ProbedFacts
    private let embedded: EmbeddedFacts

    init(_ probed: ProbedFacts, _ embedded: EmbeddedFacts) {
        self.embedded = embedded
        let said = embedded["File:MIMEType"].first
        let isPicture = said?.hasPrefix("image/") ?? false
        // To libavformat a raw picture of some cameras looks like a film of one second.
        self.probed = isPicture ? ProbedFacts() : probed
        hasAudio = !isPicture && !probed.audio.isEmpty
        hasVideo = !isPicture && !probed.video.isEmpty
        type = MediaType.merged(probed.type, embedded, hasAudio: hasAudio, hasVideo: hasVideo)
        charset = type.hasPrefix("text/") ? Self.charset(probed.charset) : nil
        let isHEIF = ["image/heic", "image/heif", "image/avif", "image/heic-sequence", "image/heif-sequence"].contains(
            type
        )
        orientation = Self.orientation(self.probed, embedded, isHEIF: isHEIF)
        size = Self.size(self.probed, embedded, type, orientation)
        duration = Self.duration(self.probed, embedded, type)
        pages = Self.pages(embedded)
    }

    private static func charset(_ said: String?) -> String? {
        switch said {
        case nil, "binary", "unknown-8bit": nil
        case "us-ascii": "utf-8"  // ASCII is a subset of UTF-8
        case let charset: charset
        }
    }

    private static func orientation(_ probed: ProbedFacts, _ embedded: EmbeddedFacts, isHEIF: Bool) -> Int64? {
        let clockwise: [Int: Int64] = [0: 1, 90: 6, 180: 3, 270: 8]
        // A number from a worker may be beyond any integer.
        if let video = probed.video.first {
            return Int(exactly: (video.number("rotation") ?? 0).rounded(.towardZero)).flatMap { clockwise[$0] }
        }
        if isHEIF {
            // irot counts counter-clockwise, and EXIF's orientation is ignored: ISO/IEC 23008-12, 6.5.10.
            guard let said = embedded["QuickTime:Rotation"].first.flatMap(Double.init),
                let turned = Int(exactly: said.rounded(.towardZero))
            else { return 1 }
            return clockwise[(360 - turned % 360) % 360] ?? 1
        }
        for name in ["IFD0:Orientation", "MWG:Orientation", "XMP-tiff:Orientation"] {
            if let value = embedded[name].first.flatMap(Int64.init), (1...8).contains(value) { return value }
        }
        return nil
    }

    private static func size(
        _ probed: ProbedFacts,
        _ embedded: EmbeddedFacts,
        _ type: String,
        _ orientation: Int64?
    ) -> (Int64, Int64)? {
        func pair(_ width: Double?, _ height: Double?) -> (Int64, Int64)? {
            guard let width, let height, (1...1e7).contains(width), (1...1e7).contains(height) else { return nil }
            let stored = (Int64(width), Int64(height))
            return orientation ?? 1 >= 5 ? (stored.1, stored.0) : stored
        }
        if let video = probed.video.first { return pair(video.number("width"), video.number("height")) }
        guard type.hasPrefix("image/") || type.hasPrefix("video/") || type == "application/postscript" else {
            return nil
        }
        func number(_ name: String) -> Double? {
            // SVG may have “100%”.
            embedded[name].first.flatMap(Double.init)
        }
        let parts = embedded["Composite:ImageSize"].first?.split { $0 == " " || $0 == "x" }.map { Double($0) } ?? []
        if parts.count == 2, let found = pair(parts[0], parts[1]) { return found }
        for group in ["File", "PNG", "GIF", "SVG"] {
            if let found = pair(number("\(group):ImageWidth"), number("\(group):ImageHeight")) { return found }
        }
        return nil
    }

    private static func duration(_ probed: ProbedFacts, _ embedded: EmbeddedFacts, _ type: String) -> Double? {
        var seconds = probed.whole.number("duration")
        if seconds == nil, probed.audio.isEmpty, probed.video.isEmpty || type == "image/gif" {
            // ExifTool estimates the duration where a format does not record it; without streams there is no
            // other source.
            seconds = embedded.first(["GIF:Duration", "QuickTime:Duration", "MIDI:Duration", "Flash:Duration"]).flatMap(
                Double.init
            )
        }
        // A duration of more than ten years comes from a broken header.
        return seconds.flatMap { $0 > 0 && $0 < 315_360_000 ? $0 : nil }
    }

    private static func pages(_ embedded: EmbeddedFacts) -> Int64? {
        let names = [
            "PDF:PageCount", "XML:Pages", "XML:Slides", "XMP-meta:Document-statisticPage-count",
            "XMP-meta:Document-statisticPageCount", "FlashPix:Pages", "FlashPix:Slides", "MS-DOC:Pages",
            "PostScript:Pages",
        ]
        for name in names {
            if let count = embedded[name].first.flatMap(Int64.init), (1..<1_000_000).contains(count) { return count }
        }
        return nil
    }

    // MARK: As JSON

    func add(to json: inout JSONObject) {
        json.add("mime_type", type)
        json.add("encoding", charset)
        json.add("width", size?.width)
        json.add("height", size?.height)
        json.add("orientation", orientation)
        json.add("duration", number: duration)
        json.add("contains_audio", hasAudio)
        json.add("contains_video", hasVideo)
        json.add("pages", pages)
        let image = type.hasPrefix("image/") ? imageInfo : nil
        let video = hasVideo || hasAudio ? videoInfo : nil
        if let image { json.add("image_info", image) }
        if let video { json.add("video_info", video) }
        var content = JSONObject()
        var mime = JSONObject()
        mime.add("mime", type)
        let parts = type.split(separator: "/", maxSplits: 1).map(String.init)
        mime.add("type", parts.first)
        mime.add("subtype", parts.last)
        content.add("mime", mime)
        if let image { content.add("image", image) }
        if let video { content.add("video", video) }
        json.add("content_info", content)
    }

    /// The properties of Uploadcare's `image_info`.
    private var imageInfo: JSONObject? {
        guard let size else { return nil }
        var info = JSONObject()
        func add(_ name: String, orNull value: String?) {
            if let value { info.add(name, value) } else { info.addNull(name) }
        }
        add("color_mode", orNull: colourMode)
        add("format", orNull: embedded["File:FileType"].first)
        info.add("width", size.width)
        info.add("height", size.height)
        if let orientation { info.add("orientation", orientation) } else { info.addNull("orientation") }
        info.add("sequence", isSequence)
        if let position = embedded.position.flatMap(Position.init) {
            var place = JSONObject()
            place.add("latitude", number: position.latitude)
            place.add("longitude", number: position.longitude)
            info.add("geo_location", place)
        } else {
            info.addNull("geo_location")
        }
        add("datetime_original", orNull: embedded.capturedTime(ofVideo: false)?.description)
        if let resolution {
            info.add("dpi", resolution)
        } else {
            info.addNull("dpi")
        }
        return info
    }

    private var colourMode: String? {
        switch embedded["File:ColorComponents"].first {
        case "1": return "L"
        case "3": return "RGB"
        case "4": return "CMYK"
        default: break
        }
        if let type = embedded["PNG:ColorType"].first {
            return ["0": "L", "2": "RGB", "3": "P", "4": "LA", "6": "RGBA"][type]
        }
        if type == "image/gif" { return "P" }
        guard let kind = embedded["IFD0:PhotometricInterpretation"].first else { return nil }
        return ["0": "L", "1": "L", "2": "RGB", "3": "P", "5": "CMYK", "6": "YCbCr", "8": "LAB"][kind]
    }

    private var isSequence: Bool {
        embedded.first(["GIF:FrameCount", "PNG:AnimationFrames", "RIFF:FrameCount"]).flatMap(Int.init).map { $0 > 1 }
            ?? !embedded["RIFF:AnimationLoopCount"].isEmpty
    }

    /// The resolution in dots per inch, across and down.
    private var resolution: [Int64]? {
        for group in ["JFIF", "IFD0"] {
            guard let x = embedded["\(group):XResolution"].first.flatMap(Double.init),
                let y = embedded["\(group):YResolution"].first.flatMap(Double.init), (1...1e6).contains(x),
                (1...1e6).contains(y)
            else { continue }
            // JFIF 1.02: 0 is an aspect ratio, 1 inches, 2 centimetres; TIFF 6.0: 1 none, 2 inches, 3
            // centimetres.
            let unit = embedded["\(group):ResolutionUnit"].first
            let isMetric = unit == (group == "JFIF" ? "2" : "3")
            guard isMetric || unit == (group == "JFIF" ? "1" : "2") || unit == nil && group == "IFD0" else { continue }
            return [x, y].map { Int64(($0 * (isMetric ? 2.54 : 1)).rounded()) }
        }
        guard embedded["PNG-pHYs:PixelUnits"].first == "1",
            let x = embedded["PNG-pHYs:PixelsPerUnitX"].first.flatMap(Double.init),
            let y = embedded["PNG-pHYs:PixelsPerUnitY"].first.flatMap(Double.init),
            (0..<1e8).contains(x), (0..<1e8).contains(y)
        else { return nil }
        return [x, y].map { Int64(($0 * 0.0254).rounded()) }
    }

    /// The properties of the `video` in Uploadcare's `content_info`; the duration in milliseconds.
    private var videoInfo: JSONObject {
        var info = JSONObject()
        info.add("duration", number: duration.map { ($0 * 1000).rounded() })
        info.add("format", probed.whole.name)
        info.add("bitrate", number: probed.whole.number("bitrate"))
        func streams(_ streams: [ProbedFacts.Stream], _ names: [String]) -> [JSONObject] {
            streams.map { stream in
                var object = JSONObject()
                object.add("codec", stream.name)
                for name in names { object.add(name, number: stream.number(name)) }
                object.add("profile", stream["profile"])
                return object
            }
        }
        info.add("audio", streams(probed.audio, ["bitrate", "sample_rate", "channels"]))
        info.add("video", streams(probed.video, ["width", "height", "frame_rate", "bitrate", "rotation"]))
        return info
    }
}
