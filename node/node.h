// One node: DHT, meeting, channels and conversations joined into one pure machine. Datagrams, time and
// commands in; datagrams, jobs and events out. node/host and tools/sim are its two drivers.
//
// A driver's turn: node_clock now and again; node_receive / node_expire / a command; then until each
// is empty: node_transmit, node_job, node_event; then arm one timer with node_deadline.
#ifndef BAUTA_NODE_NODE_H
#define BAUTA_NODE_NODE_H

#include "crypto/job.h"
#include "dht/dht.h"
#include "node/channel/channel.h"
#include "node/hairpin.h"
#include "node/limits.h"
#include "node/meet/meet.h"
#include "node/relay/service.h"

struct node;

#define NODE_TRANSMIT_BATCHES 64u
#define NODE_ALIAS_BYTES 32u // as ALIAS_BYTES

enum node_privacy { NODE_PRIVACY_UNCHOSEN, NODE_DIRECT, NODE_RELAYED };

struct node_config {
    const char *network; // NULL: "bauta"
    struct rng rng;
    struct arena *arena;                      // all of the node's memory
    struct outbox *out;                       // shared by all nodes of the driver
    struct contact_book *book;                // shared
    struct record_book *records;              // shared
    uint8_t secret[32];                       // of the server key
    bool server;                              // wants to be a server
    bool listed;                              // is one at once: --lab, --public
    bool keep_contacts;                       // for dht_contacts_export
    bool lab;                                 // loopback and private addresses count as public
    bool prefix_limits;                       // false only in --lab
    uint8_t puzzle_bits;                      // 0 in --lab
    uint8_t puzzle_nonce[PUZZLE_NONCE_BYTES]; // solves it for the key of `secret`
    bool aes_hardware;
    enum node_privacy privacy;
    enum channel_cover cover; // of conversations to come, unless node_cover says otherwise
    uint32_t store_bytes_max; // 0: default
    uint8_t hops;             // relays before a stranger in relayed privacy: 1 (0: the same) or 2
    bool tcp_only;            // UDP can't be used: everything goes through a relay reached by TCP
    // A volunteer's relay; `secret` is relay_secret's of the seed. 0: defaults of node/relay/service.h.
    bool relay;
    uint8_t relay_seed[32];
    uint32_t relay_clients_max, relay_client_Bps, relay_total_Bps;
    uint64_t relay_volume_bytes; // that may still be forwarded; UINT64_MAX: no limit
};

int node_new(struct node **, usec_t now,
             const struct node_config *); // 0, BAUTA_ESPACE, BAUTA_EFORMAT (network)
void node_free(struct node *);            // wipes
void node_clock(struct node *, usec_t now, int64_t unix_us);
// A warning for the person (NODE_WARNING), each code once until it was told. Both texts outlive the node.
void node_warn(struct node *, const char *code, const char *text);
void node_local_paths(struct node *, usec_t now, const struct path *, size_t count);
// Addresses that a router holds open for our socket (at most MEET_MAPPED_PATHS_MAX; 0: none any more): strangers
// are told them. No move of the network: conversations that go on are left alone.
void node_mapped(struct node *, usec_t now, const struct path *, size_t count);
int node_bootstrap(struct node *, usec_t now, const struct contact *);
// A client becomes a candidate for being a server: as dht_serve. Contacts out and in: as
// dht_contacts_export and dht_contacts_import.
int node_serve(struct node *, usec_t now, const uint8_t secret[static 32],
               const uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES]);
size_t node_contacts(struct node *, struct contact *out, size_t max);
int node_add_contacts(struct node *, usec_t now, const struct contact *, size_t count);
// LAN discovery (lan.h). What a beacon may tell: of a server itself, at the addresses that it has on that link, else
// up to two servers that everybody may know. Returns how many.
size_t node_lan_tells(struct node *, const struct path *own, size_t owns,
                      struct contact out[static LAN_CONTACTS_MAX]);
