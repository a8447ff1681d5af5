// The encrypted peer channel as a pure machine (DESIGN 7, PROTOCOL 1, 6, 7): packets, loss recovery,
// congestion control, streams, the KEM ratchet. It starts from the result of a Noise handshake that
// node/meet ran, and knows nothing of topics.
#ifndef BAUTA_NODE_CHANNEL_CHANNEL_H
#define BAUTA_NODE_CHANNEL_CHANNEL_H

#include "crypto/packet.h"
#include "crypto/sas.h"
#include "dht/arena.h"
#include "dht/machine.h"

struct channel;

#define CHANNEL_CANDIDATES_MAX 6u
#define CHANNEL_STREAMS_MAX                                                                        \
    8u // ids 0..7, bidirectional, the same at both ends, open from the start
#define CHANNEL_DATAGRAM_BYTES_MAX 1437u // what the longest packet holds
#define CHANNEL_PACKET_BYTES_MAX 1472u   // an Ethernet frame's 1,500 less IPv4's and UDP's headers
#define CHANNEL_MEETING_BYTES_MAX 160u   // two introducers, their IPv6 addresses and handles
#define CHANNEL_REUNION_BYTES_MAX 128u   // six candidates

// What stands before an end's IPv4 socket, as that end is told by servers (RFC 4787's words).
enum channel_nat {
    CHANNEL_NAT_UNKNOWN,
    CHANNEL_NAT_NONE, // its own interface has the address that others see; a firewall may filter
    CHANNEL_NAT_INDEPENDENT, // one outside port, whoever it sends to
    CHANNEL_NAT_PRESERVING,  // one for each whom it sends to, mostly the inside one
    CHANNEL_NAT_STEP,        // one for each, a step further each time
    CHANNEL_NAT_RANDOM,      // one for each, anywhere
    CHANNEL_NAT_BUSY,        // whichever: this end can't search a path now
    CHANNEL_NATS
};

enum chan_cc_kind { CHAN_CC_BBR, CHAN_CC_RENO }; // congestion control; the first is the default

struct channel_config {
    bool initiator; // of the Noise handshake
    enum packet_aead aead;
    uint8_t k_ir[32], k_ri[32];                                      // Split
    uint8_t h[64];                                                   // handshake hash
    uint8_t local_cid[CID_BYTES], remote_cid[CID_BYTES];             // phase 0
    uint8_t local_mask[MASK_KEY_BYTES], remote_mask[MASK_KEY_BYTES]; // recv_masks
    struct path candidate[CHANNEL_CANDIDATES_MAX];                   // where the peer may be
    uint8_t candidates;
    uint8_t observed;   // index of the candidate that the introducer saw; >= candidates: none
    bool lab;           // RATCHET1 may go beside the first probe of any candidate
    usec_t rtt_hint_us; // first guess of the round trip, 0: none
    uint8_t
        late; // bits of candidates behind a relay of the peer's: probed only where the others don't answer
    usec_t patience_us; // how long nothing valid may come before there is no path; 0: 2 s
    // For whoever searches a path to feed channel_probe with; the channel itself looks at none of these.
    enum channel_nat nat_own, nat_peer;
    int8_t step_peer; // of CHANNEL_NAT_STEP
    uint32_t
        receive_bytes; // flow-control window and receive memory of all streams together, 0: default
    enum chan_cc_kind cc;
    struct rng rng;
};

// From the arena; probes start at once. 0, BAUTA_ESPACE, BAUTA_EFORMAT (no candidate).
int channel_new(struct channel **, usec_t now, const struct channel_config *, struct arena *);
void channel_free(struct channel *); // wipes and gives everything back

// One datagram whose cid the node has recognised; `phase` as CHANNEL_CID_ADD gave it with the cid, `ecn` the two
// ECN bits of its IP header, 0 where unknown. Opened in place. 0 or BAUTA_EAUTH, BAUTA_EFORMAT, BAUTA_EREPLAY, BAUTA_ESTATE (dropped). A peer that breaks the rules closes
// the channel, which shows as an event.
int channel_receive(struct channel *, usec_t now, const uint8_t cid[static CID_BYTES],
                    unsigned phase, const struct path *from, uint8_t ecn, uint8_t *datagram,
                    size_t len);
