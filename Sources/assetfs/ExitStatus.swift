import ArgumentParser
import AssetLibrary
import Foundation
internal import LibraryStorage
import SystemPackage

/// The exit status of the command.
///
/// The numbers are published in `--help` and the man page, and never change their meaning.
enum ExitStatus: Int32 {
    case failed = 1
    case libraryInUse = 2
    case notALibrary = 3
    case libraryNotAccessible = 4
    case noSpace = 5
    case noMountpoint = 6
    case alreadyMounted = 7
    case noFuse = 8
    case mountRefused = 9
    case notMounted = 10
    case damaged = 11
    case gaveUp = 12

    /// Prints an error on stderr and returns the exit code to throw.
    func because(_ sentence: Sentence) -> ExitCode {
        Output.note(sentence)
        return ExitCode(rawValue)
    }

    /// Prints that a file of the mount's `uploads/` cannot be read, with the possible reasons.
    static func unreadable(_ path: FilePath) -> ExitCode {
        failed.because("\(path) cannot be read; it is its owner's alone, and a mount with view=folders hides it.")
    }

    init(_ error: OpenLibraryError) {
        switch error {
        case .inUse: self = .libraryInUse
        case .notALibrary, .unknownFormat: self = .notALibrary
        case .notAccessible: self = .libraryNotAccessible
        case .exposed: self = .mountRefused
        case .noSpace: self = .noSpace
        case .catalogMissing, .catalogDamaged: self = .damaged
        case .failed: self = .failed
        }
    }
}
