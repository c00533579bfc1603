/* A plugin for weft in C, with the pass of `../rust`: the logarithm of a softmax becomes one operator.
 *
 *     cc -std=c99 -shared -fPIC -I passes/abi/include -o libstable_log.so examples/plugins/c/stable_log.c
 *     weft opt model.onnx --plugin ./libstable_log.so --pipeline O1,log-of-softmax --diff
 *
 * A pass gets the module as text, a node to a line:
 *
 *     %p = Softmax(%x) {axis = 1} : f32[N, 10]
 *     %y = Log(%p) : f32[N, 10]
 *
 * and gives back the whole text with the lines changed. The nodes of one graph are the lines of one indentation between the
 * line that opens the graph and the one that closes it; what lies deeper belongs to the graphs of control flow within.
 */
#include "weft_plugin.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *begin, *end; /* without the end of the line */
    size_t indent;
    bool dropped;
    const char *op, *op_end; /* what to write in the place of this part of the line, if it was rewritten */
    weft_text with;
} line;

typedef struct {
    line *lines;
    size_t count;
} text;

/* Takes a text apart; `lines` is NULL if there is no memory. */
static text split(weft_text module) {
    text t = {NULL, 0};
    size_t most = 1;
    for (size_t i = 0; i < module.length; i++) most += module.data[i] == '\n';
    t.lines = calloc(most, sizeof *t.lines);
    if (!t.lines) return t;
    const char *end = module.data + module.length;
    for (const char *at = module.data; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        line *l = &t.lines[t.count++];
        l->begin = at;
        l->end = stop ? stop : end;
        while (at < l->end && *at == ' ') at++;
        l->indent = (size_t)(at - l->begin);
        at = l->end + 1;
    }
    return t;
}

static bool in_plain_name(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '.' ||
           c == '~' || c == '/' || c == '-';
}

/* The end of the value's name that begins with the `%` at `at`: plain, or in quotes. */
static const char *name_end(const char *at, const char *end) {
    at++;
    if (at < end && *at == '"') {
        for (at++; at < end && *at != '"'; at++) at += *at == '\\';
        return at < end ? at + 1 : end;
    }
    while (at < end && in_plain_name(*at)) at++;
    return at;
}

static bool same(const char *a, const char *a_end, const char *b, const char *b_end) {
    return a_end - a == b_end - b && memcmp(a, b, (size_t)(a_end - a)) == 0;
}

/* Whether the line is `%NAME = OP(`; gives the places of the name and of the operator. */
static bool applies(const line *l, const char *op, const char **name_stop, const char **op_at) {
    const char *at = l->begin + l->indent;
    if (l->dropped || at >= l->end || *at != '%') return false;
    *name_stop = at = name_end(at, l->end);
    size_t length = strlen(op);
    if ((size_t)(l->end - at) < 3 + length + 1 || memcmp(at, " = ", 3) != 0) return false;
    *op_at = at + 3;
    return memcmp(*op_at, op, length) == 0 && (*op_at)[length] == '(';
}

/* Where the operands of a line begin: behind the first ` = `, or at its begin if it is a `return`. */
static const char *operands_of(const line *l) {
    for (const char *at = l->begin; l->end - at > 3; at++)
        if (memcmp(at, " = ", 3) == 0) return at + 3;
    return l->begin;
}

/* How often a line names a value that it does not make. */
static size_t uses_in(const line *l, const char *name, const char *stop) {
    size_t uses = 0;
    bool quoted = false;
    for (const char *at = operands_of(l); at < l->end; at++) {
        if (quoted && *at == '\\') at++;
        else if (*at == '"') quoted = !quoted;
        else if (*at == '%' && !quoted) {
            const char *end = name_end(at, l->end);
            uses += same(at, end, name, stop);
            at = end - 1;
        }
    }
    return uses;
}

