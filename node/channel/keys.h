// The keys of a channel's phases: which are received under, which one is sent under, and the cids that
// belong to them (PROTOCOL 7; README.md, "Phases").
#ifndef BAUTA_NODE_CHANNEL_KEYS_H
#define BAUTA_NODE_CHANNEL_KEYS_H

#include "crypto/packet.h"
#include "dht/machine.h"

#define CHAN_PHASES 4u // in the top two bits of a packet number
#define CHAN_PN_BITS 62u
#define CHAN_PHASE_CIDS 4u // that an end may have in a phase: the step's own, and three NEW_CIDs

struct chan_phase_in {
    struct packet_keys keys;
    uint8_t cid[CHAN_PHASE_CIDS][CID_BYTES]; // the step's own, then those of our NEW_CIDs
    uint8_t cids, announced;                 // how many; of how many CHANNEL_CID_ADD was given
    uint8_t used;                            // the last one that a packet came under
    uint32_t step;                           // of the ratchet; the phase is step % 4
    bool live;
    usec_t dies_at; // USEC_NEVER: not yet
};

struct chan_keys {
    struct chan_phase_in in[CHAN_PHASES];
    struct packet_keys out, next_out;
    uint8_t out_cid[CID_BYTES], next_out_cid[CID_BYTES];
    uint32_t out_step, next_out_step;
    uint8_t known[CHAN_PHASE_CIDS - 1][CID_BYTES]; // the peer's NEW_CIDs of out_step
    uint8_t known_count, known_used;               // how many, and of how many we took one
    bool new_cid_due; // a NEW_CID with the last cid of `newest` is to go out
    uint8_t newest;   // phase of the newest receive keys
    uint8_t out_phase;
    bool switch_waits; // next_out is used after a valid packet under `newest`
    bool newest_heard; // a valid packet came under it
    uint8_t dropped[CHAN_PHASES * CHAN_PHASE_CIDS][CID_BYTES]; // CHANNEL_CID_DROP to give
    uint8_t drops;
};

// Installs the keys of a step. `wait`: we are the encapsulating side and send under it only once
// the peer did.
void chan_keys_install(struct chan_keys *, uint32_t step, const uint8_t in_cid[static CID_BYTES],
                       const struct packet_keys *in, const uint8_t out_cid[static CID_BYTES],
                       const struct packet_keys *out, bool wait);
// A valid packet came under `phase`. `old_dies_at`: when older receive keys die if this is the first
// under the newest. True if that was the first.
bool chan_keys_heard(struct chan_keys *, unsigned phase, usec_t old_dies_at);
// Is this a cid of that phase? Its index, or -1.
int chan_keys_cid(const struct chan_phase_in *, const uint8_t cid[static CID_BYTES]);
// A valid packet came under the i-th cid of a phase. True: the first under one that the peer was keeping.
bool chan_keys_used(struct chan_keys *, unsigned phase, int i);
// The peer keeps no cid of the newest step that it has not used: one more is made, where there may be more. Only
// once it speaks under that step, so that it knows of it; never of the handshake's.
void chan_keys_spare(struct chan_keys *, const struct rng *);
// The peer's next cid is used from now on, if it gave us one.
void chan_keys_take(struct chan_keys *);
// A packet with NEW_CID was lost.
void chan_keys_new_cid_lost(struct chan_keys *);
// The peer has one more cid for a step. 0, or BAUTA_EFORMAT: no step that it can know of, or too many.
int chan_keys_on_new_cid(struct chan_keys *, uint32_t step, const uint8_t cid[static CID_BYTES]);
void chan_keys_expire(struct chan_keys *, usec_t now);
usec_t chan_keys_deadline(const struct chan_keys *);
void chan_keys_end(struct chan_keys *); // all die: wiped, cids dropped

#endif
