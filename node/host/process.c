#include "node/host/process.h"

#include "node/host/api.h"

#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

int process_fail(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("bauta: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return status;
}

// A standard stream that the caller closed would give its number to the next socket or file, and what
// is printed would go there.
static bool open_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    return fd >= 0 && close(fd) == 0;
}

int process_harden(void)
{
    if (!open_streams())
        return process_fail(EXIT_FAILED, "can't open /dev/null");
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
#ifdef __linux__
    (void)prctl(PR_SET_DUMPABLE, 0);
#endif
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    if (sodium_init() < 0)
        return process_fail(EXIT_FAILED, "this system gives no random numbers");
    api_init();
    return EXIT_OK;
}
