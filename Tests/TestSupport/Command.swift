import Foundation

/// A test could not be set up, or a tool failed that had to work.
public struct TestFailure: Error, CustomStringConvertible {
    /// What happened.
    public let description: String

    /// Describes a failure.
    public init(_ description: String) { self.description = description }
}

/// What a program did.
public struct CommandResult: Sendable {
    /// Its exit status, or 128 and the signal that ended it.
    public let status: Int32
    /// What it printed.
    public let output: String
    /// What it said on stderr.
    public let errors: String

    /// Turns a status other than 0 into an error.
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
        // Files and not pipes: a daemon that the program leaves behind would keep a pipe open.
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

/// Runs a line of shell.
@discardableResult
public func shell(_ line: String, in folder: String? = nil) throws -> CommandResult {
    try run(["bash", "-c", line], in: folder)
}

/// The built `assetfs`, which lies beside the tests.
public let assetfs: String = {
    let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    // `swift test` runs either the test bundle itself or its helper, and passes the bundle's path.
    let candidates = [tests] + CommandLine.arguments.filter { $0.hasSuffix(".xctest") }
    let folders = candidates.map { URL(fileURLWithPath: $0).deletingLastPathComponent().path }
    let package = URL(fileURLWithPath: #filePath).pathComponents.dropLast(3).joined(separator: "/").dropFirst()
    let paths = (folders + ["\(package)/.build/debug"]).map { "\($0)/assetfs" }
    return paths.first { FileManager.default.isExecutableFile(atPath: $0) } ?? "assetfs"
}()
