// The DHT as a pure machine (DESIGN 5, PROTOCOL 1-5): routing table, sealed requests, look-ups,
// records at places, and the introducer's service. Its users are node/meet (through places, attends
// and introductions) and node (joining, status).
//
// Shape: datagrams go in through dht_receive, out through the outbox of the config; results come as
// events that are drained after each call. Nothing calls back.
#ifndef BAUTA_DHT_DHT_H
#define BAUTA_DHT_DHT_H

#include "crypto/net.h"
#include "crypto/nodekey.h"
#include "crypto/record.h"
#include "dht/arena.h"
#include "dht/machine.h"
#include "dht/path.h"

struct dht;
struct record_book;  // records held for others, one a process, reference-counted
struct contact_book; // keys, addresses and ids of servers, one a process, reference-counted

#define DHT_HANDLE_BYTES 16u
#define DHT_LINK_BYTES 8u
#define DHT_INTRODUCERS_MAX 3u
#define DHT_SAMPLE_RECORDS_MAX 8u
#define DHT_ANSWER_BYTES 176u // of relay_back as node/meet makes them: decoys are as long

struct dht_config {
    struct net net;
    struct rng rng;
    struct arena *arena;
    struct outbox *out;
    struct contact_book *book;
    struct record_book *records; // a client may go without
    uint8_t secret[32];          // X25519 secret of the server key; unused by a client
    uint8_t puzzle_nonce[PUZZLE_NONCE_BYTES];
    uint8_t puzzle_bits;      // NODE_PUZZLE_BITS; 0 in a lab
    bool server;              // wants to be a server, once it is dialled back (PROTOCOL 3)
    bool listed;              // is one at once: --lab, --public, relays
    bool keep_contacts;       // for dht_contacts_export
    bool opens;               // answers `open`: DHT_OPEN comes
    bool lab;                 // loopback and private addresses count as public
    bool prefix_limits;       // off in --lab: each rule that counts prefixes then counts nodes
    uint32_t store_bytes_max; // records held for others
};

int dht_init(struct dht **, const struct dht_config *); // from the arena. 0, BAUTA_ESPACE
void dht_free(struct dht *);                            // wipes
void dht_clock(struct dht *, usec_t now, int64_t unix_us);
// Another server of whom the person told us; asked now and again until somebody answers. BAUTA_ELIMIT.
int dht_bootstrap(struct dht *, usec_t now, const struct contact *);
// A client that has a key with a solved puzzle now and wants to be a server. BAUTA_ESTATE: it does
// already; BAUTA_ESPACE.
int dht_serve(struct dht *, usec_t now, const uint8_t secret[static 32],
              const uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES]);
// A datagram of somebody else's goes there from our address: no dial-back from there proves anything.
void dht_contacted(struct dht *, const struct path *);
// Servers that may be told and written down (relays, --public), in random order, at most 64.
size_t dht_contacts_export(struct dht *, struct contact *out, size_t max);
// Those of an earlier run: a few at a time are asked while no server is known, before bootstraps.
// Returns how many were taken (64 in all at most), or BAUTA_ESPACE.
int dht_contacts_import(struct dht *, usec_t now, const struct contact *, size_t n);

// The key of a server that is known at this address and port. False: nobody is. Looks through the whole book.
bool dht_key_at(const struct dht *, const struct path *, uint8_t pk[static 32]);
// Servers that somebody on our own link told us of: as dht_contacts_import, but their addresses may be private. Such
// a one is no contact outside a lab; whom it names is asked. Taken only while no server is known.
void dht_hints(struct dht *, usec_t now, const struct contact *, size_t n);
// Key and puzzle of ours, if we are a server. The path is the caller's.
bool dht_self(const struct dht *, struct contact *);

// One datagram, opened in place. 0: it was ours; BAUTA_EUNKNOWN: neither an answer, a push nor a request
// to us; other codes: ours, but bad, and dropped. dht_is_answer tells in O(1) if the first 8 bytes are
// an open answer or push id, which comes before channels in the order of recognition.
bool dht_is_answer(const struct dht *, const uint8_t *datagram, size_t len);
int dht_receive(struct dht *, usec_t now, const struct path *from, uint8_t *datagram, size_t len);
bool dht_expire(struct dht *, usec_t now, unsigned budget); // true: more is due
usec_t dht_deadline(const struct dht *);                    // O(1)

