// The state folder, used only with --state: the choice of privacy, and of a --public node its key and
// the key's puzzle. Files of mode 0600, replaced whole. Nothing of conversations, ever.
#ifndef BAUTA_NODE_HOST_STATE_H
#define BAUTA_NODE_HOST_STATE_H

#include "node/host/limits.h"
#include "node/node.h"

// Makes the folder if it is missing. 0, or -1 with a line for a person.
int state_open(const char *dir, char error[static HOST_ERROR_BYTES]);
// Each: 1 = read, 0 = not there yet, -1 = unreadable or damaged, with a line.
int state_privacy(const char *dir, enum node_privacy *, char error[static HOST_ERROR_BYTES]);
int state_key(const char *dir, uint8_t secret[static 32],
              uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES], char error[static HOST_ERROR_BYTES]);
// 0 or -1 with a line.
int state_privacy_keep(const char *dir, enum node_privacy, char error[static HOST_ERROR_BYTES]);
int state_key_keep(const char *dir, const uint8_t secret[static 32],
                   const uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES],
                   char error[static HOST_ERROR_BYTES]);

#endif
