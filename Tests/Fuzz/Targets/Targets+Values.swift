#if DEBUG || ASSETFS_FUZZ
@testable import AssetLibrary
@testable import AssetModel
import Foundation
@testable import LibraryRules
@testable import LibraryStorage
import MetadataExtraction

extension FuzzTarget {
    static let tokens = FuzzTarget(
        "tokens",
        words: [
            "read.8.1764201600.1000.", "upload.70.1764201600.0", ".", "-1", "+1", "9223372036854775807", "4294967295",
        ]
    ) { input in
        guard let text = text(input) else { return }
        _ = Capability.isFormer(text)
        if let (capability, signature) = Capability.parse(text) {
            _ = capability.end
            if let signature {
                let token = capability.token(signature: signature)
                try demand(signature.isEmpty || token == text, "the token is printed as \(token)")
            } else {
                try demand(capability.text == text, "the token is printed as \(capability.text)")
            }
        }
        if let bytes = [UInt8](hexadecimal: text) {
            try demand(bytes.hexadecimal == text, "\(text) is printed otherwise")
        }
        try demand([UInt8](hexadecimal: input.hexadecimal) == input, "hexadecimal digits are read as other bytes")
    }

    static let lists = FuzzTarget("lists") { input in
        if let rights = FileRights(input) {
            try demand(FileRights(rights.bytes) == rights, "the rights are read otherwise")
            for user in [rights.uid, 1000] {
                let certain = rights.certainPermissions(of: user) { $0 == rights.gid }
                let permissions = rights.permissions(of: user) { $0 == rights.gid }
                try demand(certain & ~permissions == 0, "\(certain) is certain of \(permissions)")
            }
        }
        guard let list = AccessControlList(input) else { return }
        try demand(list.bytes == input, "the list is printed otherwise")
        try demand(list.permissions <= 0o777, "the mode is \(list.permissions)")
        for mode in [0, 0o640, 0o777] as [UInt32] {
            try demand(
                list.changed(to: mode).permissions == mode,
                "after chmod to \(mode) the mode is \(list.changed(to: mode).permissions)"
            )
            try demand(list.inherited(by: mode).permissions & ~mode == 0, "more is inherited than \(mode)")
        }
        let known = Set(list.groups.prefix(1))
        let certain = list.certainPermissions(of: 7, owner: 8, group: 9) { known.contains($0) }
        for members in [known, Set(list.groups), known.union([9])] {
            let has = list.permissions(of: 7, owner: 8, group: 9) { members.contains($0) }
            try demand(certain & ~has == 0, "\(certain) is certain, and a member of \(members) has \(has)")
        }
    }

    static let fields = FuzzTarget(
        "fields",
        words: [
            "caption\n", "meta.x\n", "exif.FNumber\n", "rank\n", "gps\n", "captured_at\n", "48.1,11.5,519", "text:3",
            "integer:1..9",
            "number:..2.5", "one:A|B", "many:A|B", "nan", "inf", "1e400", "daterange\n", "2024-05-17/2024-05-19",
            "user.asset.", "user.xdg.tags",
            "|a|b|c|d",
        ]
    ) { input in
        let (first, value) = halves(input)
        _ = AttributeName(input)
        if let field = AttributeName(first).field {
            try demand(AttributeName.names(of: field).contains(first), "the field \(field.name) does not have the name")
        }
        if let name = text(first), let field = Field(name) {
            try demand(field.name == name, "the field is called \(field.name)")
            if let objection = field.objection(to: value) {
                try checkSentence(objection.reason)
            } else {
                try checkTags(of: field, String(decoding: value, as: UTF8.self))
            }
        }
        if let text = text(first) {
            do {
                let type = try FieldType(text)
                if let objection = type.objection(to: value) { try checkSentence(objection.reason) }
            } catch let objection as Policy.Objection { try checkSentence(objection.reason) }
        }
        if let text = text(value), let position = Position(text) {
            try demand(
                abs(position.latitude) <= 90 && abs(position.longitude) <= 180,
                "\(text) is no place on the earth"
            )
            try demand(position.altitude?.isFinite ?? true, "\(text) has no finite altitude")
        }
    }

