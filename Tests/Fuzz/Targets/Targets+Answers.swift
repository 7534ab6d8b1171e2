#if DEBUG || ASSETFS_FUZZ
@testable import AssetLibrary
@testable import AssetModel
import Foundation
@testable import MetadataExtraction

extension FuzzTarget {
    static let probes = FuzzTarget(
        "probes",
        words: [
            "type\0image/png\0", "charset\0utf-8\0", "container\0mov\0", "video\0h264\0", "audio\0aac\0",
            "width\0" + "1920\0", "height\0" + "1080\0",
            "rotation\0" + "90\0", "duration\0" + "1e300\0", "profile\0High\0", "frame_rate\0" + "25\0", "-1e308\0",
            "nan\0",
        ]
    ) { input in
        guard let probed = ProbedFacts(input) else { return }
        try check(Findings(probed, EmbeddedFacts(), problem: nil))
    }

    static let embedded = FuzzTarget(
        "embedded",
        words: [
            "ok\0", "error\0", "EXIF\0", "File\0", "XMP\0", "QuickTime\0", "PNG\0", "IFD0:Orientation\0",
            "File:MIMEType\0", "image/heic\0",
            "image/png\0", "QuickTime:Rotation\0", "PNG-pHYs:PixelUnits\0", "PNG-pHYs:PixelsPerUnitX\0",
            "PNG-pHYs:PixelsPerUnitY\0",
            "IFD0:XResolution\0", "IFD0:YResolution\0", "Composite:GPSLatitude\0", "Composite:GPSLongitude\0",
            "Composite:GPSDateTime\0",
            "MWG:DateTimeOriginal\0", "2019:12:24 23:48:46\0", "MWG:Keywords\0", "MWG:Copyright\0",
            "© 2011 Jane. All rights reserved\0",
            "ExifIFD:LensInfo\0", "24 70 2.8 4\0", "Composite:ImageSize\0", "100x50\0", "XMP-xmp:Rating\0", "1\0",
            "2\0", "-1e300\0", "nan\0",
            "File:FileType\0",
        ]
    ) { input in
        // The probe's answer ends at the first line end.
        let (first, second) = input.starts(with: Array("ok\0".utf8)) ? ([], input) : halves(input)
        let probed = ProbedFacts(first) ?? ProbedFacts()
        do {
            let embedded = try EmbeddedFacts(second)
            let media = MediaFacts(probed, embedded)
            for (field, value) in embedded.fields(of: media) {
                try demand(
                    field.objection(to: Array(value.utf8)) == nil,
                    "\(field.name) cannot be \(Shown.value(value))"
                )
            }
            try check(Findings(probed, embedded, problem: nil))
        } catch Examiner.Failure.file(let reason) {
            try demand(!reason.isEmpty, "there is no reason")
        }
    }

    private static func check(_ findings: Findings) throws {
        let object = try JSONSerialization.jsonObject(with: Data(findings.json.bytes)) as? [String: Any]
        try demand(object?["mime_type"] as? String == findings.mediaType, "the object has no type")
        if let orientation = findings.orientation {
            try demand((1...8).contains(orientation), "the orientation is \(orientation)")
        }
        for member in ["width", "height", "pages"] {
            if let number = object?[member] as? Int {
                try demand((1...10_000_000).contains(number), "\(member) is \(number)")
            }
        }
    }

    static let fetches = FuzzTarget(
        "fetches",
        words: [
            "http://a.example/", "https://", "user:pw@", "[::1]", ":80", "\nfilename=", "\ncheck_URL_duplicates=1",
            "\nsave_URL_duplicates=0",
            "\nmetadata[a]=b", "attachment; filename=\"a;b.txt\"", "filename*=UTF-8''%e2%82%ac.pdf", "%2F", "%+5", "..",
            "?", "#", "\u{301}",
        ]
    ) { input in
        guard let text = text(input) else { return }
        do {
            let request = try FetchRequest(text)
            try demand(
                request.url.utf8.count <= 8000 && request.url.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F },
                "the URL is \(request.url)"
            )
            try demand(try FetchRequest(request.text) == request, "the request is read as another: \(request.text)")
            let shown = FetchArrival.withoutCredentials(request.url)
            let authority = shown.split(separator: "/", omittingEmptySubsequences: false).dropFirst(2).first ?? ""
            try demand(!authority.prefix { $0 != "?" }.contains("@"), "the user is shown in \(shown)")
        } catch let problem as FetchProblem { try checkSentence(problem.sentence) }
        let (first, second) = halves(input)
        let parts = (String(decoding: first, as: UTF8.self), String(decoding: second, as: UTF8.self))
        for (disposition, url) in [parts, ("", parts.0)] {
            let (name, original) = FetchRequest.name(disposition: disposition, url: url)
            try demand(
                (try? EntryName(name)) != nil && name.utf8.count <= 200 && name.utf8.first != 0x2E,
                "the name is \(Shown.name(name))"
            )
            try demand(
                name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x2F && $0 != 0x5C },
                "the name is \(Shown.name(name))"
            )
            try demand(
                !original.utf8.contains(0x2F) && !original.utf8.contains(0x5C),
                "the original is a path: \(Shown.name(original))"
            )
        }
        if !second.isEmpty {
            try demand(
                !FetchRequest.name(disposition: "", url: "http://a/%+5").original.contains("\u{5}"),
                "%+5 is a byte"
            )
        }
    }

    static let answers = FuzzTarget(
        "answers",
        words: [
            "h", "100\0", "attachment; filename=x\0", "http://a/\0", "!", "http\0" + "404\0", "size\0", "private\0",
            "cut\0", "-5\0",
        ]
    ) { input in
        let head = Download.head(input[...])
        try demand(head.size ?? 0 >= 0, "the size is \(head.size ?? 0)")
        try demand(head.disposition == head.disposition.trimmingSpaces, "the header has spaces around it")
        let limits = Download.Limits(size: 1, time: 1, pause: 1, networks: "")
        let problem = Download("http://a/", limits).problem(Download.texts(input[...]))
        try checkSentence(Shown.line(problem.sentence))
        try demand(problem.errno.first == "E", "there is no errno \(problem.errno)")
    }
}
#endif
