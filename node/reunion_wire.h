// Layouts of a reunion (node/README.md): where an end can be asked for, the candidates in a note, and how a
// note lies in what introducers carry, so that they can't tell it from a stranger's offer and its answer.
#ifndef BAUTA_NODE_REUNION_WIRE_H
#define BAUTA_NODE_REUNION_WIRE_H

#include "node/limits.h"

#define REUNION_POINTS_MAX 2u

struct reunion_point {
    struct contact contact;
    uint8_t handle[DHT_HANDLE_BYTES];
};

// count[1], count x (family[1] pk[32] puzzle_nonce[8] addr[4|16] port[2] handle[16]): what a MEETING_POINT
// frame holds. Returns its length, at most CHANNEL_MEETING_BYTES_MAX.
size_t reunion_put_points(uint8_t out[static CHANNEL_MEETING_BYTES_MAX],
                          const struct reunion_point *, size_t n);
// 1 or 2 points, each with another handle. The contacts are anybody's word. BAUTA_EFORMAT.
int reunion_get_points(struct reunion_point out[static REUNION_POINTS_MAX], size_t *n,
                       const uint8_t *in, size_t len);

// flags[1] (bit 0: servers see us at the first) count[1], count x (family[1] addr[4|16] port[2]). The last
// candidates are left out where they don't fit in `cap`. Returns the length.
size_t reunion_put_candidates(uint8_t *out, size_t cap, const struct meet_candidates *);
int reunion_get_candidates(struct meet_candidates *, const uint8_t *in, size_t len);

// A note is a channel packet of a fixed length. An offer as node/meet's envelopes are: 16 bytes of it, effort
// 0 (4 bytes), 48 of it, a public key, 88 of it. An answer: a public key, 144 of it. The keys are true ones
// that nobody uses, since random bytes are no point of the curve half of the time.
#define REUNION_OFFER_BYTES 188u
#define REUNION_ANSWER_BYTES 176u
#define REUNION_OFFER_NOTE_BYTES 152u
#define REUNION_ANSWER_NOTE_BYTES 144u
void reunion_wrap_offer(uint8_t out[static REUNION_OFFER_BYTES],
                        const uint8_t note[static REUNION_OFFER_NOTE_BYTES], const struct rng *);
void reunion_wrap_answer(uint8_t out[static REUNION_ANSWER_BYTES],
                         const uint8_t note[static REUNION_ANSWER_NOTE_BYTES], const struct rng *);
// The note of an offer or answer, by its length; 0: it is neither.
size_t reunion_unwrap(uint8_t note[static REUNION_OFFER_NOTE_BYTES], const uint8_t *blob,
                      size_t len);

#endif
