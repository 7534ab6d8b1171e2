// Names for what finds its name taken: `example_file.txt`, `example_file-1.txt`, `example_file-2.txt` …, as HubSpot numbers them.
extension EntryName {
    /// The name with a number from 1 on.
    ///
    /// The part before the extension is cut, between two characters, where 255 bytes would not hold it.
    public func numbered(_ number: Int) -> EntryName {
        let (stem, ending) = parts
        let mark = Array("-\(number)".utf8)
        let kept = Self.cut(stem, to: 255 - mark.count - ending.count)
        // Of a valid name's bytes, and not longer: a valid name.
        return (try? EntryName(Array(kept) + mark + ending)) ?? self
    }

    /// The name by which a view lists something: a mark that no other entry of the view has, and the name.
    ///
    /// The part before the extension is cut, between two characters, where 255 bytes would not hold both.
    public static func listed(_ mark: String, _ name: [UInt8]) -> [UInt8] {
        let mark = Array(mark.utf8)
        guard mark.count + name.count > 255, let entry = try? EntryName(name) else {
            return Array((mark + name).prefix(255))
        }
        let (stem, ending) = entry.parts
        return mark + cut(stem, to: 255 - mark.count - ending.count) + ending
    }

    /// The beginning of a part of a name, at least one byte of it.
    private static func cut(_ stem: ArraySlice<UInt8>, to count: Int) -> ArraySlice<UInt8> {
        let whole = stem.prefix(max(1, count))
        guard whole.count < stem.count else { return whole }
        // Not in the middle of a character, which has four bytes at most; other encodings have no such bytes in a row to look for.
        var kept = whole
        while kept.count > 1, whole.count - kept.count < 3, stem[kept.endIndex] & 0xC0 == 0x80 {
            kept = kept.dropLast()
        }
        return stem[kept.endIndex] & 0xC0 == 0x80 ? whole : kept
    }

    /// The number that makes another name of this one; nil where none does.
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

    /// The name that a numbered one was made of, where nothing was cut.
    public var unnumbered: EntryName? {
        let (stem, ending) = parts
        guard let dash = stem.lastIndex(of: UInt8(ascii: "-")), dash > stem.startIndex,
            let base = try? EntryName(Array(stem[..<dash]) + ending), base.number(of: self) != nil
        else { return nil }
        return base
    }

    /// What comes before the number, and what behind it: `archive` and `.tar.gz`, `.bashrc` and nothing.
    private var parts: (stem: ArraySlice<UInt8>, ending: ArraySlice<UInt8>) {
        func cut(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8>.Index? {
            guard let dot = bytes.lastIndex(of: UInt8(ascii: ".")), dot > bytes.startIndex else { return nil }
            let ending = bytes[(dot + 1)...]
            // `Mr. Smith` has none, nor has `name.-1`; and what is longer than any extension is a part of the name.
            let isExtension =
                !ending.isEmpty && ending.count <= 32 && !ending.contains(UInt8(ascii: " "))
                && ending.first != UInt8(ascii: "-")
            // Two dots in a row or nothing but dots before it: no extension either.
            return isExtension && bytes[..<dot].contains { $0 != UInt8(ascii: ".") } ? dot : nil
        }
        guard let dot = cut(bytes[...]) else { return (bytes[...], []) }
        // gzip and its like pack a tar: what it is takes both.
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
