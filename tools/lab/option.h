// What stands behind an option of the command line.
#ifndef BAUTA_TOOLS_LAB_OPTION_H
#define BAUTA_TOOLS_LAB_OPTION_H

#include <stdint.h>

// Each returns 0, or -1 for text that is no such value or lies outside of the limits.
int lab_option_time(const char *text, uint64_t max_ns, uint64_t *ns); // 20ms, 1.5s, 300us
int lab_option_count(const char *text, uint64_t max,
                     uint64_t *n);                     // 1500, 64k, 1.5M, 1G (powers of 1000)
int lab_option_share(const char *text, uint32_t *ppm); // 0.1%, from 0% to 100%

#endif
