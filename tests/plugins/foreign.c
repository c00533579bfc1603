/* A plugin whose operator is computed by a function that looks at everything it is given. `NAME` is the function that the
 * definition names, `WITHOUT` leaves it out. */
#include "weft_plugin.h"

#ifndef NAME
#define NAME "acme_stack"
#endif

WEFT_EXPORT int acme_stack(const weft_tensor *in, size_t in_count, weft_tensor *out, size_t out_count);

#ifndef WITHOUT
static int is(const weft_tensor *tensor, uint8_t code, uint8_t bits, uint32_t rank) {
    return tensor->code == code && tensor->bits == bits && tensor->rank == rank && tensor->lanes == 1;
}

/* The rows, and below them the rows times `by`, plus `add`; and the sum of `more` and of the letters of `word`. */
int acme_stack(const weft_tensor *in, size_t in_count, weft_tensor *out, size_t out_count) {
    if (in_count != 6 || out_count != 2) return 101;
    const weft_tensor *x = &in[0], *by = &in[1], *add = &in[2], *kind = &in[3], *more = &in[4], *word = &in[5];
    if (!is(x, WEFT_FLOAT, 32, 2) || !is(add, WEFT_FLOAT, 32, 0) || !is(kind, WEFT_SIGNED, 64, 0)) return 102;
    if (!is(more, WEFT_SIGNED, 64, 1) || !is(word, WEFT_UNSIGNED, 8, 1)) return 103;
    if (by->bits != 0 && !is(by, WEFT_FLOAT, 32, 0)) return 104;
    if (!is(&out[0], WEFT_FLOAT, 32, 2) || !is(&out[1], WEFT_SIGNED, 64, 0)) return 105;
    if (out[0].shape[0] != 2 * x->shape[0] || out[0].shape[1] != x->shape[1]) return 106;
    if (*(const int64_t *)kind->data != (WEFT_FLOAT << 8 | 16)) return 107;
    int64_t elements = x->shape[0] * x->shape[1], sum = 0;
    float factor = by->bits ? *(const float *)by->data : 1.0f, plus = *(const float *)add->data;
    for (int64_t i = 0; i < elements; i++) {
        float value = ((const float *)x->data)[i];
        if (value > 1000.0f) return 7;
        ((float *)out[0].data)[i] = value;
        ((float *)out[0].data)[elements + i] = value * factor + plus;
    }
    for (int64_t i = 0; i < more->shape[0]; i++) sum += ((const int64_t *)more->data)[i];
    for (int64_t i = 0; i < word->shape[0]; i++) sum += ((const uint8_t *)word->data)[i];
    *(int64_t *)out[1].data = sum;
    return 0;
}
#endif

static const weft_plugin plugin = {
    .abi = WEFT_PLUGIN_ABI,
    .format = WEFT_FORMAT,
    .size = sizeof(weft_plugin),
    .name = WEFT_TEXT("stack"),
    .version = WEFT_TEXT("1.0"),
    .summary = WEFT_TEXT("rows below rows"),
    .operators =
        WEFT_TEXT("/// The rows, and below them the rows times `by`, plus `add`; and a sum.\n"
                  "operator acme.Stack(x, by?) {add: float, kind: type = f16, more: ints = [1, 2], word: text = \"ab\"}\n"
                  "extern " NAME "(%x: f32[N, C]) -> (f32[2*N, C], i64[])\n"
                  "extern " NAME "(%x: f32[N, C], %by: f32[]) -> (f32[2*N, C], i64[])\n"
                  "from \"plugin.o\"\n"),
};

WEFT_EXPORT const weft_plugin *weft_plugin_table(void) { return &plugin; }
