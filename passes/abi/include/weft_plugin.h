/* weft_plugin.h: a plugin for weft, in C or in anything that speaks C.
 *
 * A plugin is a shared library that exports one function:
 *
 *     WEFT_EXPORT const weft_plugin *weft_plugin_table(void);
 *
 * It gives a table that says who the plugin is and what it adds. `weft compile --plugin ./libmine.so` opens the library,
 * checks the table, and from then on the plugin's passes can be named in pipelines like any other. A plugin adds names; it
 * never changes what a pipeline does that was there before it.
 *
 * Only bytes cross the boundary. A pass is given the module as text, in the written form that `weft opt` prints, and gives
 * back the whole module as text. What comes back is parsed and checked against every rule of the written form before it
 * takes the place of the old one; a pass that gets it wrong costs its user an error message and nothing else.
 *
 * Rules
 * - The table and all that it points to stay as they are until the process ends. The library is never unloaded.
 * - What the host lends for a call (the module, the settings, the bytes of weights) is valid until that call returns.
 * - What the plugin hands over (an answer, a message, the bytes of a new weight) is copied before the callback returns.
 * - The callbacks of a call are for the thread that was called, and only until it returns.
 * - Nothing may be thrown or jumped across the boundary. Rust plugins use `weft_abi::export!`, which sees to all of this.
 *
 * Build one with: cc -shared -fPIC -I passes/abi/include -o libmine.so mine.c
 */
#ifndef WEFT_PLUGIN_H
#define WEFT_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this boundary. It is raised when anything below changes but by growing at its end; `weft_plugin` and
 * `weft_call` are the structs that may grow. A library of another version is refused. */
#define WEFT_PLUGIN_ABI 1u

/* The version of the written form, the `1` in the first line of every module: `weft 1 canonical`. */
#define WEFT_FORMAT 1u

#if defined(_WIN32)
#define WEFT_EXPORT __declspec(dllexport)
#else
#define WEFT_EXPORT __attribute__((visibility("default")))
#endif

/* Some bytes, usually UTF-8 text. No zero stands at the end. */
typedef struct weft_text {
    const char *data; /* NULL only where there is nothing */
    size_t length;
} weft_text;

/* The text of a string literal, for tables: `.name = WEFT_TEXT("fold-something")`. */
#define WEFT_TEXT(literal) { (literal), sizeof(literal) - 1 }

/* How far a module has come; a pass says from which to which stage it takes one. */
enum weft_stage {
    WEFT_IMPORTED = 0,  /* as its file said it: ranks and extents may be unknown */
    WEFT_CANONICAL = 1, /* every rank is known and every extent has a name; most passes start here */
    WEFT_LOWERED = 2    /* only operators that the backend has */
};

/* What the result of a pass may differ in. */
enum weft_kind {
    WEFT_REQUIRED = 0, /* later passes need it */
    WEFT_EXACT = 1,    /* the same numbers up to rounding */
    WEFT_LOSSY = 2     /* other numbers; never on by default */
};

/* What a pass did. */
enum weft_status {
    WEFT_UNCHANGED = 0, /* nothing; there is no answer */
    WEFT_CHANGED = 1,   /* it rewrote the module and gave it to `answer` */
    WEFT_FAILED = 2     /* it could not, and told `fail` why */
};

/* An option that a pass takes: `my-pass{limit=4}`. */
typedef struct weft_option {
    weft_text name;
    weft_text default_value; /* what it is when it is not given */
    weft_text help;          /* one sentence */
} weft_option;

/* An option as it is for one call. */
typedef struct weft_setting {
    weft_text name;
    weft_text value;
} weft_setting;

/* What the host lends to a pass for one call. */
typedef struct weft_call {
    size_t size;                  /* of this struct, as the host was built */
    void *host;                   /* give it to every callback */
    weft_text module;             /* the module, in the written form */
    const weft_setting *settings; /* every option of the pass, defaults filled in, sorted by name */
    size_t setting_count;
    uint64_t rewrites_left; /* make no more rewrites than this: `weft opt --stop-after`; UINT64_MAX is no limit */

    /* Gives the rewritten module; of several the last counts. */
    void (*answer)(void *host, weft_text module);
    /* Says why the pass fails. */
    void (*fail)(void *host, weft_text message);
    /* Tells of one rewrite: the name of the value it began at, without the `%`. Optional, and kind to those who read
     * `--explain`. */
    void (*rewrote)(void *host, weft_text at);
    /* Tells of a place where the pass might have fired and why it did not. Optional, and kinder still. */
    void (*declined)(void *host, weft_text at, weft_text why);
    /* The bytes of a weight of the module, little-endian and row-major, by the digest in `= blake3:DIGEST`; `data` is
     * NULL if there is none. */
    weft_text (*weight)(void *host, const uint8_t digest[32]);
    /* Adds a weight that the answer uses. `type` is like `f32[64, 3]`, `bytes` are its elements. Writes the digest under
     * which the answer names it. Gives 1, or 0 if type and bytes do not agree. */
    int32_t (*add_weight)(void *host, weft_text type, weft_text bytes, uint8_t digest[32]);

    /* The definitions of all operators that plugins have added, as in `weft_plugin.operators`: the module may use them. */
    weft_text operators;
} weft_call;

