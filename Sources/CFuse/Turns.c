#define _GNU_SOURCE
#include "Turns.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

/* The memory of all requests that wait for a turn; each counts as a page at least. */
enum { ROOM = 256 << 20, LEAST = 4096 };
/* The memory of one user's requests that hold locks of folders, which other users may need: some thousand
 * requests, served in less than a second. */
enum { ROOM_OF_NAMES = 8 << 20 };

struct waiting {
    struct waiting *next;
    size_t length;
    char bytes[];
};

/* A user with requests that are served or wait; freed with the last of them. */
struct user {
    struct user *next;
    struct lane *lane;
    uint32_t uid;
    int served;
    size_t bytes;
    struct waiting *first, **last;
};

static struct lane {
    int threads, served;
    /* The users, in the order of their next turns. */
    struct user *users;
} lanes[LANES];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t waiting_bytes;
static uint32_t mounter;

/* The user whose request the calling thread serves; NULL for requests that are not counted. */
static _Thread_local struct user *current;

void turns_begin(const int threads[LANES], uint32_t owner) {
    memset(lanes, 0, sizeof lanes);
    for (int index = 0; index < LANES; index++) lanes[index].threads = threads[index];
    mounter = owner;
}

static struct user **find(struct lane *lane, uint32_t uid) {
    struct user **place = &lane->users;
    while (*place && (*place)->uid != uid) place = &(*place)->next;
    return place;
}

static void forget_idle(struct user *user) {
    if (user->served > 0 || user->first) return;
    struct user **place = find(user->lane, user->uid);
    *place = user->next;
    free(user);
}

static int may_be_served(const struct user *user) { return user->served < user->lane->threads - user->lane->served; }

static void serve(struct user *user) {
    user->served += 1;
    user->lane->served += 1;
    current = user;
}

/* Takes a request of the first user with a waiting one and a free turn, and moves that user to the end. */
static struct waiting *take(struct lane *lane) {
    for (struct user **place = &lane->users; *place; place = &(*place)->next) {
        struct user *user = *place;
        if (!user->first || !may_be_served(user)) continue;
        struct waiting *request = user->first;
        user->first = request->next;
        if (!user->first) user->last = &user->first;
        size_t room = request->length < LEAST ? LEAST : request->length;
        user->bytes -= room;
        waiting_bytes -= room;
        serve(user);
        *place = user->next;
        user->next = NULL;
        struct user **end = &lane->users;
        while (*end) end = &(*end)->next;
        *end = user;
        return request;
    }
    return NULL;
}

size_t turns_next(void *buffer, size_t length) {
    if (!current) return 0;
    pthread_mutex_lock(&lock);
    struct user *former = current;
    current = NULL;
    former->served -= 1;
    former->lane->served -= 1;
    struct waiting *request = take(former->lane);
    forget_idle(former);
    pthread_mutex_unlock(&lock);
    if (!request) return 0;
    size_t count = request->length <= length ? request->length : 0;
    memcpy(buffer, request->bytes, count);
    free(request);
    return count;
}

enum turn turns_take(enum lane_name name, uint32_t uid, const void *bytes, size_t length) {
    struct lane *lane = &lanes[name];
    if (name != LANE_ENDS && (uid == 0 || uid == mounter)) return TURN_NOW;
    enum turn turn = TURN_NOW;
    pthread_mutex_lock(&lock);
    struct user **place = find(lane, uid), *user = *place;
    if (!user) {
        user = calloc(1, sizeof *user);
        /* Without memory for the count the request is served uncounted. */
        if (!user) goto done;
        user->uid = uid;
        user->lane = lane;
        user->last = &user->first;
        *place = user;
    }
    if (!user->first && may_be_served(user)) {
        serve(user);
        goto done;
    }
    size_t room = length < LEAST ? LEAST : length;
    struct waiting *request = NULL;
    /* A RELEASE is never refused: the kernel sends it once. */
    size_t most = name == LANE_NAMES || name == LANE_MAKES ? ROOM_OF_NAMES : ROOM;
    int has_room = user->bytes + room <= most && waiting_bytes < ROOM && user->bytes + room <= ROOM - waiting_bytes;
    if (name == LANE_ENDS || has_room) request = malloc(sizeof *request + length);
    if (request) {
        request->next = NULL;
        request->length = length;
        memcpy(request->bytes, bytes, length);
        *user->last = request;
        user->last = &request->next;
        user->bytes += room;
        waiting_bytes += room;
        turn = TURN_LATER;
    } else {
        forget_idle(user);
        turn = TURN_NEVER;
    }
done:
    pthread_mutex_unlock(&lock);
    return turn;
}

int turns_peek(uint64_t unique, uint64_t (*number)(const void *), void *beginning, size_t length) {
    int is_found = 0;
    pthread_mutex_lock(&lock);
    for (int index = 0; index < LANES && !is_found; index++) {
        for (struct user *user = lanes[index].users; user && !is_found; user = user->next) {
            for (struct waiting *request = user->first; request && !is_found; request = request->next) {
                is_found = number(request->bytes) == unique && request->length >= length;
                if (is_found) memcpy(beginning, request->bytes, length);
            }
        }
    }
    pthread_mutex_unlock(&lock);
    return is_found;
}

static struct waiting *remove_waiting(struct user *user, uint64_t unique, uint64_t (*number)(const void *)) {
    for (struct waiting **place = &user->first; *place; place = &(*place)->next) {
        struct waiting *request = *place;
        if (number(request->bytes) != unique) continue;
        *place = request->next;
        if (!*place) user->last = place;
        size_t room = request->length < LEAST ? LEAST : request->length;
        user->bytes -= room;
        waiting_bytes -= room;
        return request;
    }
    return NULL;
}

int turns_interrupt(uint64_t unique, uint64_t (*number)(const void *)) {
    struct waiting *found = NULL;
    pthread_mutex_lock(&lock);
    for (int index = 0; index < LANES && !found; index++) {
        for (struct user *user = lanes[index].users; user; user = user->next) {
            found = remove_waiting(user, unique, number);
            if (!found) continue;
            forget_idle(user);
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    free(found);
    return found != NULL;
}
