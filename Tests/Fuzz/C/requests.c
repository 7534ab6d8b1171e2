/* Requests of the kernel, and the threads that serve them: each request is served once, refused once, or
 * waits. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>
#define read fuzz_read
#define write fuzz_write
#define writev fuzz_writev
#define cfuse_is_ending fuzz_is_ending
static ssize_t fuzz_read(int file, void *buffer, size_t length);
static ssize_t fuzz_write(int file, const void *bytes, size_t count);
static ssize_t fuzz_writev(int file, const struct iovec *parts, int count);
#include "../../../Sources/CFuse/CFuse.c"
#include "../../../Sources/CFuse/Turns.c"

/* As many requests as use up a user's share of the memory for waiting requests. */
enum { REQUESTS = 2600, THREADS = 5, LENGTH = 512 };
enum state { UNSENT, SENT, SERVED, REFUSED };

static struct { enum state state; size_t length; unsigned char bytes[LENGTH]; } requests[REQUESTS];
static struct user *served_by[THREADS];
static int count_of_requests, next, is_ending;

static void complain(const char *what) { fprintf(stderr, "%s\n", what); abort(); }

int fuzz_is_ending(int32_t process, int is_asked) { return process != 0 && (is_ending || is_asked); }

/* Returns the index of the request with a number; 0 for an unknown one, as in bytes that are no request. */
static int sent(uint64_t unique) { return unique >= 1 && unique <= (uint64_t)count_of_requests ? (int)unique : 0; }

static ssize_t fuzz_read(int file, void *buffer, size_t length) {
    (void)file;
    if (next >= count_of_requests) { errno = EAGAIN; return -1; }
    next += 1;
    if (requests[next].length > length) complain("the buffer is too short");
    memcpy(buffer, requests[next].bytes, requests[next].length);
    requests[next].state = SENT;
    return (ssize_t)requests[next].length;
}

static ssize_t fuzz_write(int file, const void *bytes, size_t count) {
    (void)file;
    struct out_header out;
    if (count != sizeof out) complain("a refusal has another size");
    memcpy(&out, bytes, sizeof out);
    if (out.len != count || (out.error != -EINTR && out.error != -EAGAIN)) complain("a refusal is another");
    int index = sent(out.unique);
    if (!index || requests[index].state != SENT) complain("a request is answered that none waits for");
    requests[index].state = REFUSED;
    return (ssize_t)count;
}

static ssize_t fuzz_writev(int file, const struct iovec *parts, int count) {
    (void)file;
    ssize_t sum = 0;
    for (int index = 0; index < count; index++) sum += (ssize_t)parts[index].iov_len;
    return sum;
}

/* Reads the next request on a thread; returns 0 if there is none. */
static int ask(int thread) {
    current = served_by[thread];
    /* Allocates exactly the session's size, so that the sanitizer reports any write behind the end. */
    unsigned char *buffer = malloc(LENGTH);
    ssize_t count = wire_read(0, buffer, LENGTH, NULL);
    served_by[thread] = current;
    if (count >= (ssize_t)sizeof(struct in_header)) {
        struct in_header header, former;
        memcpy(&header, buffer, sizeof header);
        int index = sent(header.unique);
        if (index && requests[index].length >= sizeof former) {
            if (requests[index].state != SENT) complain("a request is served twice");
            requests[index].state = SERVED;
            if ((size_t)count != requests[index].length) complain("a request has another length");
            memcpy(&former, requests[index].bytes, sizeof former);
            int is_translated = (former.opcode == OPCODE_TMPFILE || former.opcode == OPCODE_STATX);
            if (!is_translated && memcmp(buffer, requests[index].bytes, (size_t)count)) complain("a request has other bytes");
        }
    }
    free(buffer);
    return count >= 0;
}

static void check_lanes(void) {
    size_t bytes = 0;
    for (int index = 0; index < LANES; index++) {
        int served = 0;
        for (struct user *user = lanes[index].users; user; user = user->next) {
            if (user->served == 0 && !user->first) complain("an idle user is remembered");
            served += user->served;
            bytes += user->bytes;
        }
        if (served != lanes[index].served || served > lanes[index].threads) complain("a lane has more threads than its own");
    }
    if (bytes != waiting_bytes) complain("the bytes that wait are counted otherwise");
}

static size_t eat(const uint8_t **bytes, size_t *count, void *target, size_t wanted) {
    size_t room = *count < wanted ? *count : wanted;
    memcpy(target, *bytes, room);
    *bytes += room;
    *count -= room;
    return room;
}

