// `bauta ctl` and `bauta status`: one call of the running node, from outside.
#ifndef BAUTA_NODE_HOST_CLIENT_H
#define BAUTA_NODE_HOST_CLIENT_H

#include "node/host/config.h"

int client_ctl(const struct config *);
int client_status(const struct config *);
// Connects, blocking, to the control socket that this command line means. A descriptor; CLIENT_NO_NODE;
// CLIENT_FAILED with a line for a person in `error`.
#define CLIENT_NO_NODE (-1)
#define CLIENT_FAILED (-2)
int client_connect(const struct config *, char path[static HOST_PATH_BYTES],
                   char error[static HOST_ERROR_BYTES]);

#endif
