// The commands of the command line. Each returns the process's exit status.
#ifndef BAUTA_NODE_HOST_RUN_H
#define BAUTA_NODE_HOST_RUN_H

#include "node/host/config.h"

int run_node(const struct config *);
int run_demo(const struct config *);

#endif
