#include "node/host/confine.h"

#include "node/host/limits.h"

#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef __linux__
#include <errno.h>
#include <grp.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#endif

// AddressSanitizer reserves terabytes of addresses.
#if defined(__SANITIZE_ADDRESS__)
#define UNBOUNDED_ADDRESSES 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNBOUNDED_ADDRESSES 1
#endif
#endif

#define NOBODY 65534u

static bool close_others(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) != 0)
        return false;
#ifdef SYS_close_range
    if (syscall(SYS_close_range, STDERR_FILENO + 1u, ~0u, 0u) == 0)
        return true;
#endif
    for (int fd = STDERR_FILENO + 1; (rlim_t)fd < l.rlim_cur && fd < CONFINE_CLOSE_MAX; fd++)
        (void)close(fd);
    return true;
}

static bool drop_root(void)
{
#ifdef __linux__
    if (geteuid() != 0)
        return true;
    (void)setgroups(0, NULL);
    // A namespace may not know that user; the rest holds there as well.
    if (setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0)
        return errno == EINVAL;
#endif
    return true;
}

bool confine_begin(void)
{
    bool ok = close_others() && drop_root();
    ok = setrlimit(RLIMIT_CPU, &(struct rlimit){CONFINE_CPU_S, CONFINE_CPU_S}) == 0 && ok;
    ok = setrlimit(RLIMIT_FSIZE, &(struct rlimit){0, 0}) == 0 && ok;
    ok =
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){CONFINE_FILES_MAX, CONFINE_FILES_MAX}) == 0 && ok;
#ifdef RLIMIT_NPROC
    ok = setrlimit(RLIMIT_NPROC, &(struct rlimit){0, 0}) == 0 && ok;
#endif
#if defined(__linux__) && !defined(UNBOUNDED_ADDRESSES)
    ok = setrlimit(RLIMIT_AS, &(struct rlimit){CONFINE_BYTES_MAX, CONFINE_BYTES_MAX}) == 0 && ok;
#endif
#ifdef __linux__
    ok = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ok;
    ok = prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ok;
    ok = prctl(PR_SET_DUMPABLE, 0) == 0 && ok;
#endif
    signal(SIGALRM, SIG_DFL);
    alarm(CONFINE_LIFE_S);
    return ok;
}

#ifdef __linux__
bool confine_network(void)
{
    // Whatever else is asked for fails with EPERM, which libraries survive.
    static const int calls[] = {
        SCMP_SYS(read),          SCMP_SYS(write),          SCMP_SYS(readv),
        SCMP_SYS(writev),        SCMP_SYS(close),          SCMP_SYS(lseek),
        SCMP_SYS(fstat),         SCMP_SYS(newfstatat),     SCMP_SYS(fcntl),
        SCMP_SYS(connect),       SCMP_SYS(bind),           SCMP_SYS(sendto),
        SCMP_SYS(recvfrom),      SCMP_SYS(sendmsg),        SCMP_SYS(recvmsg),
        SCMP_SYS(sendmmsg),      SCMP_SYS(getsockname),    SCMP_SYS(getpeername),
        SCMP_SYS(setsockopt),    SCMP_SYS(getsockopt),     SCMP_SYS(shutdown),
        SCMP_SYS(poll),          SCMP_SYS(ppoll),          SCMP_SYS(select),
        SCMP_SYS(_newselect),    SCMP_SYS(pselect6),       SCMP_SYS(brk),
        SCMP_SYS(mmap),          SCMP_SYS(mmap2),          SCMP_SYS(munmap),
        SCMP_SYS(mremap),        SCMP_SYS(madvise),        SCMP_SYS(mprotect),
        SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),   SCMP_SYS(clock_nanosleep),
        SCMP_SYS(nanosleep),     SCMP_SYS(futex),          SCMP_SYS(getrandom),
        SCMP_SYS(getpid),        SCMP_SYS(gettid),         SCMP_SYS(rt_sigreturn),
        SCMP_SYS(rt_sigaction),  SCMP_SYS(rt_sigprocmask), SCMP_SYS(restart_syscall),
        SCMP_SYS(sigaltstack),   SCMP_SYS(exit),           SCMP_SYS(exit_group)};
    static const int families[] = {AF_INET, AF_INET6};
    scmp_filter_ctx c = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    bool ok = c != NULL;
    // A call that this processor does not know is none to be allowed.
    for (size_t i = 0; ok && i < sizeof calls / sizeof *calls; i++) {
        int rc = seccomp_rule_add(c, SCMP_ACT_ALLOW, calls[i], 0);
        ok = rc == 0 || rc == -EDOM;
    }
    for (size_t i = 0; ok && i < 2; i++) {
        struct scmp_arg_cmp family = {
            .arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)families[i], .datum_b = 0};
        ok = seccomp_rule_add_array(c, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, &family) == 0;
    }
    ok = ok && seccomp_load(c) == 0;
    if (c != NULL)
        seccomp_release(c);
    return ok;
}
#else
bool confine_network(void)
{
    return true;
}
#endif
