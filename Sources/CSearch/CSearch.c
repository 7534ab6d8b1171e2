#include "CSearch.h"

#include <sqlite3.h>
#include <stddef.h>

static void relevance(
    const Fts5ExtensionApi *api, Fts5Context *match, sqlite3_context *result, int count, sqlite3_value **weights
) {
    double sum = 0;
    for (int phrase = 0; phrase < api->xPhraseCount(match); phrase++) {
        Fts5PhraseIter place;
        int column = -1;
        int code = api->xPhraseFirstColumn(match, phrase, &place, &column);
        if (code != SQLITE_OK) {
            sqlite3_result_error_code(result, code);
            return;
        }
        for (; column >= 0; api->xPhraseNextColumn(match, &place, &column)) {
            if (column < count) sum += sqlite3_value_double(weights[column]);
        }
    }
    sqlite3_result_double(result, sum);
}

int search_register(void *connection) {
    fts5_api *api = NULL;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(connection, "SELECT fts5(?1)", -1, &statement, NULL);
    if (code == SQLITE_OK) code = sqlite3_bind_pointer(statement, 1, &api, "fts5_api_ptr", NULL);
    if (code == SQLITE_OK) sqlite3_step(statement);
    code = sqlite3_finalize(statement);
    if (code != SQLITE_OK) return code;
    if (!api) return SQLITE_ERROR;
    return api->xCreateFunction(api, "relevance", NULL, relevance, NULL);
}
