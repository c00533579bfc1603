/* A plugin for weft in C that brings an operator and the function that computes it: rows in order.
 *
 *     cc -std=c99 -O2 -fPIC -I passes/abi/include -c -o sort_rows.o examples/plugins/c/sort_rows.c
 *     cc -shared -o libsort_rows.so sort_rows.o
 *     weft compile model.onnx --plugin ./libsort_rows.so -o model
 *
 * weft calls the function in the library where it interprets, and links the object into what it compiles. */
#include "weft_plugin.h"

static void sort(float *row, int64_t length, int64_t descending) {
    for (int64_t i = 1; i < length; i++) {
        float x = row[i];
        int64_t at = i;
        for (; at > 0 && (descending ? row[at - 1] < x : row[at - 1] > x); at--) row[at] = row[at - 1];
        row[at] = x;
    }
}

WEFT_EXPORT int acme_sort_rows(const weft_tensor *in, size_t in_count, weft_tensor *out, size_t out_count);

int acme_sort_rows(const weft_tensor *in, size_t in_count, weft_tensor *out, size_t out_count) {
    if (in_count != 2 || out_count != 1) return 1;
    int64_t rows = in[0].shape[0], length = in[0].shape[1];
    const float *from = in[0].data;
    float *to = out[0].data;
    for (int64_t i = 0; i < rows * length; i++) {
        if (from[i] != from[i]) return 2; /* NaN has no place in an order */
        to[i] = from[i];
    }
    for (int64_t row = 0; row < rows; row++) sort(to + row * length, length, *(const int64_t *)in[1].data);
    return 0;
}

static const weft_plugin plugin = {
    .abi = WEFT_PLUGIN_ABI,
    .format = WEFT_FORMAT,
    .size = sizeof(weft_plugin),
    .name = WEFT_TEXT("sort-rows"),
    .version = WEFT_TEXT("1.0"),
    .summary = WEFT_TEXT("rows in order"),
    .operators = WEFT_TEXT("/// Each row in ascending order, or in descending order.\n"
                           "operator acme.SortRows(x) {descending: int = 0}\n"
                           "extern acme_sort_rows(%x: f32[N, C]) -> (f32[N, C])\n"
                           "from \"sort_rows.o\"\n"),
};

WEFT_EXPORT const weft_plugin *weft_plugin_table(void) { return &plugin; }
