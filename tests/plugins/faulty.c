/* A plugin in which one thing is wrong: the tests say which by `-D`. */
#include "weft_plugin.h"
#include <string.h>

#ifndef ABI
#define ABI WEFT_PLUGIN_ABI
#endif
#ifndef FORMAT
#define FORMAT WEFT_FORMAT
#endif
#ifndef SIZE
#define SIZE sizeof(weft_plugin)
#endif
#ifndef FAULT
#define FAULT ""
#endif
#ifndef PASS
#define PASS "faulty"
#endif
#ifndef STATUS
#define STATUS WEFT_CHANGED
#endif
#ifndef STAGE
#define STAGE WEFT_LOWERED
#endif
#ifndef RUN
#define RUN run
#endif
#ifndef TABLE
#define TABLE &PLUGIN
#endif
#ifndef ENTRY
#define ENTRY weft_plugin_table
#endif

#ifndef FOUND
#define FOUND "Log(Softmax(?x) {axis = ?a})"
#endif

#ifdef NEEDS
int a_function_that_nobody_has(void);
#endif

static int32_t run(const void *data, const weft_call *call) {
    (void)data;
#ifdef NEEDS
    if (a_function_that_nobody_has()) return WEFT_UNCHANGED;
#endif
#ifdef ANSWER
    weft_text answer = WEFT_TEXT(ANSWER);
    call->answer(call->host, answer);
#elif defined(FROM)
    /* The module with FROM for TO, which is as long, wherever it stands. */
    static char copy[1 << 16];
    size_t length = call->module.length < sizeof copy ? call->module.length : sizeof copy;
    memcpy(copy, call->module.data, length);
    for (size_t i = 0; i + sizeof FROM - 1 <= length; i++)
        if (memcmp(copy + i, FROM, sizeof FROM - 1) == 0) memcpy(copy + i, TO, sizeof TO - 1);
    weft_text answer = {copy, length};
    call->answer(call->host, answer);
#else
    (void)call;
#endif
    return STATUS;
}

static const weft_pass PASSES[] = {{
    .name = WEFT_TEXT(PASS),
    .summary = WEFT_TEXT("does something wrong"),
    .explanation = WEFT_TEXT("It does something wrong."),
    .kind = WEFT_EXACT,
    .first_stage = WEFT_IMPORTED,
    .last_stage = STAGE,
    .run = RUN,
}};

#ifdef RULES
static const weft_rules RULE_FILES[] = {{
    .family = WEFT_TEXT("logs"),
    .text = WEFT_TEXT("/// The logarithm of a softmax is an operator of its own.\n"
                      "rule a-log-of-softmax {\n"
                      "    match   " FOUND "\n"
                      "    rewrite LogSoftmax(?x) {axis = ?a}\n"
                      "}\n"),
}};
#endif

static const weft_plugin PLUGIN = {
    .abi = ABI,
    .format = FORMAT,
    .size = SIZE,
    .fault = WEFT_TEXT(FAULT),
    .name = WEFT_TEXT("faulty"),
    .version = WEFT_TEXT("0.1.0"),
    .summary = WEFT_TEXT("one thing is wrong"),
    .passes = PASSES,
    .pass_count = 1,
#ifdef RULES
    .rules = RULE_FILES,
    .rules_count = 1,
#endif
#ifdef OPERATORS
    .operators = WEFT_TEXT("/// Twice the operand.\n"
                           "operator faulty.Double(x)\n"
                           "graph @body(%x: f32[*]) -> (f32[*]) {\n"
                           "    %y = Add(%x, %x) : f32[*]\n"
                           "    return %y\n"
                           "}\n"),
#endif
};

/* Uses everything, whatever is left out. */
WEFT_EXPORT const weft_plugin *ENTRY(void) {
    (void)run;
    (void)PLUGIN;
    return TABLE;
}
