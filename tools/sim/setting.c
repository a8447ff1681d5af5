#include "tools/sim/setting.h"

#include <string.h>

bool setting_number(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        unsigned digit = (unsigned)(*text - '0');
        if (digit > max || v > (max - digit) / 10)
            return false;
        v = 10 * v + digit;
    }
    *out = v;
    return true;
}

bool setting_thousandths(const char *text, uint64_t max, uint64_t *out)
{
    char whole[32], part[4] = "000";
    size_t len = strcspn(text, ".");
    if (len == 0 || len >= sizeof whole)
        return false;
    memcpy(whole, text, len);
    whole[len] = '\0';
    if (text[len] == '.') {
        size_t digits = strlen(text + len + 1);
        if (digits == 0 || digits > 3)
            return false;
        memcpy(part, text + len + 1, digits);
    }
    uint64_t a, b;
    if (!setting_number(whole, max, &a) || !setting_number(part, 999, &b))
        return false;
    *out = 1000 * a + b;
    return *out <= 1000 * max;
}

bool setting_amount(const char *text, uint64_t max, struct scenario_amount *out)
{
    char copy[32];
    uint64_t v;
    size_t len = strlen(text);
    if (len == 0 || len >= sizeof copy)
        return false;
    memcpy(copy, text, len + 1);
    out->percent = copy[len - 1] == '%';
    if (out->percent)
        copy[len - 1] = '\0';
    if (!setting_number(copy, out->percent ? 100 : max, &v))
        return false;
    out->value = (uint32_t)v;
    return true;
}

bool setting_yes(const char *text, bool *out)
{
    *out = strcmp(text, "yes") == 0;
    return *out || strcmp(text, "no") == 0;
}
