public import ArgumentParser
import Foundation
public import SystemPackage

/// The arguments of the command line as text from which their bytes can be recovered.
///
/// An argument need not be UTF-8, and Swift's text must be. A byte that is not UTF-8 becomes a character of a
/// private-use area, U+10FE80 for 0x80 to U+10FEFF for 0xFF; an argument that has such a character itself
/// gets its four bytes encoded that way.
enum RawArguments {
    private static let base: UInt32 = 0x10FE00
    private static let stand = (base + 0x80)...(base + 0xFF)

    /// The arguments without the program's name.
    static var all: [String] {
        (1..<max(1, Int(CommandLine.argc))).compactMap { index in
            guard let argument = unsafe CommandLine.unsafeArgv[index] else { return nil }
            return text(
                unsafe UnsafeBufferPointer(start: argument, count: strlen(argument)).map(UInt8.init(bitPattern:))
            )
        }
    }

    /// Returns the text that stands for some bytes.
    static func text(_ bytes: [UInt8]) -> String {
        var result = String.UnicodeScalarView()
        func escape(_ bytes: ArraySlice<UInt8>) {
            for byte in bytes { if let scalar = Unicode.Scalar(base + UInt32(byte)) { result.append(scalar) } }
        }
        var parser = Unicode.UTF8.ForwardParser()
        var iterator = bytes.makeIterator()
        var position = 0
        while true {
            switch parser.parseScalar(from: &iterator) {
            case .emptyInput: return String(result)
            case .error(let length):
                escape(bytes[position..<position + length])
                position += length
            case .valid(let encoded):
                let scalar = Unicode.UTF8.decode(encoded)
                if stand.contains(scalar.value) {
                    escape(bytes[position..<position + encoded.count])
                } else {
                    result.append(scalar)
                }
                position += encoded.count
            }
        }
    }

    /// Returns the bytes that a text stands for.
    static func bytes(_ text: String) -> [UInt8] {
        text.unicodeScalars.flatMap { scalar -> [UInt8] in
            stand.contains(scalar.value) ? [UInt8(scalar.value - base)] : Array(String(scalar).utf8)
        }
    }

    /// Returns whether a text stands for bytes that are UTF-8.
    static func isText(_ text: String) -> Bool { !text.unicodeScalars.contains { stand.contains($0.value) } }
}

extension FilePath: @retroactive ExpressibleByArgument {
    /// Takes a path of any encoding from the command line.
    public init?(argument: String) {
        guard !argument.isEmpty else { return nil }
        self.init(bytes: RawArguments.bytes(argument))
    }
}
