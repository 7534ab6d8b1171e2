extension EntryName {
    /// The place of the name in listings: a number from 1 to 2⁶² that depends on its bytes alone.
    ///
    /// A name that is replaced, or removed and created again, therefore keeps its place, and a listing that
    /// continues from a place shows each name that existed all the time exactly once, as with ext4's hashed
    /// directories. It is SipHash-2-4 with a key of zeros, because places are recorded and must not change,
    /// and because it must be hard to find names that share a place.
    public var listingPlace: Int64 {
        var state = SipHash()
        var index = 0
        while index + 8 <= bytes.count {
            var word: UInt64 = 0
            for offset in (0..<8).reversed() { word = word << 8 | UInt64(bytes[index + offset]) }
            state.add(word)
            index += 8
        }
        var last = UInt64(bytes.count & 0xFF) << 56
        for (offset, byte) in bytes[index...].enumerated() { last |= UInt64(byte) << UInt64(8 * offset) }
        state.add(last)
        return Int64(state.finish() >> 2) + 1
    }
}

/// SipHash-2-4 (Aumasson, Bernstein) with a key of zeros.
private struct SipHash {
    private var (v0, v1): (UInt64, UInt64) = (0x736f_6d65_7073_6575, 0x646f_7261_6e64_6f6d)
    private var (v2, v3): (UInt64, UInt64) = (0x6c79_6765_6e65_7261, 0x7465_6462_7974_6573)

    private mutating func round() {
        v0 &+= v1
        v1 = v1 << 13 | v1 >> 51
        v1 ^= v0
        v0 = v0 << 32 | v0 >> 32
        v2 &+= v3
        v3 = v3 << 16 | v3 >> 48
        v3 ^= v2
        v0 &+= v3
        v3 = v3 << 21 | v3 >> 43
        v3 ^= v0
        v2 &+= v1
        v1 = v1 << 17 | v1 >> 47
        v1 ^= v2
        v2 = v2 << 32 | v2 >> 32
    }

    mutating func add(_ word: UInt64) {
        v3 ^= word
        round()
        round()
        v0 ^= word
    }

    mutating func finish() -> UInt64 {
        v2 ^= 0xFF
        for _ in 0..<4 { round() }
        return v0 ^ v1 ^ v2 ^ v3
    }
}
