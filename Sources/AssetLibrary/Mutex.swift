#if ASSETFS_PTHREAD_MUTEX
// ThreadSanitizer sees no lock of Synchronization's: Tests/Sanitizers/PthreadMutex.
public import PthreadMutex

/// pthread's lock, in a build with ThreadSanitizer.
public typealias Mutex = PthreadMutex.Mutex
#endif
