internal import Synchronization

/// A function that one part of the library calls and another sets, after both have been made.
///
/// A `Mutex` whose value is a function itself wraps it once more each time that it is read, so that the calls become slower and end with
/// the stack: here it is a structure's property.
final class Hook<Input, Output>: Sendable {
    private struct Function {
        let call: @Sendable (Input) -> Output
    }

    private let function = Mutex<Function?>(nil)

    /// Has `call` called from here on.
    func set(_ call: @escaping @Sendable (Input) -> Output) { function.withLock { $0 = Function(call: call) } }

    /// Calls the function; nil where none is set.
    func callAsFunction(_ input: Input) -> Output? { function.withLock { $0 }?.call(input) }
}

extension Hook where Input == Void {
    /// Calls the function; nil where none is set.
    func callAsFunction() -> Output? { self(()) }
}
