#include "crypto/noise_patterns.h"

#include <string.h>

#define E TOKEN_E
#define S TOKEN_S
#define EE TOKEN_EE
#define ES TOKEN_ES
#define SE TOKEN_SE
#define SS TOKEN_SS

// Messages alternate, the initiator begins.
static const struct noise_pattern patterns[] = {
    {"N", false, true, true, 1, {{E, ES}}},
    {"K", true, true, true, 1, {{E, ES, SS}}},
    {"X", false, true, true, 1, {{E, ES, S, SS}}},
    {"NN", false, false, false, 2, {{E}, {E, EE}}},
    {"NK", false, true, false, 2, {{E, ES}, {E, EE}}},
    {"NX", false, false, false, 2, {{E}, {E, EE, S, ES}}},
    {"XN", false, false, false, 3, {{E}, {E, EE}, {S, SE}}},
    {"XK", false, true, false, 3, {{E, ES}, {E, EE}, {S, SE}}},
    {"XX", false, false, false, 3, {{E}, {E, EE, S, ES}, {S, SE}}},
    {"KN", true, false, false, 2, {{E}, {E, EE, SE}}},
    {"KK", true, true, false, 2, {{E, ES, SS}, {E, EE, SE}}},
    {"KX", true, false, false, 2, {{E}, {E, EE, SE, S, ES}}},
    {"IN", false, false, false, 2, {{E, S}, {E, EE, SE}}},
    {"IK", false, true, false, 2, {{E, ES, S, SS}, {E, EE, SE}}},
    {"IX", false, false, false, 2, {{E, S}, {E, EE, SE, S, ES}}},
};

const struct noise_pattern *noise_pattern_find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        if (strlen(patterns[i].name) == len && memcmp(patterns[i].name, name, len) == 0)
            return &patterns[i];
    return NULL;
}

bool noise_pattern_needs_static(const struct noise_pattern *pattern, bool initiator)
{
    if (initiator ? pattern->knows_i : pattern->knows_r)
        return true;
    for (unsigned m = initiator ? 0 : 1; m < pattern->messages; m += 2)
        for (unsigned t = 0; t < NOISE_PATTERN_TOKENS_MAX; t++)
            if (pattern->token[m][t] == TOKEN_S)
                return true;
    return false;
}