bool dht_heard_family(const struct dht *, uint8_t family); // 4, 6: has anybody there ever answered?

// A solved client puzzle for an announce, where holders want one (PROTOCOL 5).
struct dht_proof {
    uint32_t effort;
    uint8_t nonce[POW_NONCE_BYTES], sol[POW_SOLUTION_BYTES];
};

// ---- places -------------------------------------------------------------------------------------
// A place is one person's interest in one spot of the id space, with its own request key e, its
// look-up, its holders and their tokens. Opening starts the look-up. *id >= 1. BAUTA_ELIMIT, BAUTA_ESPACE.
int dht_place_open(struct dht *, usec_t now, const uint8_t place[static 32], uint32_t user,
                   uint32_t *id);
// Up to 3 introducers by the ladder of PROTOCOL 3; may be called before the look-up has ended (then it
// picks of what is known). Never ourselves. Drawn at random within a step; IPv4 and IPv6 by turns where
// both are known. Returns how many.
size_t dht_place_introducers(struct dht *, uint32_t id,
                             struct contact out[static DHT_INTRODUCERS_MAX]);
// The rec_id for the next record at this place. It belongs to the place's request key: nobody else can
// announce or withdraw under it, and nobody but holders can tell. BAUTA_EUNKNOWN.
int dht_place_record_id(struct dht *, uint32_t id, uint8_t rec_id[static RECORD_ID_BYTES]);
// Stores at all holders as soon as the look-up has them (and at those that come later), samples as it
// stores, renews with jitter until withdrawn or closed, hands out each sample as an event. Calling it
// again with another record replaces the old one under the same rec_id, and with a proof (NULL: none)
// asks again those who wanted one. BAUTA_EFORMAT: the rec_id is none of dht_place_record_id's.
int dht_place_announce(struct dht *, usec_t now, uint32_t id,
                       const uint8_t record[static RECORD_BYTES], uint32_t ttl_s,
                       const struct dht_proof *proof);
// Samples without storing, at `holders` random ones. One DHT_SAMPLE each; it is empty where a holder
// did not answer. Before the look-up has found holders it is done as soon as it has.
int dht_place_seek(struct dht *, usec_t now, uint32_t id, unsigned holders);
// For who finds nobody there: looks it up once more, beginning at other servers, since those on the way
// may have led astray. The members found so far stay; the record goes to those that are found besides.
// Nothing while a look-up runs.
void dht_place_look_elsewhere(struct dht *, usec_t now, uint32_t id);
// Withdraws at all holders at once; keeps the place open. That rec_id is dead there until its time is
// over: announce under another one.
int dht_place_withdraw(struct dht *, usec_t now, uint32_t id);
// Withdraws what is announced (in the background) and forgets the rest.
void dht_place_close(struct dht *, usec_t now, uint32_t id);

// ---- introductions --------------------------------------------------------------------------------
// A request key of its own for attends and introductions that belong to no place: nothing is looked up.
// *id goes wherever a place's does below, and to dht_place_close. BAUTA_ELIMIT, BAUTA_ESPACE.
int dht_key_open(struct dht *, usec_t now, uint32_t user, uint32_t *id);
// Random live servers that may introduce two who talk over `peer` already: of its address family first, of
// other coarse prefixes than it and each other as far as there are any; never at its very address, never
// ourselves. Returns how many, at most `max`.
size_t dht_servers_apart(struct dht *, const struct path *peer, struct contact *out, size_t max);
// Is it still in our table, and answers?
bool dht_server_live(struct dht *, const struct contact *);
// Registers a handle with an introducer and keeps it registered. Requests use the place's e.
int dht_attend_open(struct dht *, usec_t now, uint32_t place, const struct contact *introducer,
                    const uint8_t handle[static DHT_HANDLE_BYTES], uint32_t user, uint32_t *attend);
// We are at another address: registers it from here at once. DHT_ATTENDING comes again. (Closing and opening
// it instead would leave it to chance which of the two arrives last.)
void dht_attend_renew(struct dht *, usec_t now, uint32_t attend);
// Sends a blob back to who came on this link (relay_back). Acknowledged and retransmitted as an RPC.
int dht_attend_answer(struct dht *, usec_t now, uint32_t attend,
                      const uint8_t link[static DHT_LINK_BYTES], const uint8_t *blob, size_t len);
// The address under which this introducer sees us, if it has answered. False: not known.
bool dht_attend_seen(const struct dht *, uint32_t attend, struct path *seen);
void dht_attend_close(struct dht *, usec_t now, uint32_t attend);

