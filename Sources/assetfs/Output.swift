import ArgumentParser
import AssetModel
import Foundation
import SystemPackage

/// A line for users, without characters from names that a terminal would interpret; see `Shown`.
struct Sentence: ExpressibleByStringInterpolation, CustomStringConvertible {
    let description: String

    init(stringLiteral text: String) { self.init(text) }

    init(stringInterpolation interpolation: StringInterpolation) { description = interpolation.text }

    /// Takes a text in which names may have been escaped already.
    init(_ text: String) { description = Shown.sentence(text) }

    struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var text = ""

        init(literalCapacity: Int, interpolationCount: Int) { text.reserveCapacity(literalCapacity) }

        mutating func appendLiteral(_ literal: String) { text += Shown.sentence(literal) }

        /// Appends a path in a form from which its bytes can be recovered.
        mutating func appendInterpolation(_ path: FilePath) { text += path.shown }

        mutating func appendInterpolation(_ value: some CustomStringConvertible) {
            text += Shown.sentence(value.description)
        }
    }
}

extension FilePath {
    /// The path with escapes for the terminal.
    var shown: String { Shown.name(bytes) }
}

/// The output of the command: everything is printed through this type.
enum Output {
    /// Prints a line.
    static func print(_ line: Sentence) { write(STDOUT_FILENO, Array(line.description.utf8) + [0x0A]) }

    /// Prints a name or path: escaped for users, or raw with a NUL behind it.
    static func print(_ name: [UInt8], isRaw: Bool) {
        if isRaw { write(STDOUT_FILENO, name + [0]) } else { print(Sentence(name.shown)) }
    }

    /// Prints a path, escaped or raw.
    static func print(_ path: FilePath, isRaw: Bool) { print(path.bytes, isRaw: isRaw) }

    /// Prints JSON.
    static func printJSON(_ text: String) { write(STDOUT_FILENO, Array(Shown.json(text).utf8) + [0x0A]) }

    /// Prints a sentence on stderr.
    static func note(_ sentence: Sentence) { write(STDERR_FILENO, Array("assetfs: \(sentence)\n".utf8)) }

    /// Writes bytes unchanged.
    ///
    /// Where stdout cannot be written to, the command fails.
    static func write(_ descriptor: Int32, _ bytes: [UInt8]) {
        var done = 0
        // FileHandle is not used, because it ends the process where a write fails.
        while done < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Foundation.write(descriptor, $0.baseAddress?.advanced(by: done), bytes.count - done)
            }
            if count < 0, errno != EINTR {
                // A failed message on stderr does not change the work of the command.
                guard descriptor == STDOUT_FILENO else { return }
                note("The output cannot be written: \(systemReason).")
                exit(ExitStatus.failed.rawValue)
            }
            done += max(0, count)
        }
    }
}

extension ValidationError {
    /// Makes an error of a sentence that may contain names.
    init(_ sentence: Sentence) { self.init(sentence.description) }
}

/// The options for printing names.
struct NameOptions: ParsableArguments {
    @Flag(
        name: [.customShort("0"), .customLong("null")],
        help: "Print names as they are, and a NUL instead of a newline behind each line, for xargs -0."
    )
    var isRaw = false

    /// Returns the printed form of a name that is given as text.
    func text(_ name: String) -> String { isRaw ? name : Shown.name(name) }

    /// Returns the printed form of a name that is given as bytes.
    func bytes(_ name: [UInt8]) -> [UInt8] { isRaw ? name : Array(Shown.name(name).utf8) }

    /// Prints a line made with `text`.
    func print(_ line: String) { print(Array(line.utf8)) }

    /// Prints a line made with `bytes`.
    func print(_ line: [UInt8]) {
        if isRaw {
            Output.write(STDOUT_FILENO, line + [0])
        } else {
            Output.print(Sentence(String(decoding: line, as: UTF8.self)))
        }
    }
}
