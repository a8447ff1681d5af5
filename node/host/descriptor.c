#include "node/host/descriptor.h"

#include "node/host/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

// Descriptors are given out lowest first, so the number tells how many are taken.
static bool leaves_spare(int fd, rlim_t limit)
{
    rlim_t spare = limit / 4 < DESCRIPTORS_SPARE ? limit / 4 : DESCRIPTORS_SPARE;
    return limit == RLIM_INFINITY || (rlim_t)fd + spare < limit;
}

static bool raise_limit(struct rlimit *limit)
{
    rlim_t most = limit->rlim_max < DESCRIPTORS_MAX ? limit->rlim_max : DESCRIPTORS_MAX;
    if (limit->rlim_cur >= most)
        return false;
    limit->rlim_cur = limit->rlim_cur < most / 2 ? 2 * limit->rlim_cur : most;
    return setrlimit(RLIMIT_NOFILE, limit) == 0;
}

// What became of a new descriptor, or of its negative errno.
static int settle(int fd)
{
    struct rlimit limit;
    if (fd < 0)
        return fd;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        limit.rlim_cur = RLIM_INFINITY;
    int rc = 0;
    if (!leaves_spare(fd, limit.rlim_cur) &&
        !(raise_limit(&limit) && leaves_spare(fd, limit.rlim_cur)))
        rc = -EMFILE;
    else if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0 ||
             fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        rc = -errno;
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

int descriptor_socket(int family, int type)
{
    int fd = socket(family, type, 0);
    return settle(fd < 0 ? -errno : fd);
}

int descriptor_accept(int listener)
{
    int fd = accept(listener, NULL, NULL);
    return settle(fd < 0 ? -errno : fd);
}
