// The rate at which memory is read, as a library: what no product with weights from memory can pass.
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef uint64_t lanes __attribute__((vector_size(64)));

enum { LINES_AHEAD = 128, MOST = 256 };

struct part {
    const lanes *from, *to;
    int asks;
    uint64_t sum;
};

// The first bytes of a file, mapped as weights are; NULL if that fails.
const void *mapped(const char *path, size_t bytes) {
    int file = open(path, O_RDONLY);
    if (file < 0) return NULL;
    void *room = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, file, 0);
    close(file);
    return room == MAP_FAILED ? NULL : room;
}

static void *read_part(void *argument) {
    struct part *part = argument;
    lanes a = {0}, b = {0}, c = {0}, d = {0};
    for (const lanes *at = part->from; at + 4 <= part->to; at += 4) {
        for (int line = 0; part->asks && line < 4; line++) __builtin_prefetch(at + LINES_AHEAD + line, 0, 2);
        a ^= at[0], b ^= at[1], c ^= at[2], d ^= at[3];
    }
    a ^= b ^ c ^ d;
    part->sum = a[0] ^ a[7];
    return NULL;
}

// Reads it all once, on so many threads; with `asks` lines are asked for ahead of their use, which is faster on some
// processors and slower on others.
uint64_t read_all(const void *memory, size_t bytes, int threads, int asks) {
    pthread_t workers[MOST];
    struct part parts[MOST];
    size_t lines = bytes / sizeof(lanes) / threads;
    uint64_t sum = 0;
    for (int k = 0; k < threads; k++) {
        const lanes *from = (const lanes *)memory + k * lines;
        parts[k] = (struct part){from, from + lines, asks, 0};
        if (threads == 1) read_part(&parts[0]);
        else if (pthread_create(&workers[k], NULL, read_part, &parts[k])) abort();
    }
    for (int k = 0; k < threads; k++) {
        if (threads > 1) pthread_join(workers[k], NULL);
        sum ^= parts[k].sum;
    }
    return sum;
}
