// Where the control socket lives, and how to reach it.
#include "node/host/control.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

void control_default_path(char out[static HOST_PATH_BYTES])
{
    const char *run = getenv("XDG_RUNTIME_DIR");
    if (run != NULL && run[0] == '/') {
        snprintf(out, HOST_PATH_BYTES, "%s/bauta/control", run);
        return;
    }
    const char *tmp = getenv("TMPDIR");
    snprintf(out, HOST_PATH_BYTES, "%s/bauta-%lu/control",
             tmp != NULL && tmp[0] == '/' ? tmp : "/tmp", (unsigned long)getuid());
}

int control_own_dir(const char *socket_path, char error[static HOST_ERROR_BYTES])
{
    char copy[HOST_PATH_BYTES];
    snprintf(copy, sizeof copy, "%s", socket_path);
    const char *dir = dirname(copy);
    struct stat st;
    int rc = lstat(dir, &st);
    if (rc != 0 && errno == ENOENT)
        return 0;
    // Somebody else may have made it first, or made it a link.
    if (rc != 0 || !S_ISDIR(st.st_mode) || st.st_uid != getuid() || (st.st_mode & 077) != 0) {
        snprintf(error, HOST_ERROR_BYTES,
                 "the folder %.150s is not yours alone (it needs mode 0700)", dir);
        return -1;
    }
    return 0;
}

int control_make_dir(const char *socket_path, char error[static HOST_ERROR_BYTES])
{
    char copy[HOST_PATH_BYTES];
    snprintf(copy, sizeof copy, "%s", socket_path);
    const char *dir = dirname(copy);
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        snprintf(error, HOST_ERROR_BYTES, "can't make the folder %.150s: %s", dir, strerror(errno));
        return -1;
    }
    return control_own_dir(socket_path, error);
}

int control_connect(const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof sa.sun_path)
        return -ENAMETOOLONG;
    memcpy(sa.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return -errno;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    int rc;
    do
        rc = connect(fd, (struct sockaddr *)&sa, sizeof sa);
    while (rc != 0 && errno == EINTR);
    if (rc != 0) {
        rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}
