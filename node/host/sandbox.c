#include "node/host/sandbox.h"

#if defined(__linux__) && defined(__has_include)
#if __has_include(<seccomp.h>)
#define HAVE_SECCOMP 1
#endif
#endif
// The sanitizers trace their own process at its end.
#if defined(__SANITIZE_ADDRESS__)
#undef HAVE_SECCOMP
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#undef HAVE_SECCOMP
#endif
#endif

#ifdef HAVE_SECCOMP

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

// Found by tracing whole lives: start, clients, names looked up, threads for slow work, files, the end. Some stand here for
// other versions of the C library, which use a call's relative.
static const int allowed[] = {
    // time, memory, threads
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(brk), SCMP_SYS(munmap),
    SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(mlock), SCMP_SYS(mlock2), SCMP_SYS(munlock),
    SCMP_SYS(futex), SCMP_SYS(futex_time64), SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
    SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_yield), SCMP_SYS(setpriority), SCMP_SYS(gettid),
    SCMP_SYS(getpid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
    SCMP_SYS(getrandom), SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(prlimit64),
    SCMP_SYS(getrlimit), SCMP_SYS(setrlimit), SCMP_SYS(exit), SCMP_SYS(exit_group),
    SCMP_SYS(restart_syscall), SCMP_SYS(membarrier),
    // signals, to itself alone
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
    // descriptors and waiting
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(close),
    SCMP_SYS(close_range), SCMP_SYS(lseek), SCMP_SYS(fcntl), SCMP_SYS(ioctl), SCMP_SYS(dup),
    SCMP_SYS(dup3), SCMP_SYS(pipe2), SCMP_SYS(eventfd2), SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2),
    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    // the state folder, the control socket, the resolver's files
    SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(stat), SCMP_SYS(fstat), SCMP_SYS(lstat),
    SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd),
    SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename),
    SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(chmod), SCMP_SYS(fchmod), SCMP_SYS(fchmodat),
    SCMP_SYS(umask), SCMP_SYS(fsync), SCMP_SYS(pread64), SCMP_SYS(getdents64), SCMP_SYS(flock),
    SCMP_SYS(ftruncate),
    // sockets, all but socket itself
    SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(connect),
    SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
    SCMP_SYS(shutdown), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg), SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg), SCMP_SYS(recvmmsg_time64)};

static bool allow(scmp_filter_ctx c, int call, unsigned n, const struct scmp_arg_cmp *arg)
{
    int rc = seccomp_rule_add_array(c, SCMP_ACT_ALLOW, call, n, arg);
    return rc == 0 || rc == -EDOM; // a call that this processor does not have
}

static bool rules(scmp_filter_ctx c)
{
    static const int families[] = {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK};
    static const int mappings[] = {SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect)};
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof allowed / sizeof *allowed; i++)
        ok = allow(c, allowed[i], 0, NULL);
    for (size_t i = 0; ok && i < sizeof families / sizeof *families; i++) {
        struct scmp_arg_cmp a = {0, SCMP_CMP_EQ, (scmp_datum_t)families[i], 0};
        ok = allow(c, SCMP_SYS(socket), 1, &a);
    }
    for (size_t i = 0; ok && i < sizeof mappings / sizeof *mappings; i++) {
        struct scmp_arg_cmp a = {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0};
        ok = allow(c, mappings[i], 1, &a);
    }
    // Threads, but no processes. clone3 hides its flags in memory: without it the C library uses clone.
    struct scmp_arg_cmp thread = {0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD};
    ok = ok && allow(c, SCMP_SYS(clone), 1, &thread);
    int rc = seccomp_rule_add(c, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    return ok && (rc == 0 || rc == -EDOM);
}

int sandbox_enter(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    scmp_filter_ctx c = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (c == NULL)
        return -1;
    bool ok = rules(c);
    (void)seccomp_attr_set(c, SCMP_FLTATR_CTL_TSYNC, 1);
    int rc = ok ? seccomp_load(c) : -1;
    seccomp_release(c);
    if (rc == -EINVAL || rc == -ENOSYS) // a kernel without it
        return 0;
    return rc == 0 ? 1 : -1;
}

#else

int sandbox_enter(void)
{
    return 0;
}

#endif