// Opens a link to the owner of `handle` and sends the first blob. What comes back are DHT_BACK events.
// Pushes may be lost or come twice: send again, and tell duplicates by their content. The introducer may
// be ourselves. BAUTA_EFORMAT: unreachable, or its puzzle is not solved. BAUTA_ELIMIT, BAUTA_ESPACE, BAUTA_EUNKNOWN.
int dht_introduce_open(struct dht *, usec_t now, uint32_t place, const struct contact *introducer,
                       const uint8_t handle[static DHT_HANDLE_BYTES], const uint8_t *blob,
                       size_t len, uint32_t user, uint32_t *intro);
// Sends another blob on the same link, from the same e.
int dht_introduce_send(struct dht *, usec_t now, uint32_t intro, const uint8_t *blob, size_t len);
usec_t dht_introduce_rto(const struct dht *, uint32_t intro); // to the introducer
void dht_introduce_close(struct dht *, usec_t now, uint32_t intro);

// Largest blobs, by the datagram classes that they must fit.
size_t dht_introduce_blob_max(void); // introduce in 704 bytes
size_t dht_answer_blob_max(void);    // relay_back in 320 bytes, and its push

// ---- one server, and the way to it ------------------------------------------------------------------
// All that this DHT sends goes by this way (VIA_*) from now on, and only what comes by it is taken. At first VIA_UDP.
// VIA_NONE: nothing leaves until there is one. Who changes it is at another address: attends are renewed.
void dht_via(struct dht *, usec_t now, uint32_t via);
// By which way introducers of an address family are asked in which nobody has ever answered us. At first VIA_NONE: none.
// `v4`: that way leads to IPv4. Who can't be heard there otherwise looks its places up among servers of IPv4 by it, too: most
// people have nothing else, and look and are found only there.
void dht_other_way(struct dht *, usec_t now, uint32_t via, bool v4);
// Is that server there, by this way? DHT_PONG or DHT_SILENT comes. It does not get into our table by that.
// BAUTA_EFORMAT: not reachable; BAUTA_ELIMIT, BAUTA_ESPACE.
int dht_ping(struct dht *, usec_t now, const struct contact *, uint32_t via, uint32_t user,
             uint32_t *id);
// Asks it for a channel, with the first message of a handshake: DHT_OPENED with the second one, or DHT_SILENT.
int dht_open(struct dht *, usec_t now, const struct contact *, uint32_t via, const uint8_t *blob,
             size_t len, uint32_t user, uint32_t *id);
void dht_ask_close(struct dht *, usec_t now, uint32_t id); // of either: nobody waits any more
// A server's answer to DHT_OPEN, in the same turn. The same question may come again, under another id.
void dht_open_answer(struct dht *, usec_t now, uint32_t id, const uint8_t *blob, size_t len);
void dht_open_refuse(struct dht *, usec_t now, uint32_t id); // no such service here
size_t dht_open_blob_max(void);

// ---- events ---------------------------------------------------------------------------------------
enum dht_event_kind {
    DHT_PLACE_FOUND, // id: the look-up has its region; count = holders (0: nobody known yet, it goes on trying)
    DHT_FULL, // id: instead of that, or later: most holders say that the place is full. Nothing is announced
              // there while it stands so. `hint` of depth and `count` of records: their medians
    DHT_EFFORT, // id: most holders want a proof of at least `count` for the announce
    DHT_SAMPLE, // id: `count` at the holder, `hint` of depth, `full`, `records` of `n`; n may be 0
    DHT_STORED, // id: every holder has answered the announce or failed; count = how many hold it
    DHT_ATTENDING,    // id = attend: the introducer has the handle
    DHT_ATTEND_LOST,  // id = attend: it does not answer any more; the attend is closed
    DHT_OFFER,        // id = attend: `blob` came on `link`
    DHT_BACK,         // id = intro: `blob` came back
    DHT_INTRO_FAILED, // id = intro: the introducer does not answer
    DHT_PONG,         // id of dht_ping: it answered, and sees us at `path`
    DHT_OPENED,       // id of dht_open: `blob`
    DHT_SILENT,       // id of either: no answer, or a refusal
    DHT_OPEN          // id for dht_open_answer: somebody at `path` asks for a channel with `blob`
};
struct dht_event {
    enum dht_event_kind kind;
    uint32_t id, user;
    uint32_t count;
    uint8_t hint;
    bool answered;  // DHT_SAMPLE: by a holder, perhaps with nothing; else the seek has failed
    bool announced; // DHT_SAMPLE: of an announce, else of a seek
    bool full;      // DHT_SAMPLE: that holder says so
    size_t n;       // records
    const uint8_t *records; // n x RECORD_BYTES
    uint8_t link[DHT_LINK_BYTES];
    const uint8_t *blob;
    size_t blob_len;
    struct path path; // DHT_PONG, DHT_OPEN
};
// The next event; what it points to is valid until the next dht_event, dht_receive or dht_expire (the
// commands above may be called meanwhile).
bool dht_event(struct dht *, struct dht_event *);

