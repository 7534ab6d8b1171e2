/// EXIF's orientation (Exif 2.32, tag 0x0112), 1 to 8.
///
/// 1, 6, 3 and 8 are turned by 0, 90, 180 and 270 degrees clockwise; the others are mirrored as well.
public enum Orientation {
    /// Returns an orientation after a turn by a multiple of 90 degrees clockwise.
    public static func turned(_ orientation: Int64, by degrees: Int64) -> Int64 {
        let next: [Int64: Int64] = [1: 6, 6: 3, 3: 8, 8: 1, 2: 7, 7: 4, 4: 5, 5: 2]
        return (0..<degrees / 90 % 4).reduce(orientation) { turned, _ in next[turned] ?? 6 }
    }
}
