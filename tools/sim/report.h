// What a run leaves in a folder: summary.json, series.csv, and report.html, one page with plots that
// opens without a network.
#ifndef BAUTA_SIM_REPORT_H
#define BAUTA_SIM_REPORT_H

#include "tools/sim/scenario.h"

// Writes all three; `name` is the scenario's, as the page's title. 0, or -1 with one line in `error`.
int report_write(const struct sim *, const struct scenario *, const char *name, const char *summary,
                 const char *folder, char *error, size_t error_bytes);

#endif
