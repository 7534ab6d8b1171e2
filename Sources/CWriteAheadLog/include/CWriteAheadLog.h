#ifndef CWriteAheadLog_h
#define CWriteAheadLog_h

#include <stdint.h>

// A VFS of SQLite that keeps a transaction when the disk has no room for it, or fails.
//
// SQLite rolls a transaction back when a write to the write-ahead log fails. This VFS answers that the
// write is done, keeps the bytes in memory, and lets reads find them there until `wal_flush` has written them out.
// So a COMMIT succeeds in all but being durable, which `wal_flush` says. A read of the database that fails is made again,
// and then fails a statement that changes nothing without undoing the transaction.

/// Makes the VFS the one that databases are opened with from here on. May be called more than once.
/// Returns SQLite's code.
int wal_register(void);

/// Has the write-ahead log of `connection`, a sqlite3 * that has read or written, keep what the disk does not take.
/// Returns SQLite's code; SQLITE_ERROR where the database has no such log.
int wal_keep(void *connection);

/// Allocates the first `count` bytes of the log on the disk, without making the file longer. Returns how many bytes of
/// the disk the log has.
int64_t wal_reserve(void *connection, int64_t count);

/// Puts what the disk did not take on stable storage. Returns SQLite's code: SQLITE_OK when nothing is left in memory.
int wal_flush(void *connection);

/// Returns whether a read of the database or its log has failed since the last call; SQLite's own code may then be any.
int wal_unread(void *connection);

/// How many bytes the header of a frame in the log has.
enum { WAL_FRAME_HEADER = 24 };

/// Copies the header of the frame that ended the last transaction to `header`, whose checksum is one of the whole log up to there.
/// Returns where in the log it is; -1 where the connection has written none.
int64_t wal_commit(void *connection, unsigned char *header);

/// Has closing `connection` leave the log as it is, with what the database does not have yet. Returns SQLite's code.
int wal_leave(void *connection);

#endif
