// What `bauta chat` was started with.
#ifndef BAUTA_NODE_UI_TERMINAL_ARGUMENTS_H
#define BAUTA_NODE_UI_TERMINAL_ARGUMENTS_H

#include "node/host/config.h"

// EXIT_OK, or EXIT_USAGE with its line: a topic that can be none is a mistake in using the command line.
int arguments_topics(const struct config *);
// Whether options were given that only a node of one's own can heed. --network and --privacy are not
// among these.
bool arguments_for_node(const struct config *);
// Whether a node of these options has nobody to join through, and nobody comes to it either.
bool arguments_lonely(const struct config *);

#endif
