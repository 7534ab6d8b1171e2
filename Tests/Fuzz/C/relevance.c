/* The relevance of search results: the sum of the weights of the columns that contain the phrases. */
#define _GNU_SOURCE
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../../Sources/CSearch/CSearch.c"

enum { COLUMNS = 3 };
static sqlite3 *database;
static sqlite3_stmt *fill, *find, *relevant;

static void complain(const char *what) { fprintf(stderr, "%s\n", what); abort(); }

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    (void)count, (void)arguments;
    if (sqlite3_open(":memory:", &database) != SQLITE_OK || search_register(database) != SQLITE_OK) abort();
    const char *table = "CREATE VIRTUAL TABLE words USING fts5(a, b, c, tokenize = 'unicode61 remove_diacritics 2')";
    if (sqlite3_exec(database, table, NULL, NULL, NULL) != SQLITE_OK) abort();
    if (sqlite3_prepare_v2(database, "INSERT INTO words (rowid, a, b, c) VALUES (1, ?, ?, ?)", -1, &fill, NULL) != SQLITE_OK) abort();
    if (sqlite3_prepare_v2(database, "SELECT count(*) FROM words WHERE words MATCH ?", -1, &find, NULL) != SQLITE_OK) abort();
    const char *text = "SELECT relevance(words, 1, 20, 400) FROM words WHERE words MATCH ?";
    return sqlite3_prepare_v2(database, text, -1, &relevant, NULL) == SQLITE_OK ? 0 : 1;
}

/* Returns whether a column contains a phrase. */
static int is_in(char column, const char *word, int length) {
    char query[300];
    snprintf(query, sizeof query, "%c : %.*s", column, length, word);
    sqlite3_bind_text(find, 1, query, -1, SQLITE_TRANSIENT);
    int is_found = sqlite3_step(find) == SQLITE_ROW && sqlite3_column_int(find, 0) > 0;
    sqlite3_reset(find);
    return is_found;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    if (count > 1024) return 0;
    /* The query and the texts of the columns, one per line. */
    const char *parts[COLUMNS + 1];
    int lengths[COLUMNS + 1] = {0};
    const char *rest = (const char *)bytes, *end = rest + count;
    for (int index = 0; index <= COLUMNS; index++) {
        const char *stop = rest < end ? memchr(rest, '\n', (size_t)(end - rest)) : NULL;
        if (!stop) stop = end;
        parts[index] = rest;
        lengths[index] = (int)(stop - rest);
        rest = stop < end ? stop + 1 : end;
    }
    sqlite3_exec(database, "DELETE FROM words", NULL, NULL, NULL);
    for (int index = 0; index < COLUMNS; index++)
        sqlite3_bind_text(fill, index + 1, parts[index + 1], lengths[index + 1], SQLITE_STATIC);
    if (sqlite3_step(fill) != SQLITE_DONE) { sqlite3_reset(fill); return 0; }
    sqlite3_reset(fill);
    char *query = malloc((size_t)lengths[0] + 1);
    memcpy(query, parts[0], (size_t)lengths[0]);
    query[lengths[0]] = 0;
    sqlite3_bind_text(relevant, 1, query, lengths[0], SQLITE_STATIC);
    double found = -1;
    if (sqlite3_step(relevant) == SQLITE_ROW) found = sqlite3_column_double(relevant, 0);
    sqlite3_reset(relevant);
    if (found != -1 && !(found >= 0 && isfinite(found))) complain("the relevance is no number");
    int has_words_alone = lengths[0] > 0 && lengths[0] < 200;
    for (int index = 0; index < lengths[0]; index++)
        has_words_alone &= (query[index] >= 'a' && query[index] <= 'z') || query[index] == ' ';
    if (has_words_alone) {
        double sum = 0;
        int has_all = 1;
        static const double weights[COLUMNS] = {1, 20, 400};
        for (char *rest = query, *word; (word = strsep(&rest, " "));) {
            int has_word = 0;
            if (!*word) continue;
            for (int index = 0; index < COLUMNS; index++) {
                if (!is_in((char)('a' + index), word, (int)strlen(word))) continue;
                sum += weights[index];
                has_word = 1;
            }
            has_all &= has_word;
        }
        if (found != -1 && found != sum) { fprintf(stderr, "%g instead of %g\n", found, sum); abort(); }
        if (found == -1 && has_all && sum > 0) complain("each word is found in a column, and not all at once");
    }
    free(query);
    return 0;
}
