/// Small files of several types, in the form in which common programs write them.
public enum MediaFile {
    /// Returns a grey JPEG of any size; it contains the pixel data of a single block.
    public static func jpeg(width: UInt8, height: UInt8) -> [UInt8] {
        // SOI, quantisation table, frame header with the size, Huffman tables, scan, EOI.
        [0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0] + [UInt8](repeating: 1, count: 64)
            + [0xFF, 0xC0, 0, 11, 8, 0, height, 0, width, 1, 1, 0x11, 0]
            + [0xFF, 0xC4, 0, 20, 0, 1] + [UInt8](repeating: 0, count: 15) + [0]
            + [0xFF, 0xC4, 0, 20, 0x10, 1] + [UInt8](repeating: 0, count: 15) + [0]
            + [0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0, 0x3F, 0xFF, 0xD9]
    }

    /// Returns a silent WAV file: 8,000 samples a second, mono.
    public static func wav(seconds: Int) -> [UInt8] {
        let count = 8000 * seconds
        return Array("RIFF".utf8) + little(36 + count) + Array("WAVEfmt ".utf8) + little(16) + [1, 0, 1, 0]
            + little(8000)
            + little(8000) + [1, 0, 8, 0] + Array("data".utf8) + little(count) + [UInt8](repeating: 0x80, count: count)
    }

    /// Returns a PDF of empty pages with a title.
    public static func pdf(pages: Int, title: String) -> [UInt8] {
        let kids = (0..<pages).map { "\(4 + $0) 0 R" }.joined(separator: " ")
        let objects =
            [
                "<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [\(kids)] /Count \(pages) >>",
                "<< /Title (\(title)) /Author (Jane Doe) /Keywords (one, two; three) >>",
            ] + (0..<pages).map { _ in "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] >>" }
        var text = "%PDF-1.4\n"
        var table = "0000000000 65535 f \n"
        for (index, object) in objects.enumerated() {
            let offset = String(text.utf8.count)
            table += String(repeating: "0", count: 10 - offset.count) + offset + " 00000 n \n"
            text += "\(index + 1) 0 obj\n\(object)\nendobj\n"
        }
        let start = text.utf8.count
        text +=
            "xref\n0 \(objects.count + 1)\n\(table)trailer\n<< /Size \(objects.count + 1) /Root 1 0 R /Info 3 0 R >>\n"
        return Array("\(text)startxref\n\(start)\n%%EOF\n".utf8)
    }

    private static func little(_ number: Int) -> [UInt8] { (0..<4).map { UInt8(number >> ($0 * 8) & 0xFF) } }
}