// Contacts that a beacon named: asked for others while no server is known.
void node_lan_hints(struct node *, usec_t now, const struct contact *, size_t count);
bool node_alone(const struct node *); // no server is known
// Everything goes through relays: nothing else may leave this computer, beacons neither.
bool node_hides(const struct node *);
// Our own contact, given the address that our socket is bound to. False for who is not listed.
bool node_contact(const struct node *, const struct path *bound, struct contact *);

// The mask key of a TCP connection to this path (VIA_TCP), for stream_open: that of the server there. Asked between two
// calls of node_transmit. False: none is known there, and nothing can be sent. Path NULL: our own, for connections that
// others open; false for clients.
bool node_stream_key(const struct node *, const struct path *, uint8_t key[static 32]);

// A relay says in the directory where it can be reached: at most one address of each family, as others see them; `tcp`:
// also by TCP at the same ports, and at tcp_port where that is not 0. Again where it changed.
int node_relay_announce(struct node *, usec_t now, const struct path *, size_t count, bool tcp,
                        uint16_t tcp_port);
// Takes no new clients and lets those there are find another one within `seconds`.
void node_relay_drain(struct node *, usec_t now, uint32_t seconds);
void node_relay_volume(struct node *, uint64_t bytes); // as relay_allow

void node_receive(struct node *, usec_t now, const struct rx *, size_t count);
bool node_expire(struct node *, usec_t now, unsigned budget); // true: more is due
usec_t node_deadline(const struct node *);                    // O(1)
// Up to `max` sends. Their data is in `buf` or in the outbox, valid until the next call. Call until 0.
size_t node_transmit(struct node *, usec_t now, uint8_t *buf, size_t cap, struct batch *,
                     size_t max);
void node_sent(struct node *, usec_t now, uint64_t batch_id,
               int rc); // only failures have to be told
// Up to `max` of the links (VIA_SOCKET | n) that nobody sends through any more: the driver closes them. Call after
// each turn until 0. A number that comes again later is a new one.
size_t node_vias_closed(struct node *, uint32_t *via, size_t max);
bool node_job(struct node *, struct job *);
void node_job_done(struct node *, usec_t now, uint32_t job, const uint8_t *result, int len);

// ---- commands: 0 or a negative code; encounters and ids are >= 1 --------------------------------
struct node_topic {
    const char *text; // UTF-8, not normalised; may hold "##pass" where pass is NULL
    size_t len;
    const char *pass; // NULL: none
    size_t pass_len;
};
#define NODE_EPRIVACY (-64)  // privacy was never chosen
#define NODE_ENOTREADY (-66) // say before matched or after ended
#define NODE_ETOPIC (-67)    // a topic is empty or too long or not UTF-8
#define NODE_EPATH (-68)     // all goes over TCP: there is no direct path
// BAUTA_ELIMIT: too many encounters or topics.
int node_seek(struct node *, usec_t now, const struct node_topic *topic, size_t topics,
              const struct card *, const struct wishes *, uint32_t *encounter);
// NODE_ENOTREADY, BAUTA_EUNKNOWN, BAUTA_EFORMAT (bad UTF-8, control characters, empty), BAUTA_ELIMIT (too long, or too many wait).
int node_say(struct node *, usec_t now, uint32_t encounter, const uint8_t *text, size_t len,
             uint32_t *id);
int node_typing(struct node *, usec_t now, uint32_t encounter, bool on);
// Asks the other end that the conversation go directly (true) or by relays from now on; NODE_PATH tells when it does, which
// takes the other's asking for the same. NODE_ENOTREADY, BAUTA_EUNKNOWN, NODE_EPATH.
int node_path(struct node *, usec_t now, uint32_t encounter, bool direct);
// Cover traffic of our end, of the conversation that goes on and of those to come in this encounter (channel_cover).
// BAUTA_EUNKNOWN, NODE_ENOTREADY (it has ended).
int node_cover(struct node *, usec_t now, uint32_t encounter, enum channel_cover);
// Also NODE_EPRIVACY: then nothing has changed.
int node_next(struct node *, usec_t now, uint32_t encounter);
int node_end(struct node *, usec_t now, uint32_t encounter);
int node_block(struct node *, usec_t now, uint32_t encounter);
int node_words(const struct node *, uint32_t encounter,
               const char *words[static SAS_WORDS]); // NODE_ENOTREADY
