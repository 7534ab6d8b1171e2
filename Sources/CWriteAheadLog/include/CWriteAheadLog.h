#ifndef CWriteAheadLog_h
#define CWriteAheadLog_h

#include <stdint.h>

// A VFS of SQLite that keeps a transaction when the disk has no room for it, or fails.
//
// SQLite rolls a transaction back when a write to the write-ahead log fails. This VFS reports such a write as
// done, keeps the bytes in memory, and returns them to reads until `wal_flush` has written them out. So a
// COMMIT succeeds, but may not be durable, which `wal_flush` reports. A failed read of the database is
// repeated, and a second failure fails a statement that changes nothing without undoing the transaction.

/// Makes this VFS the default for databases that are opened from now on. May be called more than once.
/// Returns SQLite's code.
int wal_register(void);

/// Makes the write-ahead log of `connection`, a sqlite3 * that has read or written, keep bytes that the disk
/// does not take. Returns SQLite's code; SQLITE_ERROR if the database has no such log.
int wal_keep(void *connection);

/// Allocates the first `count` bytes of the log on the disk, without making the file longer. Returns the
/// number of bytes that the log has on the disk.
int64_t wal_reserve(void *connection, int64_t count);

/// Puts bytes that the disk did not take on stable storage. Returns SQLite's code: SQLITE_OK if nothing is
/// left in memory.
int wal_flush(void *connection);

/// Returns whether a read of the database or its log has failed since the last call; SQLite's own code may
/// then be any.
int wal_unread(void *connection);

/// The number of bytes of a frame's header in the log.
enum { WAL_FRAME_HEADER = 24 };

/// Copies the header of the frame that ended the last transaction to `header`; its checksum covers the whole
/// log up to there. Returns its offset in the log; -1 if the connection has written none.
int64_t wal_commit(void *connection, unsigned char *header);

/// Makes closing `connection` leave the log as it is, with bytes that the database does not have yet. Returns
/// SQLite's code.
int wal_leave(void *connection);

#endif