/* A pass. */
typedef struct weft_pass {
    weft_text name;        /* like-this: letters, digits and dashes; no two passes or pipelines share one */
    weft_text summary;     /* one sentence, no capital, no full stop */
    weft_text explanation; /* what it does, before and after, what it leaves alone: `weft passes NAME` shows it */
    uint32_t kind;         /* enum weft_kind */
    uint32_t first_stage;  /* enum weft_stage */
    uint32_t last_stage;
    const weft_option *options;
    size_t option_count;
    /* Whether the settings make sense; NULL if they always do. `call->module` is empty. Gives WEFT_UNCHANGED, or tells
     * `fail` why not and gives WEFT_FAILED. */
    int32_t (*check)(const void *data, const weft_call *call);
    /* Runs the pass; gives an `enum weft_status`. It may be called for many modules, from many threads. */
    int32_t (*run)(const void *data, const weft_call *call);
    const void *data; /* yours; given to `check` and `run` */
} weft_pass;

/* A pipeline with a name. */
typedef struct weft_pipeline {
    weft_text name;
    weft_text summary;
    weft_text steps; /* `O1,my-pass,clean` */
} weft_pipeline;

/* Rules, as `--rules FILE` takes them:
 *
 *     /// Two transposes in a row are one.
 *     rule transpose-twice {
 *         match   Transpose(Transpose(?x) {perm = ?p}) {perm = ?q}
 *         rewrite Transpose(?x) {perm = compose(?p, ?q)}
 *     }
 *
 * `rewrite{rules=FAMILY}` runs them. */
typedef struct weft_rules {
    weft_text family; /* what they are called together */
    weft_text text;
} weft_rules;

/* A tensor, as a `weft_function` takes and fills it: elements in row-major order, close together. */
typedef struct weft_tensor {
    void *data;           /* aligned for its elements */
    const int64_t *shape; /* the extents */
    uint32_t rank;        /* how many */
    uint8_t code;         /* the kind of element, by DLPack's code: WEFT_SIGNED, ... */
    uint8_t bits;         /* of one element; 0 for an operand that is absent, which has nothing else either */
    uint16_t lanes;       /* 1 */
} weft_tensor;

/* Kinds of elements. Truth values are bytes of 0 or 1. */
enum weft_code { WEFT_SIGNED = 0, WEFT_UNSIGNED = 1, WEFT_FLOAT = 2, WEFT_BFLOAT = 4, WEFT_BOOL = 6 };

/* What computes an operator. `in` has an entry for every operand of the operator, and one for every attribute, sorted by
 * name: an `int` as `i64[]`, a `float` as `f32[]`, `ints` as `i64[n]`, a `text` as its bytes `u8[n]`, a `type` as an
 * `i64[]` of `code << 8 | bits`. `out` has one for every result, with room for its elements. Gives 0, or another number
 * if it fails, which ends the run with a message that says so.
 *
 * The same operands give the same results: it may be called at compile time, more than once, or not at all, and from
 * several threads at once. It changes no operand, and keeps no pointer. */
typedef int (*weft_function)(const weft_tensor *in, size_t in_count, weft_tensor *out, size_t out_count);

/* Who a plugin is and what it adds. */
typedef struct weft_plugin {
    uint32_t abi;    /* WEFT_PLUGIN_ABI; this field comes first in every version */
    uint32_t format; /* WEFT_FORMAT */
    size_t size;     /* sizeof(weft_plugin), as the plugin was built */
    weft_text fault; /* why the plugin cannot be used; empty if it can */
    weft_text name;  /* no two plugins share one */
    weft_text version;
    weft_text summary; /* one sentence */
    const weft_pass *passes;
    size_t pass_count;
    const weft_pipeline *pipelines;
    size_t pipeline_count;
    /* Definitions of operators, each by a graph of operators that weft comes with:
     *
     *     /// `(x + sqrt(x * x + b)) / 2`: a smooth ramp.
     *     operator acme.Squareplus(x) {b: float = 4.0}
     *     graph @body(%x: f32[*]) -> (f32[*]) {
     *         %b = Const() {value = $b.tensor} : f32[]
     *         %square = Mul(%x, %x) : f32[*]
     *         ...
     *         return %y
     *     }
     *
     * A sentence, a line, and one graph or more: the first counts whose inputs have the names and types of the operands
     * that are there. Symbols stand for any extents, `*` for any rank; other types are inferred anew. `b?` among the
     * operands is one that may be absent. An attribute is an `int`, `float`, `text`, `ints` or `type`, and must be given
     * unless it has a default; in the graph, `$b` is its value and `$b.tensor` a tensor of it.
     *
     * In the place of graphs, a function of C may compute it, a `weft_function`:
     *
     *     /// Each row in ascending order, or in descending order.
     *     operator acme.SortRows(x) {descending: int = 0}
     *     extern acme_sort_rows(%x: f32[N, C]) -> (f32[N, C])
     *     from "sort_rows.o"
     *
     * One line `extern` or more: the first counts that fits the operands. Results have extents of the operands (`2*N+1`,
     * or `$b` for an attribute), or `*`, the shape of the first operand that is `*`. The interpreter calls the function
     * in the plugin's library, which exports it. Programs and libraries that are compiled are linked with the object
     * (`.o`, of position-independent code) or archive (`.a`) behind `from`; if its path is not absolute, it counts from
     * the folder of the plugin's library. It may use libc and libm. */
    weft_text operators;
    const weft_rules *rules;
    size_t rules_count;
} weft_plugin;

/* The one symbol of a plugin. */
WEFT_EXPORT const weft_plugin *weft_plugin_table(void);

#ifdef __cplusplus
}
#endif

#endif
