/*
 * Downloads one URL. The request is fields that end with a NUL: URL, greatest number of bytes, seconds
 * altogether, seconds without a byte, redirects, and the networks that are allowed besides public addresses
 * (“*” for all). The answers are “h” with the length (or nothing), the name that the server gives, the final
 * URL and its type, each ended by a NUL; “d” with bytes, again and again; and at the end “.” or “!” with a
 * word for the error, a NUL, and its details.
 */
#define _GNU_SOURCE
#include "worker.h"
#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static CURL *curl;
static char *fields[6];
static const char *networks;
static long long most, received;
static int hasBegun, isTooLarge;
static char refused[INET6_ADDRSTRLEN], disposition[1024];
static char message[1 << 16];

static void say(const char *bytes, size_t count) {
    while (send(0, bytes, count, MSG_NOSIGNAL) < 0)
        if (errno != EINTR) _exit(1);
}

/* MARK: Addresses */

static int is_in(const unsigned char *address, const unsigned char *network, int bits) {
    for (; bits >= 8; bits -= 8)
        if (*address++ != *network++) return 0;
    return bits == 0 || !((*address ^ *network) >> (8 - bits));
}

/* Networks that are not reached over the Internet: IANA's special-purpose registries (RFC 6890),
 * multicast, and translations to these. */
static const struct { const char *network; int bits; } special4[] = {
    {"0.0.0.0", 8}, {"10.0.0.0", 8}, {"100.64.0.0", 10}, {"127.0.0.0", 8}, {"169.254.0.0", 16}, {"172.16.0.0", 12}, {"192.0.0.0", 24},
    {"192.0.2.0", 24}, {"192.31.196.0", 24}, {"192.52.193.0", 24}, {"192.88.99.0", 24}, {"192.168.0.0", 16}, {"192.175.48.0", 24},
    {"198.18.0.0", 15}, {"198.51.100.0", 24}, {"203.0.113.0", 24}, {"224.0.0.0", 4}, {"240.0.0.0", 4},
};

static int is_public4(const unsigned char *address) {
    for (unsigned i = 0; i < sizeof special4 / sizeof *special4; i++) {
        unsigned char network[4];
        inet_pton(AF_INET, special4[i].network, network);
        if (is_in(address, network, special4[i].bits)) return 0;
    }
    return 1;
}

static int is_public6(const unsigned char *address) {
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    static const unsigned char translated[12] = {0, 0x64, 0xFF, 0x9B};
    if (!memcmp(address, mapped, 12) || !memcmp(address, translated, 12)) return is_public4(address + 12);
    if (address[0] == 0x20 && address[1] == 0x02) return is_public4(address + 2); /* 6to4 */
    /* Global unicast is only 2000::/3; without Teredo, benchmarking, ORCHID, documentation. */
    if (address[0] >> 5 != 1) return 0;
    if (address[0] == 0x20 && address[1] == 0x01 && address[2] < 0x02) return 0;
    if (address[0] == 0x20 && address[1] == 0x01 && address[2] == 0x0D && address[3] == 0xB8) return 0;
    return !(address[0] == 0x3F && address[1] == 0xFF && address[2] >> 4 == 0);
}

/* Returns whether the administrator has allowed an address: networks such as 10.0.0.0/8 or fd00::/8, with
 * “+” between. */
static int is_allowed(int family, const unsigned char *address) {
    char list[1024];
    if (!strcmp(networks, "*")) return 1;
    snprintf(list, sizeof list, "%s", networks);
    char *rest = list, *part;
    while ((part = strsep(&rest, "+"))) {
        unsigned char network[16];
        int bits = family == AF_INET ? 32 : 128;
        char *slash = strchr(part, '/');
        if (slash) { *slash = 0; bits = atoi(slash + 1); }
        if (inet_pton(family, part, network) == 1 && bits >= 0 && bits <= (family == AF_INET ? 32 : 128) && is_in(address, network, bits)) return 1;
    }
    return 0;
}

static int may_reach(const struct sockaddr *address) {
    const unsigned char *bytes;
    int isPublic;
    if (address->sa_family == AF_INET) {
        bytes = (const unsigned char *)&((const struct sockaddr_in *)address)->sin_addr;
        isPublic = is_public4(bytes);
    } else if (address->sa_family == AF_INET6) {
        bytes = (const unsigned char *)&((const struct sockaddr_in6 *)address)->sin6_addr;
        isPublic = is_public6(bytes);
    } else {
        return 0;
    }
    if (isPublic || is_allowed(address->sa_family, bytes)) return 1;
    inet_ntop(address->sa_family, bytes, refused, sizeof refused);
    return 0;
}

/* Called with the address of the coming connection, before there is a socket: no packet is sent to a
 * refused address. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    (void)context;
    if (purpose != CURLSOCKTYPE_IPCXN || !may_reach(&address->addr)) return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Checks the connected socket's address once more before each request. */
