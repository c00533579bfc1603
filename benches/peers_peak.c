// The machine's rates of f32 fused multiply-adds and of sums of products of bytes, as a library.
#include <immintrin.h>
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

#if defined(__AVX512VNNI__)
typedef __m512i words;
#define DOT(sum, a, b) _mm512_dpbusd_epi32(sum, a, b)
#elif defined(__AVXVNNI__)
typedef __m256i words;
#define DOT(sum, a, b) _mm256_dpbusd_avx_epi32(sum, a, b)
#endif

#ifdef DOT
// The same for sums of products of bytes. Sums have names of their own, which keeps them in registers.
static void *work_of_bytes(void *result) {
    words x = {0}, y = x, a0 = x, a1 = x, a2 = x, a3 = x, a4 = x, a5 = x, a6 = x;
    words a7 = x, a8 = x, a9 = x, a10 = x, a11 = x, a12 = x, a13 = x;
    x += 0x0101010101010101, y += 0x0203020302030203;
    double start = now(), end, done = 0;
    do {
        for (int step = 0; step < STEPS; step++) {
            a0 = DOT(a0, x, y), a1 = DOT(a1, x, y), a2 = DOT(a2, x, y), a3 = DOT(a3, x, y), a4 = DOT(a4, x, y);
            a5 = DOT(a5, x, y), a6 = DOT(a6, x, y), a7 = DOT(a7, x, y), a8 = DOT(a8, x, y), a9 = DOT(a9, x, y);
            a10 = DOT(a10, x, y), a11 = DOT(a11, x, y), a12 = DOT(a12, x, y), a13 = DOT(a13, x, y);
            // Sums are looked at in every step, so that none is computed ahead.
            __asm__ volatile("" : "+v"(a0), "+v"(a1), "+v"(a2), "+v"(a3), "+v"(a4), "+v"(a5), "+v"(a6),
                             "+v"(a7), "+v"(a8), "+v"(a9), "+v"(a10), "+v"(a11), "+v"(a12), "+v"(a13));
        }
        done += (double)STEPS * 14 * 2 * sizeof(words);
        end = now();
    } while (end - start < seconds);
    *(double *)result = done / (end - start) * 1e-9;
    return NULL;
}
#else
#define work_of_bytes work
#endif

// Operations over so many threads, which run for that long; 0 if they cannot be started.
static double rate_of(void *(*work)(void *), int threads, double duration) {
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

// GFLOP/s of multiply-adds.
double peak_rate(int threads, double duration) { return rate_of(work, threads, duration); }

// GOP/s of products of bytes and their sums.
double peak_byte_rate(int threads, double duration) { return rate_of(work_of_bytes, threads, duration); }
