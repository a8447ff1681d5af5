// What the parts of a channel share: channel.c (life, time, events), receive.c, transmit.c, step.c.
#ifndef BAUTA_NODE_CHANNEL_INTERNAL_H
#define BAUTA_NODE_CHANNEL_INTERNAL_H

#include "crypto/ratchet.h"
#include "node/channel/channel.h"
#include "node/channel/cover.h"
#include "node/channel/datagrams.h"
#include "node/channel/ecn.h"
#include "node/channel/keys.h"
#include "node/channel/message.h"
#include "node/channel/paths.h"
#include "node/channel/recovery.h"
#include "node/channel/reunion.h"
#include "node/channel/seen.h"
#include "node/channel/streams.h"
#include "node/channel/trial.h"

enum chan_state {
    CHAN_OPEN,
    CHAN_LINGER,  // channel_close was called; stream data goes out first
    CHAN_CLOSING, // CLOSE is sent, and again
    CHAN_ENDED,   // CHANNEL_CLOSED is to be given
    CHAN_OVER
};

struct channel {
    struct arena *arena;
    struct rng rng;
    bool initiator;
    enum packet_aead aead;
    uint8_t remote_mask[MASK_KEY_BYTES];

    enum chan_state state;
    bool heard, ready, matched;
    bool tell_heard, tell_path, tell_ready, tell_matched; // events to give
    usec_t now;                                           // of the call that is under way
    usec_t started_at; // or when the peer was first heard, after a long search for a path
    usec_t patience_us;
    usec_t active_at;  // last tracked packet sent or valid one received
    usec_t idle_us;    // PING after this much silence, drawn anew each time
    usec_t keep_us;    // round this
    usec_t silence_us; // after which the peer was lost; 0: it is not, or had been heard just before
    struct path silent_at; // where it was then
    usec_t retry_at;       // offer room again after the arena was full; USEC_NEVER: no need
    bool ping_due;
    uint8_t bulk_in;  // full packets received since we last asked, up to CHAN_MTU_BULK
    usec_t cid_at;    // when the peer's use of a new cid was last answered with another one
    uint8_t probes;   // packets to send for a probe timeout, whatever the window says
    uint64_t skip_at; // the packet number that is left out next
    int16_t nominee;  // id of the path that the initiator took, in its own words; -1: none
    uint64_t nominee_pn;
    int8_t burst_path; // where the first RATCHET1 goes unasked; CHAN_NO_PATH: nowhere, or done

    uint8_t step_cid[CID_BYTES]; // ours for the step that we started
    usec_t step_at;              // when the last step was done
    uint64_t step_bytes;         // both ways since then
    usec_t step_known_at;        // when the other end was seen to have done it, too
    bool step_asked;             // the peer, or our application, wants the next one of ours
    uint32_t ask_step;           // the peer's step that we asked for last
    bool ask_due;                // to be sent

    // the end
    enum channel_reason reason;
    enum chan_close_kind close_kind;
    uint16_t code;
    bool close_once; // an answer to the peer's CLOSE
    usec_t close_at; // when CLOSE goes out next
    usec_t close_gap_us;
    usec_t close_end;                // LINGER: when to stop waiting; CLOSING: when it is over
    uint32_t close_in, close_answer; // packets since CLOSE; the next one that is answered

    struct ratchet ratchet;
    struct chan_keys keys;
    struct chan_seen seen;
    struct chan_recovery recovery;
    struct chan_paths paths;
    struct chan_ecn ecn;
    uint8_t ecn_path; // id of the path it is about
    struct chan_streams streams;
    struct chan_message_out message_out;
    struct chan_message_in message_in;
    struct chan_datagrams datagrams;
    struct chan_reunion reunion;
    struct chan_cover cover;

    uint64_t packets_in, packets_out, packets_dropped, bytes_in, bytes_out;
};

// ---- step.c -----------------------------------------------------------------------------------------
void chan_step_begin(struct channel *, usec_t now); // RATCHET1 of the next step
void chan_step_frame(struct channel *, usec_t now, const struct chan_frame *, uint32_t phase_step);
void chan_step_expire(struct channel *, usec_t now);
usec_t chan_step_deadline(const struct channel *);
// Has what asked for the step got lost? Then it goes again, where that step is still to come.
void chan_step_ask_lost(struct channel *);

// ---- reunion.c --------------------------------------------------------------------------------------
usec_t
chan_lost_at(const struct channel *); // when the path is lost unless something is answered before
void chan_lost(struct channel *, usec_t now);
void chan_found(struct channel *); // after a packet that came: is it found again?

// ---- receive.c --------------------------------------------------------------------------------------
void chan_decide(struct channel *, usec_t now); // follows the peer where that is clear now
void chan_own_move(
    struct channel *); // the own network is another: what was learnt of the path does not hold

// ---- channel.c: how long may the path be silent -------------------------------------------------------
usec_t chan_idle(const struct channel *); // drawn anew
void chan_silence_lost(
    struct channel *); // the peer is lost: perhaps since something on the way forgot us
void chan_silence_found(struct channel *); // it is found

// ---- channel.c --------------------------------------------------------------------------------------
struct chan_sink chan_sink(struct channel *);
// It has been silent for a while: memory that only bulk needs is given back.
void chan_tidy(struct channel *, usec_t now);
// Ends the channel from our side: CLOSE goes out where there is a path.
void chan_end(struct channel *, usec_t now, enum channel_reason, enum chan_close_kind,
              uint16_t code);
// It is over: keys are wiped, CHANNEL_CLOSED is given.
void chan_over(struct channel *, usec_t now);
static inline void chan_violation(struct channel *c, usec_t now)
{
    chan_end(c, now, CHANNEL_ENDED_PROTOCOL, CHAN_CLOSE_PROTOCOL, 0);
}
static inline bool chan_alive(const struct channel *c)
{
    return c->state == CHAN_OPEN || c->state == CHAN_LINGER;
}

#endif
