internal import CLinux
internal import Glibc

/// Long computations and reads that no request waits for.
public enum IdleThread {
    /// Runs `body` on its own thread, which gets a processor and the disk only where no other thread wants
    /// them, and waits for it.
    ///
    /// The scheduler may leave such a thread without a processor for seconds, so `body` must take no lock
    /// that a request takes: the caller has normal priority, and takes such locks before and after.
    public static func run<Value: Sendable>(_ body: @Sendable () -> Value) -> Value {
        withoutActuallyEscaping(body) { body in
            let errand = Errand(body)
            var thread = pthread_t()
            let result = unsafe pthread_create(
                &thread,
                nil,
                { argument in
                    if let argument = unsafe argument {
                        linux_run_when_idle(0)
                        unsafe Unmanaged<AnyErrand>.fromOpaque(argument).takeUnretainedValue().run()
                    }
                    return nil
                },
                Unmanaged.passUnretained(errand as AnyErrand).toOpaque()
            )
            guard result == 0 else { return body() }
            _ = pthread_join(thread, nil)
            return unsafe errand.value.unsafelyUnwrapped
        }
    }

    private class AnyErrand {
        func run() {}
    }

    /// ## Concurrency
    /// The started thread has exclusive use until it is joined.
    private final class Errand<Value>: AnyErrand {
        private let body: () -> Value
        private(set) var value: Value?

        init(_ body: @escaping () -> Value) { self.body = body }

        override func run() { value = body() }
    }
}