/* Rewrites the node of line `at` if it is a `Log` of a `Softmax` that nothing else uses. */
static bool visit(text *t, size_t at, const weft_call *call) {
    line *log = &t->lines[at];
    const char *name_stop, *op;
    if (!applies(log, "Log", &name_stop, &op)) return false;
    const char *operand = op + strlen("Log("), *operand_stop = name_end(operand, log->end);
    size_t first = at, last = at, softmax = SIZE_MAX, uses = 0;
    while (first > 0 && t->lines[first - 1].indent >= log->indent) first--;
    while (last + 1 < t->count && t->lines[last + 1].indent >= log->indent) last++;
    for (size_t i = first; i <= last; i++) {
        if (t->lines[i].indent != log->indent || t->lines[i].dropped) continue;
        const char *own_stop, *own_op;
        if (applies(&t->lines[i], "Softmax", &own_stop, &own_op) &&
            same(t->lines[i].begin + t->lines[i].indent, own_stop, operand, operand_stop))
            softmax = i;
        uses += uses_in(&t->lines[i], operand, operand_stop);
    }
    if (softmax == SIZE_MAX) return false;
    const char *name = log->begin + log->indent + 1;
    weft_text place = {name, (size_t)(name_stop - name)};
    if (uses != 1) {
        weft_text why = WEFT_TEXT("the softmax has other uses");
        call->declined(call->host, place, why);
        return false;
    }
    /* `LogSoftmax` has the operand, the attributes and the type of the softmax. */
    line *from = &t->lines[softmax];
    const char *ignored, *from_op;
    applies(from, "Softmax", &ignored, &from_op);
    from_op += strlen("Softmax");
    log->op = op;
    log->op_end = log->end;
    log->with.data = from_op;
    log->with.length = (size_t)(from->end - from_op);
    from->dropped = true;
    call->rewrote(call->host, place);
    return true;
}

/* Puts the lines together again; NULL if there is no memory. */
static char *joined(const text *t, size_t *length) {
    static const char OP[] = "LogSoftmax";
    size_t most = 0;
    for (size_t i = 0; i < t->count; i++)
        most += (size_t)(t->lines[i].end - t->lines[i].begin) + 1 + t->lines[i].with.length + sizeof OP;
    char *out = malloc(most + 1), *at = out;
    for (size_t i = 0; out && i < t->count; i++) {
        const line *l = &t->lines[i];
        if (l->dropped) continue;
        size_t kept = (size_t)((l->op ? l->op : l->end) - l->begin);
        memcpy(at, l->begin, kept);
        at += kept;
        if (l->op) {
            memcpy(at, OP, sizeof OP - 1);
            memcpy(at + sizeof OP - 1, l->with.data, l->with.length);
            at += sizeof OP - 1 + l->with.length;
        }
        *at++ = '\n';
    }
    *length = (size_t)(at - out);
    return out;
}

static int32_t run(const void *data, const weft_call *call) {
    (void)data;
    static const weft_text no_memory = WEFT_TEXT("there is no memory");
    text t = split(call->module);
    if (!t.lines) {
        call->fail(call->host, no_memory);
        return WEFT_FAILED;
    }
    uint64_t rewrites = 0;
    for (size_t i = 0; i < t.count && rewrites < call->rewrites_left; i++) rewrites += visit(&t, i, call);
    size_t length = 0;
    char *answer = rewrites ? joined(&t, &length) : NULL;
    free(t.lines);
    if (rewrites == 0) return WEFT_UNCHANGED;
    if (!answer) {
        call->fail(call->host, no_memory);
        return WEFT_FAILED;
    }
    weft_text module = {answer, length};
    call->answer(call->host, module);
    free(answer);
    return WEFT_CHANGED;
}

static const weft_pass PASSES[] = {{
    .name = WEFT_TEXT("log-of-softmax"),
    .summary = WEFT_TEXT("writes the logarithm of a softmax as one operator"),
    .explanation = WEFT_TEXT("Before: `%p = Softmax(%x)`, `%y = Log(%p)`. After: `%y = LogSoftmax(%x)`.\n"
                             "\n"
                             "A softmax that something else uses is left alone: it would be computed twice."),
    .kind = WEFT_EXACT,
    .first_stage = WEFT_CANONICAL,
    .last_stage = WEFT_CANONICAL,
    .run = run,
}};

static const weft_plugin PLUGIN = {
    .abi = WEFT_PLUGIN_ABI,
    .format = WEFT_FORMAT,
    .size = sizeof(weft_plugin),
    .name = WEFT_TEXT("stable-log-in-c"),
    .version = WEFT_TEXT("0.1.0"),
    .summary = WEFT_TEXT("logarithms that keep their digits"),
    .passes = PASSES,
    .pass_count = sizeof PASSES / sizeof *PASSES,
};

WEFT_EXPORT const weft_plugin *weft_plugin_table(void) { return &PLUGIN; }
