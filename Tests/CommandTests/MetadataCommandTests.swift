import Foundation
import TestSupport
import Testing

/// The commands that show, set and export metadata of files.
struct MetadataCommandTests {
    private func withPictures(_ name: String = #function, _ body: (MountedLibrary) throws -> Void) throws {
        try withMountedLibrary(name) { mount in
            for number in 1...3 {
                try mount.write("p\(number).jpg", MediaFile.jpeg(width: 30, height: UInt8(20 + number)))
            }
            try mount.write("s.wav", MediaFile.wav(seconds: 90))
            try body(mount)
        }
    }

    @Test func `many files are described at once`() throws {
        try withPictures { mount in
            let paths = (1...3).map { mount.path("p\($0).jpg") }
            let said = try run(
                [assetfs, "describe"] + paths + [
                    "--caption", "At the lake", "--keywords", "lake,summer", "--rank", "8", "--set", "meta.client=ACME",
                    "--gps",
                    "48.2,16.4", "--rotate", "90",
                ]
            ).check()
            #expect(said.output == "3 of 3 files described.\n")
            #expect(try mount.attribute("user.asset.keywords", of: "p2.jpg") == "lake,summer")
            try run(assetfs, "describe", paths[0], "--add-keywords", "boat,lake", "--remove", "caption").check()
            #expect(try mount.attribute("user.asset.keywords", of: "p1.jpg") == "lake,summer,boat")
            #expect(try run("getfattr", "-n", "user.asset.caption", paths[0]).status == 1)
            try run("mkdir", "-p", mount.path("d/e")).check()
            try run("cp", paths[0], mount.path("d/e/x.jpg")).check()
            #expect(try run(assetfs, "describe", mount.path("d"), "--title", "T").errors.contains("--recursive"))
            try run(assetfs, "describe", "--recursive", mount.path("d"), "--title", "T").check()
            #expect(try mount.attribute("user.asset.title", of: "d/e/x.jpg") == "T")
            for (arguments, word) in [
                (["--rank", "x"], "whole number"), (["--set", "captoin=x"], "no field"),
                (["--set", "caption"], "FIELD=VALUE"),
                (["--rotate", "45"], "0, 90, 180 or 270"), ([], "Say what is to be said"),
                (["--remove", "x"], "no field"),
            ] {
                let refused = try run([assetfs, "describe", paths[1]] + arguments)
                #expect(refused.status == 64 && refused.errors.contains(word), "\(arguments): \(refused.errors)")
            }
            // A file that cannot be described does not stop the command for the others.
            let some = try run(assetfs, "describe", mount.path("s.wav"), paths[1], "--rotate", "90")
            #expect(some.status == 1 && some.output == "1 of 2 files described.\n" && some.errors.contains("audio/wav"))
            #expect(
                try run(assetfs, "describe", mount.scratch + "/source", "--title", "x").errors.contains(
                    "below an assetfs mount"
                )
            )
        }
    }

    @Test func `info shows an exposure of which no whole number is the inverse`() throws {
        try withPictures { mount in
            for (time, shown) in [("1e-300", "1e-300 s"), ("0.004", "1/250 s"), ("2.5", "2.5 s")] {
                try run("setfattr", "-n", "user.asset.exposure_time", "-v", time, mount.path("p1.jpg")).check()
                let text = try run(assetfs, "info", mount.path("p1.jpg")).check().output
                #expect(text.contains("Exposure            \(shown)\n"))
            }
        }
    }

    @Test func `info is for people, and JSON for programs`() throws {
        try withPictures { mount in
            try run(
                assetfs,
                "describe",
                mount.path("p1.jpg"),
                "--caption",
                "Line 1\nLine 2",
                "--set",
                "exposure_time=0.005",
                "--set",
                "f_number=2.8",
                "--set",
                "meta.client=ACME"
            ).check()
            let text = try run(assetfs, "info", mount.path("p1.jpg")).check().output
            for line in [
                "Kind                image/jpeg, 30 × 21", "Caption *           Line 1\n                    Line 2",
                "Exposure            1/200 s, f/2.8", "meta.client *       ACME", "Asset               1",
            ] { #expect(text.contains(line), "\(line) in \(text)") }
            #expect(
                try run(assetfs, "info", mount.path("s.wav")).check().output.contains("audio/wav, 01:30, audio pcm_u8")
            )
            let json = try run(assetfs, "info", "--json", mount.path("p1.jpg")).check().output
            let info = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
            #expect(info?["width"] as? Int == 30)
        }
    }

    @Test func `exported copies say what people have said, and the originals stay`() throws {
        try withPictures { mount in
            let (out, picture) = (mount.scratch + "/out", mount.path("p1.jpg"))
            try run("mkdir", out).check()
            try run(assetfs, "describe", picture, mount.path("s.wav"), "--caption", "Grüße", "--keywords", "a,b")
                .check()
            let before = try mount.read("p1.jpg")
            try run("touch", "-d", "2020-01-01", picture).check()
            let done = try run(assetfs, "export", "--embed", picture, mount.path("p2.jpg"), mount.path("s.wav"), out)
                .check()
            #expect(done.output == "3 of 3 files exported.\n")
            let said = try run(
                "exiftool",
                "-s3",
                "-IFD0:ImageDescription",
                "-XMP-dc:Description",
                "-XMP-dc:Subject",
                out + "/p1.jpg"
            )
            .check().output
            #expect(said == "Grüße\nGrüße\na, b\n")
            #expect(try mount.read("p1.jpg") == before)
            #expect(try run("stat", "-c", "%y", out + "/p1.jpg").output.hasPrefix("2020-01-01"))
            // A file without a description is copied unchanged, and a type that cannot contain metadata gets
            // a sidecar.
            try run("cmp", out + "/p2.jpg", mount.path("p2.jpg")).check()
            try run("cmp", out + "/s.wav", mount.path("s.wav")).check()
            #expect(done.errors.contains("s.wav.xmp"))
            #expect(try run("exiftool", "-s3", "-XMP-dc:Description", out + "/s.wav.xmp").check().output == "Grüße\n")
            // A file of another program does not block an unfinished copy, and the file itself does not count
            // as a copy.
            try run("touch", out + "/q.jpg.part").check()
            try run(assetfs, "export", picture, out + "/q.jpg").check()
            try run("rm", out + "/q.jpg.part", out + "/q.jpg").check()
            let itself = try run(assetfs, "export", "--force", "--embed", picture, mount.folders)
            #expect(itself.status == 1 && itself.errors.contains("is the file itself"))
            // A GPS position must not leave the library in a file from which it cannot be removed.
            try run("setfattr", "-n", "user.asset.gps", "-v", "1,2", mount.path("s.wav")).check()
            let kept = try run(assetfs, "export", "--embed", "--force", mount.path("s.wav"), out + "/no.wav")
            #expect(kept.status == 1 && kept.errors.contains("is not exported"))
            #expect(!FileManager.default.fileExists(atPath: out + "/no.wav"))
            let again = try run(assetfs, "export", picture, out)
            #expect(again.status == 1 && again.errors.contains("--force"))
            try run(assetfs, "export", "--force", "--sidecar", picture, out).check()
            try run("cmp", out + "/p1.jpg", picture).check()
            #expect(try run("ls", "-A", out).output == "p1.jpg\np1.jpg.xmp\np2.jpg\ns.wav\ns.wav.xmp\n")
            try run("mkdir", "-p", mount.path("d/e")).check()
            try run("cp", picture, mount.path("d/e/x.jpg")).check()
            try run(assetfs, "export", mount.path("d"), out).check()
            try run("cmp", out + "/d/e/x.jpg", picture).check()
            try run(assetfs, "export", picture, out + "/one.jpg").check()
            #expect(
                try run(assetfs, "export", picture, mount.path("p2.jpg"), out + "/no").errors.contains("is no folder")
            )
        }
    }

    @Test func `jobs says what is to be done`() throws {
        try withPictures { mount in
            let waited = try run(assetfs, "jobs", "--wait", mount.root).check()
            #expect(waited.output == "0 to be done, 0 failed.\n")
            #expect(try run(assetfs, "jobs", "--json", mount.root).check().output == "")
            #expect(try run(assetfs, "jobs", mount.scratch).errors.contains("cannot be read"))
        }
    }
}
