#include "ProbeInC.h"

#include <pthread.h>
#include <stdlib.h>

int probe_read_behind(unsigned count) {
    volatile char *bytes = calloc(count, 1);
    int found = bytes[count];
    free((void *)bytes);
    return found;
}

static int counted;

static void *count(void *unused) {
    counted += 1;
    return unused;
}

void probe_race(void) {
    pthread_t threads[2];
    for (int index = 0; index < 2; index++) pthread_create(&threads[index], NULL, count, NULL);
    for (int index = 0; index < 2; index++) pthread_join(threads[index], NULL);
}
