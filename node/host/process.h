// What the process does to itself before it handles secrets, and how it ends in words.
#ifndef BAUTA_NODE_HOST_PROCESS_H
#define BAUTA_NODE_HOST_PROCESS_H

#define EXIT_OK 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2

// Standard streams that are there, no core dumps, not to be traced, files for the owner alone, broken pipes as errors; libsodium and the
// wiping JSON allocator are set up. EXIT_OK or EXIT_FAILED with its line.
int process_harden(void);
// One line on standard error, "bauta: ...". Returns `status`.
int process_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
