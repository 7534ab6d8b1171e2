import ArgumentParser
import Foundation
import SystemPackage

/// A file that was found below a path.
struct ListedFile {
    /// The mount of the file.
    let mount: Held
    private let names: [[UInt8]]
    /// The number of names that lead from the given path to the file.
    private let count: Int
    private let status: stat
    private let typed: FilePath

    /// The path, for messages.
    var path: FilePath { typed.appending(below: rest) }
    /// The names that lead from the given path to the file.
    var rest: [[UInt8]] { names.suffix(count) }

    fileprivate init(_ names: [[UInt8]], _ status: stat, below path: MountPath, count: Int) {
        (mount, typed) = (path.mount, path.typed)
        (self.names, self.status, self.count) = (names, status, count)
    }

    /// Opens the file, if the path still leads to the file that was found.
    func open() throws -> Held {
        guard let held = mount.find(names) else { throw Held.failure(path) }
        guard held.isSame(status) else {
            throw ExitStatus.failed.because("\(path) is left alone: another file took its place meanwhile.")
        }
        return held
    }

    /// Finds regular files below some paths, in the order of their names; folders are searched where
    /// `recursive` is set.
    ///
    /// Prints which other files, and which unreadable folders, are left out.
    /// - Returns: the files, and whether all folders could be searched.
    static func all(in paths: [MountPath], recursive: Bool) throws -> (found: [ListedFile], isComplete: Bool) {
        var listing = Listing()
        for path in paths {
            let held = try path.open()
            guard held.isFolder else {
                guard held.isFile else {
                    throw ExitStatus.failed.because("\(path.typed) is \(held.kind), and no file.")
                }
                let target = path.mount.find(path.names).flatMap { $0.isLink ? MountPath.found($0) : nil }
                listing.found.append(ListedFile(target ?? path.names, held.status, below: path, count: 0))
                continue
            }
            guard recursive else {
                throw ExitStatus.failed.because(
                    "\(path.typed) is a folder; with --recursive all files below it are meant."
                )
            }
            listing.add(held, path)
        }
        return (listing.found, listing.isComplete)
    }
}

/// A search in folders and all below them, which may be of any depth: few folders are open at once.
private struct Listing {
    /// A folder whose names are being searched.
    private struct Level {
        /// The number of names that lead to the folder.
        let depth: Int
        let status: stat
        /// The remaining names, the last first.
        var names: [[UInt8]]
        /// The folder itself; nil where it has to be opened again.
        var folder: Held?
    }

    var found: [ListedFile] = []
    var isComplete = true
    /// The number of folders above the current one that stay open.
    private static let openLevels = 32

    /// Adds the files below a folder.
    mutating func add(_ folder: Held, _ path: MountPath) {
        var (levels, names): ([Level], [[UInt8]]) = ([], [])
        func shown() -> FilePath { path.typed.appending(below: names) }
        if let first = level(folder, 0, path.typed) { levels.append(first) }
        while var level = levels.popLast() {
            names.removeLast(names.count - level.depth)
            guard let name = level.names.popLast() else { continue }
            if level.folder == nil { level.folder = path.mount.find(path.names + names) }
            guard let folder = level.folder, folder.isSame(level.status) else {
                leaveOut("\(shown()) is left out from here on: it was moved or cannot be opened again.")
                continue
            }
            let held = folder.find([name])
            let reason = (errno, systemReason)
            // A folder without remaining names need not be opened again.
            if !level.names.isEmpty { levels.append(level) }
            names.append(name)
            guard let held else {
                // A file that was removed meanwhile is left out silently.
                if reason.0 != ENOENT { leaveOut("\(shown()) is left out: \(reason.1).") }
                continue
            }
            if held.isFolder {
                if let next = self.level(held, names.count, shown()) { levels.append(next) }
                if levels.count > Self.openLevels { levels[levels.count - 1 - Self.openLevels].folder = nil }
            } else if held.isFile {
                found.append(ListedFile(path.names + names, held.status, below: path, count: names.count))
            } else {
                Output.note("\(shown()) is \(held.kind), and left out.")
            }
        }
    }

    private mutating func level(_ folder: Held, _ depth: Int, _ path: FilePath) -> Level? {
        guard let names = folder.entries() else {
            leaveOut("\(path) cannot be listed: \(systemReason).")
            return nil
        }
        return Level(depth: depth, status: folder.status, names: names.reversed(), folder: folder)
    }

    private mutating func leaveOut(_ sentence: Sentence) {
        Output.note(sentence)
        isComplete = false
    }
}
