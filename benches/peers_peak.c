// The machine's rate of f32 fused multiply-adds in GFLOP/s: `peers_peak THREADS SECONDS` prints one number.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef float lanes __attribute__((vector_size(64)));

enum { CHAINS = 12, STEPS = 20000 };

static double seconds;

// One thread is timed by the processor time it took, several by the time that passed.
static clockid_t clock_used = CLOCK_MONOTONIC;

static double now(void) {
    struct timespec time;
    clock_gettime(clock_used, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

// Runs independent chains of multiply-adds until the time is over; returns how many GFLOP/s these were.
static void *work(void *result) {
    lanes sums[CHAINS] = {0}, factor = {0}, term = {0};
    factor += 0.999f, term += 1e-3f;
    double start = now(), end, done = 0;
    do {
        for (int step = 0; step < STEPS; step++)
            for (int chain = 0; chain < CHAINS; chain++) sums[chain] = sums[chain] * factor + term;
        done += (double)STEPS * CHAINS * 2 * (sizeof(lanes) / sizeof(float));
        end = now();
    } while (end - start < seconds);
    volatile float keep = 0;
    for (int chain = 0; chain < CHAINS; chain++) keep += sums[chain][0];
    *(double *)result = done / (end - start) * 1e-9;
    return NULL;
}

int main(int count, char **arguments) {
    int threads = count > 1 ? atoi(arguments[1]) : 1;
    seconds = count > 2 ? atof(arguments[2]) : 0.1;
    if (threads < 1 || threads > 256) return 2;
    if (threads == 1) clock_used = CLOCK_THREAD_CPUTIME_ID;
    pthread_t workers[256];
    double rates[256], sum = 0;
    for (int k = 0; k < threads; k++)
        if (pthread_create(&workers[k], NULL, work, &rates[k])) return 1;
    for (int k = 0; k < threads; k++) pthread_join(workers[k], NULL), sum += rates[k];
    printf("%.2f\n", sum);
    return 0;
}
