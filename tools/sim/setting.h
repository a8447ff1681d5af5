// Values of settings in scenario files. All are false where the text is nothing of that kind, or too much.
#ifndef BAUTA_SIM_SETTING_H
#define BAUTA_SIM_SETTING_H

#include <stdbool.h>
#include <stdint.h>

// A number of nodes or people, or a share of all nodes.
struct scenario_amount {
    uint32_t value;
    bool percent;
};

bool setting_number(const char *text, uint64_t max, uint64_t *out);
// "12.5" with up to three digits after the point, in thousandths.
bool setting_thousandths(const char *text, uint64_t max, uint64_t *out);
// "12", at most `max` (which fits 32 bits), or "12%", at most 100.
bool setting_amount(const char *text, uint64_t max, struct scenario_amount *out);
bool setting_yes(const char *text, bool *out);

#endif
