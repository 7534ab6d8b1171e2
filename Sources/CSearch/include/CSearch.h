#ifndef CSearch_h
#define CSearch_h

// A function of SQLite's FTS5 that says how well a row matches, from that row alone.
//
// FTS5's own bm25() counts how many rows of the whole table have a word: so the order of what a user finds would tell of
// rows that the user may not read.

/// Adds the function `relevance(table, weight of the first column, …)` to `connection`, a sqlite3 *. Its value is the sum,
/// over the phrases of the query and the columns in which each stands, of the columns' weights. Returns SQLite's code.
int search_register(void *connection);

#endif