static int before_request(void *context, char *peer, char *own, int peerPort, int ownPort) {
    (void)context, (void)own, (void)peerPort, (void)ownPort;
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    int isRight = inet_pton(AF_INET, peer, &four.sin_addr) == 1 ? may_reach((struct sockaddr *)&four)
                : inet_pton(AF_INET6, peer, &six.sin6_addr) == 1 ? may_reach((struct sockaddr *)&six) : 0;
    return isRight ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

/* MARK: The answer */

static size_t header(char *line, size_t size, size_t count, void *context) {
    (void)context;
    size_t length = size * count;
    static const char name[] = "content-disposition:";
    /* Each response of a chain of redirects begins with this line; only the last one's headers count. */
    if (length > 5 && !strncasecmp(line, "HTTP/", 5)) disposition[0] = 0;
    if (length >= sizeof name && !strncasecmp(line, name, sizeof name - 1)) {
        size_t rest = length - (sizeof name - 1);
        if (rest >= sizeof disposition) rest = sizeof disposition - 1;
        memcpy(disposition, line + sizeof name - 1, rest);
        disposition[rest] = 0;
    }
    return length;
}

static void begin(void) {
    if (hasBegun) return;
    hasBegun = 1;
    curl_off_t length = -1;
    char *url = NULL, *type = NULL;
    curl_easy_getinfo(curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &url);
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    char number[32] = "";
    if (length >= 0) snprintf(number, sizeof number, "%lld", (long long)length);
    int count = snprintf(message, sizeof message, "h%s%c%s%c%.8000s%c%.200s%c", number, 0, disposition, 0, url ? url : "", 0, type ? type : "", 0);
    say(message, (size_t)count);
}

static size_t body(char *bytes, size_t size, size_t count, void *context) {
    (void)context;
    size_t length = size * count;
    begin();
    received += (long long)length;
    if (received > most) { isTooLarge = 1; return 0; }
    for (size_t done = 0; done < length;) {
        size_t part = length - done < 60000 ? length - done : 60000;
        message[0] = 'd';
        memcpy(message + 1, bytes + done, part);
        say(message, part + 1);
        done += part;
    }
    return length;
}

static void fail(const char *word, const char *detail) {
    int count = snprintf(message, sizeof message, "!%s%c%.2000s", word, 0, detail ? detail : "");
    say(message, (size_t)count);
}

static void report(CURLcode result) {
    static char detail[256];
    long status = 0, system = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &system);
    switch (result) {
    case CURLE_OK:
        /* A redirect without a target, or a partial response, is no file. */
        if (status < 200 || status > 299 || status == 206) { snprintf(detail, sizeof detail, "%ld", status); fail("http", detail); return; }
        begin();
        say(".", 1);
        return;
    case CURLE_HTTP_RETURNED_ERROR: snprintf(detail, sizeof detail, "%ld", status); fail("http", detail); return;
    case CURLE_UNSUPPORTED_PROTOCOL:
        /* libcurl returns this for an answer that is no HTTP, too. */
        if (status < 300 || status > 399) break;
        fail("scheme", "");
        return;
    case CURLE_URL_MALFORMAT: fail("url", ""); return;
    case CURLE_COULDNT_RESOLVE_HOST: fail("host", ""); return;
    case CURLE_TOO_MANY_REDIRECTS: fail("redirects", fields[4]); return;
    case CURLE_OPERATION_TIMEDOUT: fail("time", ""); return;
    case CURLE_FILESIZE_EXCEEDED: fail("size", ""); return;
    case CURLE_PARTIAL_FILE: fail("cut", ""); return;
    case CURLE_WRITE_ERROR: if (isTooLarge) { fail("size", ""); return; } break;
    default: break;
    }
    if (refused[0]) { fail("private", refused); return; }
    if (result == CURLE_COULDNT_CONNECT) { fail(system == ECONNREFUSED ? "refused" : "network", strerror(system ? (int)system : EHOSTUNREACH)); return; }
    fail(result == CURLE_RECV_ERROR || result == CURLE_SEND_ERROR || result == CURLE_GOT_NOTHING ? "cut" : "protocol", curl_easy_strerror(result));
}

static const char *const files[] = {
    "/etc/resolv.conf", "/run/systemd/resolve", "/run/resolvconf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services", "/etc/ssl",
    "/etc/ca-certificates", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/usr/lib", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/null", "/dev/urandom", NULL
};

void fetch_serve(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    curl = curl_easy_init();
    if (!curl) worker_fail("libcurl");
    sandbox_enter_network();
    sandbox_confine(files, NULL, 1);
    sandbox_filter_network();
    say("ready", 5);

    static char request[1 << 16];
    ssize_t count = recv(0, request, sizeof request - 1, 0);
    if (count <= 0) return;
    char *next = request;
    for (int i = 0; i < 6; i++) {
        fields[i] = next;
        next += strlen(next) + 1;
        if (next > request + count) return;
    }
    most = atoll(fields[1]);
    networks = fields[5];
    curl_easy_setopt(curl, CURLOPT_URL, fields[0]);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, atol(fields[4]));
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, atol(fields[2]));
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 30L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, atol(fields[3]));
    curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)most);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "assetfs");
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, before_request);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, header);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, body);
    report(curl_easy_perform(curl));
    /* The daemon reads the last message before the socket is closed. */
    char end;
    while (recv(0, &end, 1, 0) < 0 && errno == EINTR) {}
}
