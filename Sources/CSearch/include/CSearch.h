#ifndef CSearch_h
#define CSearch_h

// A function of SQLite's FTS5 that computes the relevance of a row from that row alone.
//
// FTS5's own bm25() counts the rows of the whole table that have a word: the order of a user's results would
// then reveal rows that the user may not read.

/// Adds the function `relevance(table, weight of the first column, …)` to `connection`, a sqlite3 *. Its
/// value is the sum, over the phrases of the query and the columns in which each stands, of the columns'
/// weights. Returns SQLite's code.
int search_register(void *connection);

#endif