bool channel_expire(struct channel *, usec_t now, unsigned budget);
usec_t channel_deadline(const struct channel *); // O(1)
// Builds up to `max` sends into buf. Returns how many; 0: nothing to send now.
size_t channel_transmit(struct channel *, usec_t now, uint8_t *buf, size_t cap, struct batch *,
                        size_t max);
// What the path said of a send: 0 or a negative errno-like code (unreachable starts a probe at once).
void channel_sent(struct channel *, usec_t now, int rc);

// Streams: ordered reliable bytes. Nothing is accepted before CHANNEL_READY.
// Send returns how many bytes were taken (0: no room now, CHANNEL_WRITABLE comes) or BAUTA_ESTATE, BAUTA_EUNKNOWN.
int channel_stream_send(struct channel *, usec_t now, unsigned stream, const uint8_t *data,
                        size_t len);
// Copies out what has arrived in order and gives the credit back. Returns bytes, 0 when none.
size_t channel_stream_receive(struct channel *, usec_t now, unsigned stream, uint8_t *buf,
                              size_t cap);
// Bytes that were sent and not yet acknowledged, or wait to be sent.
size_t channel_stream_pending(const struct channel *, unsigned stream);
// What goes first out of this end: control, then streams of text, then of bulk; streams of a class take
// turns. Stream 0 is text at first, all others bulk. Text finds credit, window and memory that bulk leaves.
enum channel_class { CHANNEL_TEXT, CHANNEL_BULK };
void channel_stream_class(struct channel *, unsigned stream, enum channel_class);
// Unreliable datagrams, in the order of bulk. Put: room for `len` bytes that goes out with the next packets, to be
// filled at once. BAUTA_ESTATE (also under cover: they would show), BAUTA_ELIMIT (longer than channel_datagram_max, which
// may grow and shrink with the path), BAUTA_ESPACE (as many wait as may).
size_t channel_datagram_max(const struct channel *);
int channel_datagram_put(struct channel *, size_t len, uint8_t **data);
// Those of the packet that channel_receive took last, in place: to be asked for right after it. False: no more.
bool channel_datagram(struct channel *, const uint8_t **data, size_t *len);
// ---- finding each other again when both have moved (README.md, "Reunion") --------------------------
// Tells the peer where this end could be asked for; replaces what was told before. Opaque here, reliable,
// at most CHANNEL_MEETING_BYTES_MAX. BAUTA_ESTATE before CHANNEL_MATCHED; BAUTA_ELIMIT.
int channel_meeting(struct channel *, const uint8_t *data, size_t len);
bool channel_meeting_told(const struct channel *); // the peer has the newest
// A packet of `size` bytes for somebody else to carry, which only the peer can read, and once: `data` (at
// most CHANNEL_REUNION_BYTES_MAX). BAUTA_ESTATE, BAUTA_ELIMIT, BAUTA_ESPACE.
int channel_reunion_seal(struct channel *, usec_t now, const uint8_t *data, size_t len,
                         uint8_t *packet, size_t size);
// Where the peer may be now: each address is probed, as those of the configuration were.
void channel_candidates(struct channel *, usec_t now, const struct path *, size_t n);
// One probe to an address that is no candidate, built into `buf` (CLASS_TINY), which goes at most `ttl` hops (0: as
// many as usual): whoever searches a path says where. An answer shows as any packet from an unknown address does.
// False: nothing may be sent any more.
bool channel_probe(struct channel *, usec_t now, const struct path *to, uint8_t ttl,
                   uint8_t buf[static CLASS_TINY], struct batch *);
