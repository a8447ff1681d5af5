// `bauta chat --plain`: a conversation as plain lines, for terminals, screen readers and scripts. What is
// typed is said, lines that begin with / are commands, and each happening is one line.
#ifndef BAUTA_NODE_UI_TERMINAL_PLAIN_H
#define BAUTA_NODE_UI_TERMINAL_PLAIN_H

#include "node/host/config.h"

int plain_chat(const struct config *); // the exit status

#endif
