import AssetModel
import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import MetadataExtraction

/// Real files, made with ExifTool, and the metadata that is extracted from them.
@Suite(.serialized)
struct ExaminerTests {
    // ExifTool takes most of a second to start, and a mount, too, has one process for many files.
    private static let examiner = Examiner()
    private static let editor = Editor()

    /// Returns the extracted metadata of a file as JSON.
    private func find(_ path: String) throws -> [String: Any] {
        let file = try opened(path)
        defer { try? file.close() }
        let findings = try Self.examiner.examine(file, extension: (path as NSString).pathExtension)
        #expect(findings.problem == nil)
        return try JSONSerialization.jsonObject(with: Data(findings.json.bytes)) as? [String: Any] ?? [:]
    }

    private func fields(_ path: String) throws -> [String: String] {
        try find(path)["fields"] as? [String: String] ?? [:]
    }

    /// Returns the path of a new JPEG with some tags.
    private func jpeg(_ folder: String, _ tags: String...) throws -> String {
        let path = try put(MediaFile.jpeg(width: 30, height: 20), folder, as: "\(UUID().uuidString).jpg")
        guard !tags.isEmpty else { return path }
        try run(["exiftool", "-q", "-overwrite_original", "-n", "-charset", "exif=UTF8"] + tags + [path]).check()
        return path
    }