// All paths through further sockets (VIA_SOCKET) but the one in use are forgotten: the caller closes those sockets.
void channel_drop_sockets(struct channel *);
// Paths over relays are preferred to direct ones from now on, or no longer: both ends have agreed on it.
void channel_prefer_far(struct channel *, bool on);
// All paths that lead straight to the peer are forgotten, but for one in use.
void channel_drop_near(struct channel *);
// The own network changed: asks at once whether the peer still hears us, and waits longer before it is gone.
void channel_moved(struct channel *, usec_t now);
// Such a packet, opened in place as by channel_receive; `data` has room for CHANNEL_REUNION_BYTES_MAX. Also
// BAUTA_EFORMAT where it holds nothing of that kind.
int channel_reunion_open(struct channel *, usec_t now, const uint8_t cid[static CID_BYTES],
                         unsigned phase, uint8_t *packet, size_t size, uint8_t *data, size_t *len);
// The application wants new keys: our step begins, or the peer is asked for its own; channel_deadline says when. 0 also
// where that is under way; BAUTA_ELIMIT: the last one is not 30 s ago; BAUTA_ESTATE: before CHANNEL_MATCHED, after the end.
int channel_step_ask(struct channel *, usec_t now);
// Cover traffic of this end, from CHANNEL_MATCHED on: words leave only in datagrams of one size that go at a constant
// rate, one a second (low) or five (high). Off at first. Datagrams have to fit a tick: about 230 bytes.
enum channel_cover { CHANNEL_COVER_OFF, CHANNEL_COVER_LOW, CHANNEL_COVER_HIGH };
void channel_cover(struct channel *, usec_t now, enum channel_cover);
// Sends CLOSE (a few times, with rising gaps) and ends with CHANNEL_CLOSED. `code` is the application's.
void channel_close(struct channel *, usec_t now, uint16_t code);

enum channel_event_kind {
    CHANNEL_CID_ADD,  // cid, phase: recognise it from now on (also for phase 0, at the start)
    CHANNEL_CID_DROP, // cid: forget it
    CHANNEL_HEARD,    // first valid packet: the peer has our confirm
    CHANNEL_PATH,     // path: validated and in use
    CHANNEL_READY,    // the first step is done, words are known, text may flow (sent: RATCHET3 / 4)
    CHANNEL_MATCHED, // initiator: valid RATCHET4; responder: RATCHET4 sent. Comes with or after READY
    CHANNEL_READABLE, // stream has bytes
    CHANNEL_WRITABLE, // stream has room again
    CHANNEL_MEETING,  // data, len: where the peer could be asked for
    CHANNEL_LOST,     // nothing was answered for three probe timeouts, and half a second
    CHANNEL_FOUND,    // something was answered again, on whatever path
    CHANNEL_CLOSED    // reason, code: the last event
};
enum channel_reason {
    CHANNEL_ENDED_LOCAL,    // channel_close
    CHANNEL_ENDED_PEER,     // CLOSE from the peer, `code`
    CHANNEL_ENDED_NO_PATH,  // nothing valid within 2 s of the start
    CHANNEL_ENDED_GONE,     // unanswered for max(3 PTO, 8 s), or the first step did not get done
    CHANNEL_ENDED_PROTOCOL, // the peer broke a rule
    CHANNEL_ENDED_MIDDLE    // the words' commitment does not fit: somebody is in the middle
};
struct channel_event {
    enum channel_event_kind kind;
    uint8_t cid[CID_BYTES];
    uint8_t phase;
    struct path path;
    bool direct; // CHANNEL_PATH: no relay is in between
    uint8_t stream;
    enum channel_reason reason;
    uint16_t code;
    const uint8_t *data; // valid until the next call
    size_t len;
};
bool channel_event(struct channel *, struct channel_event *);

bool channel_words(const struct channel *, uint16_t words[static SAS_WORDS]);

struct channel_status {
    usec_t srtt_us, rttvar_us, min_rtt_us;
    uint64_t cwnd_bytes, in_flight_bytes;
    uint64_t packets_in, packets_out, packets_lost, packets_dropped;
    uint64_t bytes_in, bytes_out;
    uint16_t mtu_bytes; // of a full packet on the path in use
    bool ecn;           // full packets are marked there, and the marks arrive
    uint32_t step;      // ratchet steps done
    bool ready;
    enum packet_aead aead;
    enum channel_cover cover; // ours
    struct path path;
};
void channel_status(const struct channel *, struct channel_status *);

#endif
