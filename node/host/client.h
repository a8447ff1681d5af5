// `bauta ctl` and `bauta status`: one call of the running node, from outside.
#ifndef BAUTA_NODE_HOST_CLIENT_H
#define BAUTA_NODE_HOST_CLIENT_H

#include "node/host/config.h"

int client_ctl(const struct config *);
int client_status(const struct config *);
// The control socket that this command line means.
void client_path(const struct config *, char out[static HOST_PATH_BYTES]);

#endif