bool dht_serves(const struct dht *);    // as a server, in any family
bool dht_joined(const struct dht *);    // a server is known
bool dht_heard_udp(const struct dht *); // one has ever answered by our own UDP sockets
void dht_forget_udp(struct dht *);      // the network is another: it has to show again
// Whom we were told of: bootstraps, then contacts of an earlier run. Returns how many.
size_t dht_told(const struct dht *, struct contact *out, size_t max);

// ---- reachability ---------------------------------------------------------------------------------
// What address translation before us does, as several servers of different coarse prefixes see it (RFC 4787's words).
enum dht_mapping {
    DHT_MAPPING_UNKNOWN,
    DHT_MAPPING_NONE,        // they see an address of our own interface
    DHT_MAPPING_INDEPENDENT, // all see the same address and port
    DHT_MAPPING_DEPENDENT    // a port, or even an address, for each of them
};
struct dht_reach {
    enum dht_mapping mapping;
    bool port_preserving; // the port outside is the one that our socket is bound to
    bool same_ip;         // at least the address is the same for all
    int32_t
        port_step; // dependent ones: what the port grows by with each new destination; 0: not regular
    struct path seen;  // as most see us; of dependent ones the newest port. Family 0: unknown
    uint8_t observers; // coarse prefixes (nodes in a lab) whose word this is
};
// family: 4 or 6. It takes more than half of five, or of all where fewer are known; told for an hour and
// some, or until the network changes.
void dht_reach(const struct dht *, uint8_t family, struct dht_reach *);
// The addresses that our sockets can be reached at from this computer's interfaces, whenever they change. What
// servers said before is forgotten for each family whose addresses have changed, and a few are asked again.
void dht_local_paths(struct dht *, usec_t now, const struct path *, size_t n);

// ---- status ---------------------------------------------------------------------------------------
struct dht_status {
    bool server;       // listed, or dialled back
    bool candidate;    // wants to be one
    uint32_t contacts; // live servers in the tables
    uint32_t size_estimate;
    uint32_t records_held, handles_held, links_held;
    uint32_t places, lookups_running;
    uint64_t lookups, lookups_ok;
    struct path seen;       // our address as servers see it; family 0 when unknown
    struct path seen_of[2]; // the same of each family: IPv4, IPv6
    uint64_t dropped_format, dropped_auth, dropped_replay, dropped_rate, dropped_unknown;
    uint64_t requests_in, requests_out, answers_in, answers_out, pushes_in, pushes_out, timeouts;
    uint64_t bytes_in, bytes_out;
};
void dht_status(const struct dht *, struct dht_status *);
// The result of a finished look-up, for the simulator's figures.
struct dht_lookup_stat {
    usec_t took_us;
    uint16_t asked; // requests
    uint8_t hops;
    bool ok;
    bool upkeep; // else of a place
    bool stored; // no look-up: an announce, from dht_place_announce to DHT_STORED
    uint32_t place;
};
bool dht_lookup_stat(struct dht *, struct dht_lookup_stat *); // drains a small ring
// The region's live servers, nearest first, once DHT_PLACE_FOUND has come; for benchmarks and checkers.
// The place itself; NULL: there is none of this number, or it is full and has no region.
const uint8_t *dht_place_key(const struct dht *, uint32_t id);
size_t dht_place_region(const struct dht *, uint32_t id, struct contact *out, size_t max);

// Book of contacts.
struct contact_book *contact_book_new(struct arena *, uint32_t contacts_max);
void contact_book_end(struct contact_book *);
// Book of records; its arena counts 470 bytes for each different one.
struct record_book *record_book_new(struct arena *, uint32_t records_max);
void record_book_end(struct record_book *);

#endif
