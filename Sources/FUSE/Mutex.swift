#if ASSETFS_PTHREAD_MUTEX
// ThreadSanitizer does not see the locks of Synchronization: Tests/Sanitizers/PthreadMutex.
internal import PthreadMutex

typealias Mutex = PthreadMutex.Mutex
#endif
