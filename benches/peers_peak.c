// The machine's rate of f32 fused multiply-adds, as a library.
#include <pthread.h>
#include <time.h>

typedef float lanes __attribute__((vector_size(64)));

enum { CHAINS = 12, STEPS = 20000 };

static double seconds;

// One thread is timed by the processor time it took, several by the time that passed.
static clockid_t clock_used;

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

// GFLOP/s over so many threads, which run for that long; 0 if they cannot be started.
double peak_rate(int threads, double duration) {
    enum { MOST = 256 };
    pthread_t workers[MOST];
    double rates[MOST], sum = 0;
    if (threads < 1 || threads > MOST) return 0;
    seconds = duration;
    clock_used = threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
    if (threads == 1) return work(rates), rates[0];
    for (int k = 0; k < threads; k++)
        if (pthread_create(&workers[k], NULL, work, &rates[k])) return 0;
    for (int k = 0; k < threads; k++) pthread_join(workers[k], NULL), sum += rates[k];
    return sum;
}
