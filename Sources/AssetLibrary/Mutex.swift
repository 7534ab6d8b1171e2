#if ASSETFS_PTHREAD_MUTEX
// ThreadSanitizer does not see the locks of Synchronization: Tests/Sanitizers/PthreadMutex.
public import LibraryStorage
public import PthreadMutex

/// pthread's lock, in a build with ThreadSanitizer.
public typealias Mutex = PthreadMutex.Mutex
#endif
