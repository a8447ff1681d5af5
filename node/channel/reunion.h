// What keeps two ends together who both move: each tells the other, while all is well, where it could be
// asked for (its meeting point, opaque here); and what then passes there is a packet like any other
// (README.md, "Reunion").
#ifndef BAUTA_NODE_CHANNEL_REUNION_H
#define BAUTA_NODE_CHANNEL_REUNION_H

#include "node/channel/channel.h"
#include "node/channel/wire.h"

struct chan_reunion {
    // Ours. Versions count up from 1; 0: none.
    uint16_t version, acked; // told last; the newest that the peer acknowledged
    bool due;                // `point` is to be put in a packet
    uint8_t point_len;
    uint8_t point[CHANNEL_MEETING_BYTES_MAX];
    // The peer's.
    uint16_t peer_version;
    bool tell_peer; // CHANNEL_MEETING is to be given
    uint8_t peer_len;
    uint8_t peer[CHANNEL_MEETING_BYTES_MAX];
    // What the last REUNION frame held.
    uint8_t note_len;
    uint8_t note[CHANNEL_REUNION_BYTES_MAX];

    bool lost;            // nothing that was sent has been answered for three probe timeouts
    usec_t unanswered_at; // of the recovery when it was lost
    bool tell_lost, tell_found;
    bool
        patient; // we moved, or heard of the peer through others since it was lost: gone takes longer
};

// Sets another one. BAUTA_ELIMIT: too long.
int chan_reunion_set(struct chan_reunion *, const uint8_t *data, size_t len);
// Writes MEETING_POINT if it is due and fits. The version, for acked and lost; 0: nothing.
uint16_t chan_reunion_put(struct chan_reunion *, struct wr *);
void chan_reunion_acked(struct chan_reunion *, uint16_t version);
void chan_reunion_lost(struct chan_reunion *, uint16_t version);
// MEETING_POINT or REUNION. 0 or BAUTA_EFORMAT.
int chan_reunion_frame(struct chan_reunion *, const struct chan_frame *);

#endif
