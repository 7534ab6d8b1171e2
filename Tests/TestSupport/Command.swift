import Foundation

/// A failed set-up of a test, or the failure of a tool that has to work.
public struct TestFailure: Error, CustomStringConvertible {
    /// A sentence that describes the failure.
    public let description: String

    /// Creates a failure with a description.
    public init(_ description: String) { self.description = description }
}

/// The result of a program.
public struct CommandResult: Sendable {
    /// The exit status, or 128 plus the signal that ended the program.
    public let status: Int32
    /// The standard output.
    public let output: String
    /// The standard error output.
    public let errors: String

    /// Throws an error for a status other than 0.
    @discardableResult
    public func check() throws -> CommandResult {
        guard status == 0 else { throw TestFailure("exit status \(status): \(errors)\(output)") }
        return self
    }
}

/// Runs a program with arguments, without a shell.
@discardableResult
public func run(
    _ arguments: String...,
    in folder: String? = nil,
    environment: [String: String] = [:]
) throws -> CommandResult {
    try run(arguments, in: folder, environment: environment)
}

/// Runs a program with arguments, without a shell.
@discardableResult
public func run(
    _ arguments: [String],
    in folder: String? = nil,
    environment: [String: String] = [:]
) throws -> CommandResult {
    try withScratch("output") { scratch in
        // Uses files, because a daemon that the program leaves behind would keep a pipe open.
        let (out, err) = ("\(scratch)/out", "\(scratch)/err")
        for path in [out, err] { _ = FileManager.default.createFile(atPath: path, contents: nil) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder) }
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle(forWritingAtPath: out)
        process.standardError = FileHandle(forWritingAtPath: err)
        try process.run()
        process.waitUntilExit()
        return CommandResult(
            status: process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus,
            output: try String(contentsOfFile: out, encoding: .utf8),
            errors: try String(contentsOfFile: err, encoding: .utf8)
        )
    }
}

/// Runs a command line in a shell.
@discardableResult
public func shell(_ line: String, in folder: String? = nil) throws -> CommandResult {
    try run(["bash", "-c", line], in: folder)
}

/// The path of the built `assetfs`, which is in the folder of the tests.
public let assetfs: String = {
    let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    // `swift test` runs either the test bundle itself or its helper, and passes the bundle's path.
    let candidates = [tests] + CommandLine.arguments.filter { $0.hasSuffix(".xctest") }
    let folders = candidates.map { URL(fileURLWithPath: $0).deletingLastPathComponent().path }
    let package = URL(fileURLWithPath: #filePath).pathComponents.dropLast(3).joined(separator: "/").dropFirst()
    let paths = (folders + ["\(package)/.build/debug"]).map { "\($0)/assetfs" }
    return paths.first { FileManager.default.isExecutableFile(atPath: $0) } ?? "assetfs"
}()
