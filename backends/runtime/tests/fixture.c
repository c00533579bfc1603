/* A model by hand, as the compiler would emit it: y[N] = 2 * x[N]. */
#include <stdint.h>

typedef struct { int64_t fixed; int32_t sym; const char *text; } Dim;
typedef struct { const char *name; uint8_t dtype, bits; uint16_t rank; const Dim *dims; } Port;
typedef struct { const char *name, *schedule; } Kernel;
typedef struct Session { const void *model; int64_t *syms; uint8_t **bufs; uint64_t *sizes; } Session;
typedef struct {
    uint32_t abi, size;
    const char *name;
    uint32_t n_inputs, n_outputs;
    const Port *inputs, *outputs;
    uint32_t n_syms, n_planned, n_grown, n_kernels;
    const char *const *sym_names;
    const void *lives;
    const Kernel *kernels;
    const uint8_t *weights;
    uint64_t weights_len;
    void (*sizes)(Session *);
    int32_t (*run)(Session *);
} Model;

extern int32_t weft_rt_launch(Session *, void (*)(uint8_t *const *, const int64_t *, int64_t, int64_t),
                              uint8_t *const *, const int64_t *, int64_t, uint32_t);
extern int32_t weft_rt_output(Session *, uint32_t, const int64_t *);

static void twice(uint8_t *const *args, const int64_t *dims, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
        ((float *)args[1])[i] = 2 * ((const float *)args[0])[i];
}

static int32_t run(Session *s) {
    if (weft_rt_output(s, 0, s->syms)) return 1;
    return weft_rt_launch(s, twice, s->bufs, s->syms, s->syms[0], 0);
}

static const Dim dims[] = {{-1, 0, "N"}};
static const Port inputs[] = {{"x", 2, 32, 1, dims}}, outputs[] = {{"out/y", 2, 32, 1, dims}};
static const Kernel kernels[] = {{"twice", "map"}};
static const char *const syms[] = {"N"};
const Model weft_model = {1, sizeof(Model), "twice", 1, 1, inputs, outputs, 1, 0, 0, 1, syms, 0, kernels, 0, 0, 0, run};