    /// Checks that a value never becomes the name of the tag that it is written to.
    private static func checkTags(of field: Field, _ value: String) throws {
        for type in ["image/jpeg", "video/mp4", "application/pdf", "text/plain"] {
            for tag in Embedding.tags(for: [(field, value)], type: type) {
                let name = tag.utf8.prefix { $0 != 0x3D }
                try demand(
                    name.count < tag.utf8.count && name.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x40 },
                    "\(field.name) is written as \(Shown.value(tag))"
                )
            }
        }
    }

    static let names = FuzzTarget(
        "names",
        words: [
            ".tar.gz", "-1", ".bak", "~", ".sw", "sed", "#", ".", " ", "-", "2024", "\u{301}", ".backup",
            "IMG_0001.jpg",
        ]
    ) { input in
        let (first, second) = halves(input)
        guard let name = try? EntryName(first) else { return }
        _ = (NameClass(ofFile: name), NameClass(ofFile: name, isStrict: true), NameClass(ofFolder: name))
        try demand((1...(1 << 62)).contains(name.listingPlace), "the place is \(name.listingPlace)")
        for number in [1, 9, 10, 123_456_789] {
            let numbered = name.numbered(number)
            try demand(name.number(of: numbered) == number, "\(numbered) does not have the number \(number)")
        }
        if let base = name.unnumbered { try demand(base.number(of: name) != nil, "\(name) is not made of \(base)") }
        let listed = EntryName.listed("12 ", first)
        try demand((try? EntryName(listed)) != nil, "it is listed with \(listed.count) bytes")
        guard let other = try? EntryName(second) else { return }
        _ = (name.isBackup(of: other), name.mayBeBackup(of: other), name.isOfBackupFolder)
        if let number = name.number(of: other) {
            try demand(name.numbered(number) == other, "\(other) is another name")
        }
    }

    static let shown = FuzzTarget(
        "shown",
        words: ["\\x0a", "\\\\", "\u{1B}[31m", "\u{202E}", "\u{200B}", "\\x+f", "\u{85}"]
    ) { input in
        let name = Shown.name(input)
        try demand(Shown.bytes(ofName: name) == input, "other bytes come back of \(name)")
        try demand(Shown.sentence(name) == name, "the name has characters that a terminal obeys")
        if let text = text(input), let bytes = Shown.bytes(ofName: text) {
            try demand(Shown.bytes(ofName: Shown.name(bytes)) == bytes, "other bytes come back of \(text)")
            // Compares bytes: a combining mark after a digit makes one character of both.
            let places = input.indices.dropLast().filter { input[$0] == 0x5C }
            try demand(
                places.contains { input[$0 + 1] == 0x5C }
                    || places.allSatisfy { place in
                        input[(place + 2)...].prefix(2).allSatisfy { Character(Unicode.Scalar($0)).isHexDigit }
                    },
                "\(text) has digits that are none"
            )
        }
        let text = String(decoding: input, as: UTF8.self)
        let sentence = Shown.sentence(text)
        try demand(Shown.sentence(sentence) == sentence, "a sentence that is escaped twice is another")
        try demand(Shown.line(text).utf8.count < 4100, "a line has \(Shown.line(text).utf8.count) bytes")
        try demand(Shown.value(input).utf8.count < 4000, "a value has \(Shown.value(input).utf8.count) bytes")
    }

    static let json = FuzzTarget("json", words: ["\"", "\\", "\u{2028}", "\u{7F}", "{}"]) { input in
        let (first, second) = halves(input)
        let (key, value) = (String(decoding: first, as: UTF8.self), String(decoding: second, as: UTF8.self))
        var inner = JSONObject()
        inner.add(key, value)
        inner.add(
            "number",
            number: second.count >= 8 ? Double(bitPattern: second.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }) : nil
        )
        var object = JSONObject()
        object.add("name", bytes: second)
        object.add("texts", [key, value])
        object.add("inner", inner)
        let bytes = object.bytes
        try demand(!bytes.contains { $0 < 0x20 || $0 == 0x7F }, "the object has control characters")
        for text in [bytes, Array(Shown.json(String(decoding: bytes, as: UTF8.self)).utf8)] {
            guard let members = try JSONSerialization.jsonObject(with: Data(text)) as? [String: Any] else {
                throw Complaint(description: "it is no object")
            }
            try demand(JSONObject.name("name", in: members) == second, "the name has other bytes")
            let texts = (members["texts"] as? [String])?.map { Array($0.utf8) }
            // A byte order mark at the beginning of a text is kept; JSONSerialization of some versions drops
            // it.
            try demand(texts == [Array(key.utf8), Array(value.utf8)], "the texts are others")
        }
        if let members = try? JSONSerialization.jsonObject(with: Data(second)) as? [String: Any] {
            for name in members.keys { _ = JSONObject.name(name, in: members) }
            if let digits = members["name_hex"] as? String, let name = JSONObject.name("name", in: members) {
                try demand(
                    name.isEmpty || digits.utf8.count == 2 * name.count,
                    "\(digits) stands for \(name.count) bytes"
                )
            }
        }
    }

    static let locks = FuzzTarget("locks", words: ["running 1", "ending 7\n", "ended\n", "failed: x\n", "-1"]) {
        input in
        guard let state = LockState(input) else { return }
        let bytes = state.bytes(boot: "0a1b-2c")
        try demand(bytes.count == LockState.size, "the file has \(bytes.count) bytes")
        guard let again = LockState(bytes), LockState.boot(in: bytes) == "0a1b-2c" else {
            throw Complaint(description: "what is written is not read")
        }
        try demand(again == state || state.process == nil, "the state is read as \(again)")
    }
}
#endif
