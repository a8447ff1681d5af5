// `crypto = modelled`: libsodium's functions that the product calls while it runs, replaced by cheap
// ones of the same sizes and the same laws, by the linker's --wrap and in the simulator only. Both
// ends of a DH agree; a tag depends on key, nonce, associated data and text; hashes spread. Nothing is
// secret. The switch is the process's: a simulation sets it whenever it is about to run.
#ifndef BAUTA_SIM_MODELLED_H
#define BAUTA_SIM_MODELLED_H

#include <stdbool.h>
#include <stdint.h>

// This thread's calls so far, modelled or not, for tests that count what something costs.
struct crypto_calls {
    uint64_t x25519, argon2id;
};
struct crypto_calls crypto_calls(void);

void modelled_use(bool on); // off at the start: libsodium
bool modelled_used(void);

#endif
