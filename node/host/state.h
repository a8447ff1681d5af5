// The state folder, used only with --state: the choice of privacy, up to 64 contacts that everybody may
// know, of a --public node its key and the key's puzzle, and of a relay those and how much a month has cost. Files of mode 0600, replaced whole. Nothing of conversations, ever.
#ifndef BAUTA_NODE_HOST_STATE_H
#define BAUTA_NODE_HOST_STATE_H

#include "node/host/limits.h"
#include "node/node.h"

struct relay_key {
    uint8_t seed[32]; // of relay_secret
    uint8_t puzzle_nonce[PUZZLE_NONCE_BYTES];
    int64_t made_s; // since 1970
};
struct relay_month {
    uint32_t month; // 202612: December 2026, UTC
    uint64_t bytes; // forwarded in it, both ways
};

// Makes the folder if it is missing. 0, or -1 with a line for a person.
int state_open(const char *dir, char error[static HOST_ERROR_BYTES]);
// Each: 1 = read, 0 = not there yet, -1 = unreadable or damaged, with a line.
int state_privacy(const char *dir, enum node_privacy *, char error[static HOST_ERROR_BYTES]);
int state_key(const char *dir, uint8_t secret[static 32],
              uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES], char error[static HOST_ERROR_BYTES]);
int state_relay_key(const char *dir, struct relay_key *, char error[static HOST_ERROR_BYTES]);
int state_relay_month(const char *dir, struct relay_month *, char error[static HOST_ERROR_BYTES]);
// 0 or -1 with a line.
int state_relay_key_keep(const char *dir, const struct relay_key *,
                         char error[static HOST_ERROR_BYTES]);
int state_relay_month_keep(const char *dir, const struct relay_month *,
                           char error[static HOST_ERROR_BYTES]);
int state_privacy_keep(const char *dir, enum node_privacy, char error[static HOST_ERROR_BYTES]);
int state_key_keep(const char *dir, const uint8_t secret[static 32],
                   const uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES],
                   char error[static HOST_ERROR_BYTES]);
// How many contacts were read (0: no file); what is damaged in it is passed over. -1 with a line.
int state_contacts(const char *dir, struct contact out[static CONTACTS_KEPT_MAX],
                   char error[static HOST_ERROR_BYTES]);
int state_contacts_keep(const char *dir, const struct contact *, size_t n,
                        char error[static HOST_ERROR_BYTES]);

#endif
