/* Requests to the notification agent: a folder stands for the mount in which the agent works. */
#include "../../../Sources/assetfs-worker/names.c"
#include <dirent.h>
#include <stdlib.h>

void worker_fail(const char *what) { fprintf(stderr, "%s\n", what); abort(); }

static char root[] = "/tmp/assetfs-fuzz-names-XXXXXX";
static dev_t device_of_root;

static void empty(void) {
    DIR *folder = opendir(root);
    if (!folder) abort();
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (unlinkat(dirfd(folder), entry->d_name, 0) == 0) continue;
        char inner[600];
        snprintf(inner, sizeof inner, "%s/%s/b", root, entry->d_name);
        DIR *next = entry->d_name[0] == '.' ? NULL : opendir(inner);
        for (struct dirent *one; next && (one = readdir(next));) unlinkat(dirfd(next), one->d_name, 0);
        if (next) closedir(next);
    }
    closedir(folder);
}

static void end(void) {
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    if (system(command) != 0) fprintf(stderr, "%s is left\n", root);
}

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    (void)count, (void)arguments;
    struct stat status;
    if (!mkdtemp(root) || stat(root, &status) != 0) abort();
    device_of_root = status.st_dev;
    atexit(end);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    if (count == 0) return 0;
    char path[100];
    snprintf(path, sizeof path, "%s/a", root);
    mkdir(path, 0700);
    strcat(path, "/b");
    mkdir(path, 0700);
    /* Allocates exactly the length, so that the sanitizer reports any read behind the end. */
    char *message = malloc(count);
    memcpy(message, bytes, count);
    int lowest = dup(0);
    int result = serve(message, count, root, device_of_root);
    int after = dup(0);
    if (result < 0 || result > 4095) { fprintf(stderr, "the answer is %d\n", result); abort(); }
    if (after != lowest + 1) { fprintf(stderr, "a descriptor is left open\n"); abort(); }
    close(lowest);
    close(after);
    free(message);
    if (count < 2 || bytes[0] != 's') empty();
    return 0;
}