/* Exchanges INIT, which is answered before any other request is read. */
static void begin(const uint8_t **bytes, size_t *count) {
    memset(&wire, 0, sizeof wire);
    int threads[LANES];
    uint8_t choice[4] = {0};
    eat(bytes, count, choice, sizeof choice);
    for (int index = 0; index < LANES; index++) threads[index] = 1 + (choice[0] >> index & 1) + (choice[1] >> index & 1);
    turns_begin(threads, 7);
    wire.want_passthrough = choice[2] & 1;
    wire.want_export = choice[2] >> 1 & 1;
    count_of_requests = 1;
    next = 0;
    requests[1].length = choice[3] % 128;
    memset(requests[1].bytes, 0, 128);
    eat(bytes, count, requests[1].bytes, requests[1].length);
    struct in_header *header = (struct in_header *)requests[1].bytes;
    header->unique = 1;
    ask(0);
    struct out_header out = {.unique = 1};
    struct init_out init = {0};
    struct iovec parts[] = {{&out, sizeof out}, {&init, sizeof init}};
    wire_writev(0, parts, 2, NULL);
    if (requests[1].length < sizeof *header + 12 || header->opcode != OPCODE_INIT) return;
    uint64_t given = init.flags | (uint64_t)init.flags2 << 32, offered = wire.offered | (uint64_t)wire.offered2 << 32;
    if (given & ~offered & ~(uint64_t)INIT_EXT) complain("the kernel is told of what it has not offered");
    if (wire.agreed.passthrough && !wire.want_passthrough) complain("passthrough is agreed on, and not wanted");
}

static void send_request(const uint8_t *choice, const uint8_t *body) {
    if (count_of_requests + 1 >= REQUESTS) return;
    int index = ++count_of_requests;
    struct in_header header = {
        .opcode = choice[0], .unique = (uint64_t)index, .uid = choice[1] & 7, .pid = choice[1] >> 3,
        .nodeid = choice[2] & 0x80 ? (uint64_t)choice[2] << 56 : choice[2] };
    size_t rest = choice[3];
    requests[index].state = UNSENT;
    requests[index].length = header.len = (uint32_t)(sizeof header + rest);
    memset(requests[index].bytes, 0, sizeof header + rest);
    memcpy(requests[index].bytes, &header, sizeof header);
    memcpy(requests[index].bytes + sizeof header, body, rest < 32 ? rest : 32);
    /* The number of the request that INTERRUPT names. */
    uint64_t other = choice[4];
    if (header.opcode == OPCODE_INTERRUPT && rest >= sizeof other) {
        memcpy(requests[index].bytes + sizeof header, &other, sizeof other);
        is_ending = choice[5] & 1;
    }
}

/* Sends some equal requests: an opcode, a user, a node, and the bytes after the header. */
static void send_requests(const uint8_t **bytes, size_t *count) {
    uint8_t choice[6] = {0}, body[32] = {0};
    if (eat(bytes, count, choice, sizeof choice) < sizeof choice) return;
    size_t rest = choice[3];
    eat(bytes, count, body, rest < sizeof body ? rest : sizeof body);
    for (int copy = 0; copy <= choice[5] >> 1; copy++) send_request(choice, body);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    for (int index = 0; index < REQUESTS; index++) requests[index].state = UNSENT;
    begin(&bytes, &count);
    while (count > 0) {
        uint8_t step = *bytes++;
        count--;
        if (step & 0x80) send_requests(&bytes, &count); else ask(step % THREADS);
        check_lanes();
    }
    /* All threads continue until no request is left. */
    for (int isIdle = 0; !isIdle;) {
        isIdle = 1;
        for (int thread = 0; thread < THREADS; thread++) while (ask(thread)) { isIdle = 0; check_lanes(); }
    }
    for (int index = 1; index <= count_of_requests; index++) {
        struct in_header header;
        memcpy(&header, requests[index].bytes, sizeof header);
        /* libfuse does not get an INTERRUPT that has ended a waiting request. */
        if (requests[index].length < sizeof header || header.opcode == OPCODE_INTERRUPT) continue;
        if (requests[index].state < SERVED) complain("a request is forgotten");
    }
    for (int index = 0; index < LANES; index++) if (lanes[index].users || lanes[index].served) complain("a turn is never given back");
    if (waiting_bytes) complain("bytes wait without a request");
    return 0;
}
