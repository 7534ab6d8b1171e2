/* Input of the fetch worker from servers and mount options: header lines, and allowed networks. */
#define send fuzz_send
#include <stdint.h>
#include <sys/types.h>
static ssize_t fuzz_send(int socket, const void *bytes, size_t count, int flags);
#include "../../../Sources/assetfs-worker/fetch.c"

void worker_fail(const char *what) { fprintf(stderr, "%s\n", what); abort(); }
void sandbox_confine(const char *const *paths, const char *program, int mayConnect) { (void)paths, (void)program, (void)mayConnect; }
void sandbox_enter_network(void) {}
void sandbox_filter_network(void) {}

/* Reads all bytes that are sent. */
static ssize_t fuzz_send(int socket, const void *bytes, size_t count, int flags) {
    (void)socket, (void)flags;
    char *copy = malloc(count);
    memcpy(copy, bytes, count);
    int isHead = copy[0] == 'h', ends = 0;
    for (size_t i = 0; i < count; i++) ends += copy[i] == 0;
    if (isHead && ends != 4) { fprintf(stderr, "the head has %d fields\n", ends); abort(); }
    free(copy);
    return (ssize_t)count;
}

static char *string(const uint8_t *bytes, size_t count) {
    char *text = malloc(count + 1);
    memcpy(text, bytes, count);
    text[count] = 0;
    return text;
}

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    (void)count, (void)arguments;
    curl = curl_easy_init();
    return curl ? 0 : 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    if (count < 18) return 0;
    char *list = string(bytes + 17, count - 17);
    networks = list;
    unsigned char *address = malloc(16);
    memcpy(address, bytes + 1, 16);
    if (bytes[0] & 1) {
        struct sockaddr_in6 six = {.sin6_family = AF_INET6};
        memcpy(&six.sin6_addr, address, 16);
        may_reach((struct sockaddr *)&six);
        /* An IPv6 address that maps an IPv4 address is as public as the latter. */
        static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
        if (!memcmp(address, mapped, 12) && is_public6(address) != is_public4(address + 12)) abort();
    } else {
        struct sockaddr_in four = {.sin_family = AF_INET};
        memcpy(&four.sin_addr, address, 4);
        networks = "";
        int isReached = may_reach((struct sockaddr *)&four);
        if (isReached && (address[0] == 10 || address[0] == 127 || address[0] == 0 || address[0] >= 224)) abort();
        networks = list;
        may_reach((struct sockaddr *)&four);
    }
    free(address);
    disposition[0] = 0;
    hasBegun = 0;
    for (size_t start = 17; start < count;) {
        size_t end = start;
        while (end < count && bytes[end] != '\n') end++;
        char *line = malloc(end - start + 1);
        memcpy(line, bytes + start, end - start);
        header(line, 1, end - start, NULL);
        if (strlen(disposition) >= sizeof disposition) abort();
        free(line);
        start = end + 1;
    }
    begin();
    fail("http", list);
    free(list);
    return 0;
}
