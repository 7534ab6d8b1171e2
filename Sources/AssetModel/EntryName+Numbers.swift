// Names for files whose name is taken: `example_file.txt`, `example_file-1.txt`, `example_file-2.txt` …,
// numbered as HubSpot does.
extension EntryName {
    /// Returns the name with a number, from 1 on.
    ///
    /// If the result would have more than 255 bytes, the part before the extension is cut, between two
    /// characters.
    public func numbered(_ number: Int) -> EntryName {
        let (stem, ending) = parts
        let mark = Array("-\(number)".utf8)
        let kept = Self.cut(stem, to: 255 - mark.count - ending.count)
        // The bytes are those of a valid name, and not longer: they form a valid name.
        return (try? EntryName(Array(kept) + mark + ending)) ?? self
    }

    /// Returns the name of an item in a view: a mark that no other entry of the view has, and the item's
    /// name.
    ///
    /// If the result would have more than 255 bytes, the part before the extension is cut, between two
    /// characters.
    public static func listed(_ mark: String, _ name: [UInt8]) -> [UInt8] {
        let mark = Array(mark.utf8)
        guard mark.count + name.count > 255, let entry = try? EntryName(name) else {
            return Array((mark + name).prefix(255))
        }
        let (stem, ending) = entry.parts
        return mark + cut(stem, to: 255 - mark.count - ending.count) + ending
    }

    /// Returns the beginning of a part of a name, at least one byte of it.
    private static func cut(_ stem: ArraySlice<UInt8>, to count: Int) -> ArraySlice<UInt8> {
        let whole = stem.prefix(max(1, count))
        guard whole.count < stem.count else { return whole }
        // Avoids a cut within a UTF-8 character, which has four bytes at most; other encodings have no such
        // run of bytes.
        var kept = whole
        while kept.count > 1, whole.count - kept.count < 3, stem[kept.endIndex] & 0xC0 == 0x80 {
            kept = kept.dropLast()
        }
        return stem[kept.endIndex] & 0xC0 == 0x80 ? whole : kept
    }

    /// Returns the number that turns this name into another one; nil if none does.
    public func number(of other: EntryName) -> Int? {
        let ending = parts.ending
        guard other.bytes.count > ending.count, other.bytes.suffix(ending.count) == ending else { return nil }
        let digits = other.bytes.dropLast(ending.count).reversed().prefix {
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
        }
        guard digits.first != nil, digits.last != UInt8(ascii: "0"), digits.count < 18,
            let number = Int(String(decoding: digits.reversed(), as: UTF8.self))
        else { return nil }
        return numbered(number) == other ? number : nil
    }

    /// The name without its number, if the numbered name was not cut.
    public var unnumbered: EntryName? {
        let (stem, ending) = parts
        guard let dash = stem.lastIndex(of: UInt8(ascii: "-")), dash > stem.startIndex,
            let base = try? EntryName(Array(stem[..<dash]) + ending), base.number(of: self) != nil
        else { return nil }
        return base
    }

    /// The part before the number, and the part after it: `archive` and `.tar.gz`, `.bashrc` and nothing.
    private var parts: (stem: ArraySlice<UInt8>, ending: ArraySlice<UInt8>) {
        func cut(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8>.Index? {
            guard let dot = bytes.lastIndex(of: UInt8(ascii: ".")), dot > bytes.startIndex else { return nil }
            let ending = bytes[(dot + 1)...]
            // `Mr. Smith` has no extension, nor has `name.-1`; and an ending of over 32 bytes is a part of
            // the name.
            let isExtension =
                !ending.isEmpty && ending.count <= 32 && !ending.contains(UInt8(ascii: " "))
                && ending.first != UInt8(ascii: "-")
            // Two dots in a row, or nothing but dots before the last one, make no extension either.
            return isExtension && bytes[..<dot].contains { $0 != UInt8(ascii: ".") } ? dot : nil
        }
        guard let dot = cut(bytes[...]) else { return (bytes[...], []) }
        // gzip and similar programs compress a tar file, whose extension consists of both parts.
        if packers.contains(String(decoding: bytes[(dot + 1)...], as: UTF8.self).lowercased()),
            let first = cut(bytes[..<dot]),
            String(decoding: bytes[(first + 1)..<dot], as: UTF8.self).lowercased() == "tar"
        {
            return (bytes[..<first], bytes[first...])
        }
        return (bytes[..<dot], bytes[dot...])
    }
}

private let packers: Set<String> = ["gz", "bz2", "xz", "zst", "lz", "lz4", "lzma", "lzo", "br", "z"]
