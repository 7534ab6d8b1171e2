internal import AssetModel
internal import Synchronization

/// A function that one part of the library calls and another sets, after both have been made.
///
/// Reading a `Mutex` whose value is a function wraps the function once more each time, so that calls become
/// slower and finally exhaust the stack; therefore the function is a structure's property.
public final class Hook<Input, Output>: Sendable {
    private struct Function {
        let call: @Sendable (Input) -> Output
    }

    private let function = RankedMutex<Function?>(.leaf, nil)

    /// Makes a hook without a function.
    public init() {}

    /// Sets the function that later calls run.
    public func set(_ call: @escaping @Sendable (Input) -> Output) { function.withLock { $0 = Function(call: call) } }

    /// Calls the function; nil where none is set.
    public func callAsFunction(_ input: Input) -> Output? { function.withLock { $0 }?.call(input) }
}

extension Hook where Input == Void {
    /// Calls the function; nil where none is set.
    public func callAsFunction() -> Output? { self(()) }
}
