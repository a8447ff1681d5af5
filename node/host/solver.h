// The puzzle of a key of this run, solved in a thread of its own at the lowest priority: neither `ready`
// nor a topic's hash waits for it, and it can be given up.
#ifndef BAUTA_NODE_HOST_SOLVER_H
#define BAUTA_NODE_HOST_SOLVER_H

#include "crypto/net.h"
#include "crypto/nodekey.h"

#include <uv.h>

struct solver;

// `done` comes once on the loop, unless it is stopped first. 0 or a UV_ code.
int solver_start(struct solver **, uv_loop_t *, const struct net *, const uint8_t pk[static 32],
                 unsigned bits,
                 void (*done)(void *ctx, const uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES]),
                 void *ctx);
void solver_stop(struct solver *); // waits milliseconds; in `done` too. NULL is fine

#endif