    @Test func `a picture says who took what, when, where and with what`() throws {
        try withScratch("picture") { scratch in
            let path = try jpeg(
                scratch,
                "-IFD0:ImageDescription=Bäume\r\nim Park",
                "-XMP-dc:Title=Trees",
                "-IPTC:Keywords=oak",
                "-IPTC:Keywords=a, b",
                "-XMP-dc:Subject=oak",
                "-XMP-dc:Subject=Elm",
                "-XMP-lr:HierarchicalSubject=plants|elm",
                "-XMP-lr:HierarchicalSubject=plants|ash",
                "-IFD0:Artist=Jane Doe; Max Roe",
                "-IFD0:Copyright=© 2020-2024 Jane Doe. All rights reserved.",
                "-XMP-xmp:Rating=3",
                "-ExifIFD:DateTimeOriginal=2024:05:17 14:03:09",
                "-ExifIFD:SubSecTimeOriginal=25",
                "-ExifIFD:OffsetTimeOriginal=+02:00",
                "-GPSLatitude=48.2082",
                "-GPSLatitudeRef=N",
                "-GPSLongitude=16.3738",
                "-GPSLongitudeRef=W",
                "-GPSAltitude=151",
                "-GPSAltitudeRef=1",
                "-IFD0:Make=Canon",
                "-IFD0:Model=Canon  EOS R6",
                "-ExifIFD:LensModel=RF 70-200mm",
                "-ExifIFD:ExposureTime=0.005",
                "-ExifIFD:FNumber=2.8",
                "-ExifIFD:ISO=400",
                "-ExifIFD:FocalLength=135",
                "-IFD0:Orientation=6",
                "-XMP-iptcCore:AltTextAccessibility=Two trees",
                "-XMP-iptcCore:ExtDescrAccessibility=Two old trees in a park"
            )
            let fields = try fields(path)
            let expected = [
                "caption": "Bäume\nim Park", "title": "Trees", "keywords": "oak,Elm,a\u{201A} b,ash",
                "photographer": "Jane Doe; Max Roe", "copyright_holder": "Jane Doe",
                "copyright_notice": "© 2020-2024 Jane Doe. All rights reserved.", "rank": "6",
                "captured_at": "2024-05-17T14:03:09.25+02:00", "gps": "48.2082,-16.3738,-151", "camera_make": "Canon",
                "camera_model": "EOS R6", "lens": "RF 70-200mm", "exposure_time": "0.005", "f_number": "2.8",
                "iso": "400",
                "focal_length": "135", "alternative_text": "Two trees", "description": "Two old trees in a park",
            ]
            for (name, value) in expected where name != "keywords" { #expect(fields[name] == value, "\(name)") }
            #expect(Set(fields["keywords"]?.split(separator: ",") ?? []) == ["oak", "Elm", "a\u{201A} b", "ash"])
            #expect(fields.count == expected.count)
            let found = try find(path)
            #expect(found["width"] as? Int == 20 && found["height"] as? Int == 30 && found["orientation"] as? Int == 6)
            let image = try #require(found["image_info"] as? [String: Any])
            #expect(image["format"] as? String == "JPEG" && image["color_mode"] as? String == "L")
            #expect((image["geo_location"] as? [String: Double])?["longitude"] == -16.3738)
            #expect((found["tags"] as? [String: String])?["exif.FNumber"] == "2.8")
            // Compares with the output of ExifTool itself.
            let said = try run("exiftool", "-n", "-s3", "-ISO", path).check().output
            #expect(said == "400\n")
        }
    }

    @Test func `what cameras write where nobody has written anything is nothing`() throws {
        try withScratch("junk") { scratch in
            for text in ["OLYMPUS DIGITAL CAMERA", "  SONY DSC ", "Exif_JPEG_PICTURE", "<MetaData> x", "untitled"] {
                #expect(try fields(jpeg(scratch, "-IFD0:ImageDescription=\(text)"))["caption"] == nil)
            }
            let path = try jpeg(
                scratch,
                "-IFD0:ImageDescription=SAMSUNG",
                "-XMP-dc:Description=Real",
                "-IFD0:XPTitle=untitled"
            )
            #expect(try fields(path)["caption"] == "Real")
            #expect(try fields(path)["title"] == nil)
            for tags in [
                ["-GPSLatitude=0", "-GPSLatitudeRef=N", "-GPSLongitude=0", "-GPSLongitudeRef=E"], ["-GPSLatitude=12"],
                ["-ExifIFD:ISO=0"], ["-ExifIFD:DateTimeOriginal=1904:01:01 00:00:00"], ["-XMP-xmp:Rating=0"],
            ] {
                let path = try jpeg(scratch)
                try run(["exiftool", "-q", "-n", "-overwrite_original"] + tags + [path]).check()
                #expect(try fields(path).isEmpty, "\(tags)")
            }
        }
    }

    @Test func `the zone is the satellites' where the camera says none`() throws {
        try withScratch("zone") { scratch in
            let path = try jpeg(
                scratch,
                "-ExifIFD:DateTimeOriginal=2019:12:24 23:48:46",
                "-GPSDateStamp=2019:12:25",
                "-GPSTimeStamp=02:48:42"
            )
            #expect(try fields(path)["captured_at"] == "2019-12-24T23:48:46-03:00")
            let without = try jpeg(scratch, "-ExifIFD:DateTimeOriginal=2019:12:24 23:48:46")
            #expect(try fields(without)["captured_at"] == "2019-12-24T23:48:46")
        }
    }

    @Test func `sound, documents and text`() throws {
        try withScratch("others") { scratch in
            let sound = try find(put(MediaFile.wav(seconds: 3), scratch, as: "s.wav"))
            #expect(sound["mime_type"] as? String == "audio/wav" && sound["duration"] as? Double == 3)
            #expect(sound["contains_audio"] as? Bool == true && sound["contains_video"] as? Bool == false)
            let codec = ((sound["video_info"] as? [String: Any])?["audio"] as? [[String: Any]])?.first?["codec"]
            #expect(codec as? String == "pcm_u8")
            let document = try find(put(MediaFile.pdf(pages: 3, title: "On trees"), scratch, as: "d.pdf"))
            #expect(document["mime_type"] as? String == "application/pdf" && document["pages"] as? Int == 3)
            let fields = try #require(document["fields"] as? [String: String])
            #expect(fields == ["title": "On trees", "photographer": "Jane Doe", "keywords": "one,two,three"])
            let text = try find(put(Array("Grüße\n".utf8), scratch, as: "t.txt"))
            #expect(text["mime_type"] as? String == "text/plain" && text["encoding"] as? String == "utf-8")
            // The type is determined by the content, and not by the name.
            #expect(try find(put(MediaFile.pdf(pages: 1, title: "x"), scratch, as: "d.jpg"))["pages"] as? Int == 1)
        }
    }

    @Test func `a file that takes all memory is one file's failure`() throws {
        try withScratch("bomb") { scratch in
            let bomb = scratch + "/bomb.png"
            // A compressed chunk that expands to 1.5 GB of text.
            let program = """
                import struct, sys, zlib
                def chunk(kind, data): return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
                # After Z_FULL_FLUSH a block can be repeated; the last number is Adler-32 of zeros.
                raw = zlib.compressobj(1, wbits=-15)
                block = raw.compress(bytes(1_000_000)) + raw.flush(zlib.Z_FULL_FLUSH)
                text = b"\\x78\\x01" + block * 1500 + raw.flush() + struct.pack(">I", 1_500_000_000 % 65521 << 16 | 1)
                open(sys.argv[1], "wb").write(b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 2, 8, 2, 0, 0, 0))
                    + chunk(b"zTXt", b"Comment\\0\\0" + text) + chunk(b"IEND", b""))
                """
            try run("python3", "-c", program, bomb).check()
            let file = try opened(bomb)
            defer { try? file.close() }
            let findings = try Self.examiner.examine(file, extension: "png")
            #expect(findings.problem?.contains("ended the worker") == true)
            #expect(findings.mediaType == "image/png")
            #expect(try fields(jpeg(scratch, "-XMP-dc:Title=Next"))["title"] == "Next")
        }
    }

    // MARK: Writing

    @Test func `what people say is written into copies, and read again`() throws {
        try withScratch("embed") { scratch in
            let fields = try [
                ("caption", "Ein Baum – ein „Wort“"), ("title", "Tree"), ("keywords", "oak,elm"),
                ("photographer", "Jane; Max"),
                ("copyright_notice", "© 2026 Jane"), ("copyright_holder", "ACME"), ("rank", "7"),
                ("captured_at", "2024-05-17T14:03:09+02:00"), ("gps", "-33.5,151.25,12"),
                ("alternative_text", "A tree"),
            ].map { (try #require(Field($0)), $1) }
            for source in [try jpeg(scratch), try jpeg(scratch, "-IPTC:Caption-Abstract=old", "-XMP-dc:Subject=old")] {
                let copy = try embed(Embedding.tags(for: fields, type: "image/jpeg"), source, scratch)
                let read = try self.fields(copy)
                for (field, value) in fields {
                    #expect(read[field.name] == (field == .rank ? "8" : value), "\(field.name)")
                }
                let sidecar = scratch + "/\(UUID().uuidString).xmp"
                let file = try opened(sidecar, forWriting: true)
                try Self.editor.writeSidecar(Embedding.sidecarTags(for: fields), into: file)
                try file.close()
                #expect(try run("exiftool", "-s3", "-XMP-dc:Subject", sidecar).check().output == "oak, elm\n")
                #expect(
                    try run("exiftool", "-s3", "-XMP-dc:Description", sidecar).check().output.hasPrefix("Ein Baum – ")
                )
            }
            // Plain text cannot contain metadata.
            #expect(throws: Examiner.Failure.self) {
                _ = try embed(["XMP-dc:Title=x"], put(Array("text".utf8), scratch, as: "t.txt"), scratch)
            }
        }
    }

    @Test func `a place that was removed or corrected is nowhere in the copy`() throws {
        try withScratch("place") { scratch in
            let source = try jpeg(
                scratch,
                "-GPSLatitude=48",
                "-GPSLatitudeRef=N",
                "-GPSLongitude=11",
                "-GPSLongitudeRef=E",
                "-GPSAltitude=500",
                "-XMP-exif:GPSLatitude=48",
                "-XMP-exif:GPSLongitude=11",
                "-XMP-iptcExt:LocationShownGPSLatitude=48",
                "-IPTC:ObjectName=secret",
                "-XMP-dc:Title=secret",
                "-XMP-lr:HierarchicalSubject=people|secret",
                "-XMP-dc:Subject=secret"
            )
            let gps = Field.gps
            let removed: [(field: Field, value: String)] = [(gps, ""), (.title, ""), (.keywords, "")]
            let copy = try embed(Embedding.tags(for: removed, type: "image/jpeg"), source, scratch)
            let said = try run("exiftool", "-a", "-G1", "-s", copy).check().output
            #expect(!said.contains("GPS") && !said.contains("secret"), "\(said)")
            let corrected = try embed(Embedding.tags(for: [(gps, "1,2")], type: "image/jpeg"), source, scratch)
            #expect(try fields(corrected)["gps"] == "1,2")
            #expect(!(try run("exiftool", "-a", "-G1", "-s", corrected).check().output.contains("48 deg")))
        }
    }

    @Test func `a document is written to, and a tag that there is not spoils nothing`() throws {
        try withScratch("document") { scratch in
            let source = try put(MediaFile.pdf(pages: 2, title: "Old"), scratch, as: "d.pdf")
            let said: [(field: Field, value: String)] = [
                (.title, "New"), (.keywords, "a,b"), (try #require(Field("exif.Bogus")), "1"),
            ]
            let copy = try embed(Embedding.tags(for: said, type: "application/pdf"), source, scratch)
            let read = try fields(copy)
            #expect(read["title"] == "New" && read["keywords"] == "a,b")
        }
    }

    @Test func `a file that has its orientation a million times is soon done with`() throws {
        try withScratch("many") { scratch in
            // One directory of 65,000 orientation tags, which names itself as the next directory.
            var bytes: [UInt8] = [0x49, 0x49, 42, 0, 8, 0, 0, 0, 0xE8, 0xFD]
            for _ in 0..<65_000 { bytes += [0x12, 1, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0] }
            let file = try opened(put(bytes + [8, 0, 0, 0], scratch, as: "t.tif"))
            defer { try? file.close() }
            let turning = try Self.editor.turning(file, type: "image/tiff", orientation: 1, isInXMP: false, by: 90)
            guard case .patch(let patches) = turning else { throw TestFailure("\(turning)") }
            #expect(patches.count == 1)
        }
    }

    private func embed(_ tags: [String], _ source: String, _ scratch: String) throws -> String {
        let path = scratch + "/\(UUID().uuidString).jpg"
        let file = try opened(source)
        defer { try? file.close() }
        let copy = try opened(path, forWriting: true)
        defer { try? copy.close() }
        try Self.editor.embed(tags, from: file, into: copy, extension: (source as NSString).pathExtension)
        return path
    }

    @Test func `a JPEG is turned by two bytes`() throws {
        for (order, value) in [("II", 1), ("MM", 6), ("II", 3), ("MM", 8), ("II", 2), ("MM", 5)] as [(String, Int64)] {
            try withScratch("turn") { scratch in
                let tags = ["-ExifByteOrder=\(order)", "-IFD0:Orientation=\(value)", "-IFD0:Make=Canon"]
                let path = try jpeg(scratch, tags[0], tags[1], tags[2])
                let file = try opened(path)
                defer { try? file.close() }
                let turning = try Self.editor.turning(
                    file,
                    type: "image/jpeg",
                    orientation: value,
                    isInXMP: false,
                    by: 90
                )
                guard case .patch(let patches) = turning else { throw TestFailure("\(order) \(value): \(turning)") }
                var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
                for patch in patches {
                    bytes.replaceSubrange(Int(patch.offset)..<Int(patch.offset) + 2, with: patch.bytes)
                }
                let turned = try put(bytes, scratch, as: "turned.jpg")
                let said = try run("exiftool", "-n", "-s3", "-IFD0:Orientation", turned).check().output
                #expect(said == "\(Orientation.turned(value, by: 90))\n", "\(order) \(value)")
                #expect(patches.count == 1, "\(order) \(value)")
            }
        }
    }
}