// What is still being sought ends, with the reason "privacy", unless this is NODE_DIRECT; conversations
// that go on stay as they are.
void node_set_privacy(struct node *, usec_t now, enum node_privacy);
// Ends every encounter politely; node_idle tells when nothing more has to be sent.
void node_stop(struct node *, usec_t now);
bool node_idle(const struct node *);

// ---- events ---------------------------------------------------------------------------------------
enum node_event_kind {
    NODE_SEEKING,     // encounter; again after next. Topics: node_encounter_topic
    NODE_PROGRESS,    // encounter, stage
    NODE_MATCHED,     // encounter, text = topic, alias, words, path
    NODE_MESSAGE,     // encounter, id, text
    NODE_DELIVERED,   // encounter, id
    NODE_UNDELIVERED, // encounter, id, reason
    NODE_TYPING,      // encounter, on
    NODE_PATH_WANTED, // encounter, path: the other end asks for it
    NODE_PATH,        // encounter, path: how it runs now, after node_path
    // encounter, reason: "left", "gone", "error" (the other side); "end", "block", "privacy" (ours)
    NODE_ENDED,
    NODE_WARNING // reason = code, text = what to tell the person
};
struct node_event {
    enum node_event_kind kind;
    uint32_t encounter, id;
    bool on;
    enum meet_stage stage;
    const char *reason;
    const char *text; // valid until the next call, len bytes
    size_t len;
    char alias[NODE_ALIAS_BYTES];
    const char *words[SAS_WORDS];
    const char *path; // "direct" or "relayed"
    int64_t at_ms;    // wall clock, for `at`
};
bool node_event(struct node *, usec_t now, struct node_event *);
// The i-th topic of an encounter as the person typed it, without its passphrase; NULL past the end.
const char *node_encounter_topic(const struct node *, uint32_t encounter, size_t i, size_t *len);

// ---- status ---------------------------------------------------------------------------------------
struct node_encounter_status {
    uint32_t encounter;
    const char *state; // "seeking", "connecting", "talking", "ended"
    enum channel_cover cover;
    char alias[NODE_ALIAS_BYTES];
    const char *path;              // "direct" or "relayed"
    struct channel_status channel; // zero unless talking
};
// The relays that this node uses.
struct uplink_status {
    bool open; // conversations could go through a relay now
    uint8_t tunnels, opening;
    unsigned known; // relays in the directory
};
struct node_status {
    struct dht_status dht;
    struct meet_status meet;
    struct dht_reach reach[2];   // address translation of IPv4, IPv6
    enum hairpin_answer hairpin; // of IPv4's
    enum node_privacy privacy;
    uint64_t uptime_us;
    uint64_t datagrams_in, datagrams_out, bytes_in, bytes_out;
    uint64_t dropped_short, dropped_unknown,
        dropped_channel; // with dht's and meet's: every drop has a counter
    struct uplink_status uplink;
    bool relaying; // we are a relay: relay, announced
    bool announced;
    struct relay_status relay;
    size_t pool_held_bytes;  // of all nodes of the process
    size_t arena_used_bytes; // of this one
    const char *network;
};
void node_status(const struct node *, usec_t now, struct node_status *);
size_t node_encounters(const struct node *, struct node_encounter_status *, size_t max);
// For the simulator's figures and checkers, and for benchmarks of the DHT alone.
struct dht *node_dht(struct node *);

#endif
