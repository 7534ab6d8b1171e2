#if DEBUG || ASSETFS_FUZZ
@testable import AssetLibrary
@testable import AssetModel
import CLinux
import Foundation
import SystemPackage
@testable import assetfs

// Input of the command: arguments, tables of the kernel, and answers of a mount, which may be another
// filesystem.
extension FuzzTarget {
    static let arguments = FuzzTarget(
        "arguments",
        words: ["\u{10FE80}", "\u{10FEFF}", "\u{10FF00}", "\u{301}", "\u{FF}"]
    ) { input in
        let argument = RawArguments.text(input)
        try demand(RawArguments.bytes(argument) == input, "other bytes come back of \(Shown.name(input))")
        let isText =
            text(input) != nil
            && RawArguments.text(input).unicodeScalars.elementsEqual(
                String(decoding: input, as: UTF8.self).unicodeScalars
            )
        try demand(RawArguments.isText(argument) == isText, "whether it is text is said otherwise")
    }

    static let options = FuzzTarget(
        "options",
        words: [
            "view=folders", "policy.versions=", "clamd=/", "fetch=10.0.0.0/8+fd00::/8", "fetch=private", "fetch_time=",
            "on_event=", "store=a:/b", "scrub=P30D", "scrub=off", "nopassthrough", "export", "x-mount.mkdir=0755",
            "X-mount.", "max_read=", "max_readahead=", "ro", "rw", "defaults", "suid", "noatime", "context=", "\\,",
            ",", "\\", "comment=", "4294967295", "\u{10FE80}", "\u{301}", "/proc/self/cwd", "/../..",
        ]
    ) { input in
        // Arguments of a program contain no NUL.
        guard !input.contains(0) else { return }
        let lists = RawArguments.text(input).components(separatedBy: "\n")
        do {
            let options = try MountOptions(lists)
            for network in options.fetching?.networks.split(separator: "+") ?? [] where network != "*" {
                try demand(network.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }, "\(network) is a network")
            }
            for option in options.system.passedOn {
                try demand(!option.isEmpty && !option.utf8.contains(0), "libfuse is given “\(option)”")
                try demand(!option.contains("=") || option.contains("context="), "libfuse is given “\(option)”")
            }
            try demand(options.system.mountpointMode ?? 0 <= 0o7777, "a mode is \(options.system.mountpointMode ?? 0)")
            for store in options.stores {
                try demand(store.path.utf8.first == 0x2F && !store.name.isEmpty, "a store is \(store)")
            }
        } catch let invalid as MountOptions.Invalid {
            try demand(!invalid.sentence.isEmpty && invalid.sentence.hasSuffix("."), "it says “\(invalid.sentence)”")
        }
    }

    static let mounts = FuzzTarget(
        "mounts",
        words: [
            "36 35 98:0 / /mnt rw,noatime master:1 - fuse.assetfs /lib rw\n", "\\040", "\\011", "\\012", "\\134", " - ",
            "\\000", "\\+12", "fuse.assetfs",
        ]
    ) { input in
        for mount in MountPoint.all(in: input) { _ = (mount.isOurs, mount.path.shown) }
        // Escapes paths as the kernel does in the table of mounts.
        let (first, second) = halves(input.filter { $0 != 0 })
        func escaped(_ bytes: [UInt8]) -> [UInt8] {
            bytes.flatMap { byte in
                let digits = "00" + String(byte, radix: 8)
                return [0x20, 0x09, 0x0A, 0x5C, 0x23].contains(byte) ? Array("\\\(digits.suffix(3))".utf8) : [byte]
            }
        }
        let (path, source) = ([0x2F] + first, [0x2F] + second)
        let line =
            Array("36 35 98:0 / ".utf8) + escaped(path) + Array(" rw - fuse.assetfs ".utf8) + escaped(source)
            + Array(" rw\n".utf8)
        let found = MountPoint.all(in: line)
        try demand(
            found.count == 1 && found[0].isOurs && found[0].path == FilePath(bytes: path)
                && found[0].source == FilePath(bytes: source),
            "a mount on \(Shown.name(path)) is read as one on \(found.first?.path.shown ?? "none")"
        )
    }

    static let removed = FuzzTarget(
        "removed",
        words: [
            "{\"folders\":[", "]}", "{\"depth\":1,\"mode\":\"755\",\"uid\":0,\"gid\":0", ",\"access_list\":\"",
            "0200000001000700ffffffff", "\"policies\":{\"versions\":\"3\"}", "4294967295", "-1", "1e300", "+7",
            "\u{FF11}",
            "null", "true",
        ]
    ) { input in
        let found = FormerFolder.all(in: input)
        guard !found.isEmpty,
            let object = try JSONSerialization.jsonObject(with: Data(input)) as? [String: Any],
            let folders = object["folders"] as? [[String: Any]]
        else { return try demand(found.isEmpty, "folders are read of what names none") }
        for (depth, former) in found {
            let meant = folders.last { $0["depth"] as? Int == depth && FormerFolder($0) != nil }
            let mode = String(former.mode, radix: 8)
            let text = meant?["mode"] as? String ?? ""
            try demand(text.drop { $0 == "0" } == mode.drop { $0 == "0" }, "the mode \(text) is read as \(mode)")
            for (key, list) in [("access_list", former.accessList), ("default_list", former.defaultList)] {
                guard let list else { continue }
                let digits = meant?[key] as? String ?? ""
                try demand(digits.lowercased() == list.hexadecimal, "\(digits) is read as \(list.hexadecimal)")
            }
        }
    }

    static let information = FuzzTarget(
        "information",
        words: [
            "{\"filename\":\"", "\"status\":\"failed\"", "\"duration\":1e300", "\"duration\":59.99", "\"width\":1",
            "\"height\":2", "\"fields\":{", "\"exposure_time\":\"1e-30\"", "\"exposure_time\":\"0.004\"",
            "\"gps\":\"1,2\"", "\"metadata\":{", "\"tags\":{", "\"video_info\":{\"video\":[{\"codec\":\"h264\"}]}",
            "\"set_by_person\":[\"title\"]", "\"rotation_since_upload\":90", "\"id\":", "\\n", "\\u001b", "}", ",",
        ]
    ) { input in
        guard let info = try? JSONSerialization.jsonObject(with: Data(input)) as? [String: Any] else { return }
        for line in InformationText(info, tags: true).lines {
            let text = line.description
            try demand(Shown.sentence(text) == text, "a line has characters that a terminal obeys")
        }
        for text in [ReceiptsCommand.text(of: info) { $0 }, EventsCommand.text(of: info) { $0 }] {
            let shown = Sentence(text).description
            try demand(Shown.sentence(shown) == shown, "a line has characters that a terminal obeys")
        }
    }

    static let journals = FuzzTarget(
        "journals",
        words: ["{\"at\":\"2026-05-17T14:03:09", "\n", "{\"at\":\"", "\"}", "\r\n", "\u{301}", "\u{0}"]
    ) { input in
        let file = unsafe memfd_create("journal", 1 /* MFD_CLOEXEC */)
        defer { _ = close(file) }
        func lines(since time: String?) throws -> [String] {
            var (reader, lines) = (LineReader(file), [String]())
            if let time { try reader.seek(to: time) }
            while let line = reader.next() { lines.append(line) }
            return lines
        }
        unsafe _ = pwrite(file, input, input.count, 0)
        let parts = input.split(separator: 0x0A, omittingEmptySubsequences: false).dropLast()
        let texts = parts.map { String(decoding: $0, as: UTF8.self) }
        func bytes(_ lines: [String]) -> [[UInt8]] { lines.map { Array($0.utf8) } }
        try demand(bytes(try lines(since: nil)) == bytes(texts), "other lines are read")
        // Sorted by time, and so long that a search takes several steps.
        let sorted = texts.sorted { LineReader.time(of: $0) < LineReader.time(of: $1) }
            .map { $0 + String(repeating: "x", count: 40 + Array($0.utf8).reduce(0) { ($0 * 31 + Int($1)) % 3000 }) }
        let text = sorted.map { $0 + "\n" }.joined()
        unsafe _ = (ftruncate(file, 0), pwrite(file, text, text.utf8.count, 0))
        for time in ["2026-05-17T14:03:09", sorted.isEmpty ? "" : LineReader.time(of: sorted[sorted.count / 2])] {
            let wanted = sorted.filter { LineReader.time(of: $0) >= time }
            // Lengthened lines may be in another order of times.
            guard sorted.suffix(wanted.count).elementsEqual(wanted) else { continue }
            try demand(bytes(try lines(since: time)) == bytes(wanted), "other lines are read since \(time)")
        }
    }

    static let sidecars = FuzzTarget(
        "sidecars",
        words: [String(repeating: "a", count: 240), "\u{E9}", "\u{1F600}", ".jpg", ".xmp", "~"]
    ) { input in
        guard let name = try? EntryName(input), let folder = Held.folder("/") else { return }
        let sidecar = folder.sidecar(of: name.bytes)
        try demand((try? EntryName(sidecar)) != nil, "the sidecar's name has \(sidecar.count) bytes")
        try demand(sidecar.suffix(4) == Array(".xmp".utf8), "the sidecar is \(Shown.name(sidecar))")
        try demand(text(input) == nil || text(sidecar) != nil, "of a text it is none: \(Shown.name(sidecar))")
        let other = input + [0x61]
        if (try? EntryName(other)) != nil {
            try demand(folder.sidecar(of: other) != sidecar, "two names have one sidecar")
        }
    }
}
#endif
