// The whole of one DHT node, and what its parts call of each other. Not for users of dht/.
#ifndef BAUTA_DHT_INTERNAL_H
#define BAUTA_DHT_INTERNAL_H

#include "crypto/nodekey.h"
#include "dht/book.h"
#include "dht/gate.h"
#include "dht/guard.h"
#include "dht/ids.h"
#include "dht/intro.h"
#include "dht/mapping.h"
#include "dht/region.h"
#include "dht/rtt.h"
#include "dht/size.h"
#include "dht/store.h"
#include "dht/table.h"
#include "dht/timer.h"
#include "dht/wire.h"

enum timer_kind {
    TIMER_CALL = 1,
    TIMER_PLACE,
    TIMER_ATTEND,
    TIMER_UPKEEP,
    TIMER_SERVER,
    TIMER_LOOKUP
};

// ---- request keys (rpc.c) -------------------------------------------------------------------------
struct session { // one e with one server
    book_ref ref;
    uint32_t used; // a counter, for the choice of who gives way
    struct rpc_root root;
    uint8_t token[RPC_TOKEN_BYTES];
    bool has_token;
};
static_assert(sizeof(struct session) == 52, "a place keeps dozens");
struct ekey {
    uint8_t pk[32], sk[32];
    struct session *session;
    uint16_t n, cap;
    uint32_t uses;
};

// ---- calls (rpc.c) --------------------------------------------------------------------------------
enum call_owner {
    CALL_NOBODY,    // an answer is welcome, but nobody waits (withdrawing, leaving a handle)
    CALL_LOOKUP,    // owner: the look-up
    CALL_LATE,      // owner: the place; a find to a member that the look-up did not wait for
    CALL_HOLDER,    // owner: the place
    CALL_TOKEN,     // owner: the place; a ping for the sake of the token
    CALL_ATTEND,    // owner: the attend
    CALL_ANSWER,    // owner: the attend; relay_back
    CALL_INTRO,     // owner: the introduction
    CALL_BOOTSTRAP, // the first find to somebody we were told of
    CALL_VERIFY,    // a ping to a newcomer
    CALL_CHECK,     // a ping to somebody in the table
    CALL_REFRESH,   // one find of upkeep
    CALL_DIAL,      // a ping to a candidate, for somebody else's sake
    CALL_ASK        // owner: the question; says nothing of our own contacts
};
struct sending {
    usec_t at;
    uint64_t id[RPC_ANSWER_DATAGRAMS_MAX + 1]; // and that of a token answer without DH
    uint8_t ids;                               // open; 0: none
};
struct call {
    struct call *next, *prev;
    struct timer timer;
    enum rpc_kind kind;
    enum call_owner owner_kind;
    uint32_t owner, place; // place: whose e it is; 0: none
    uint32_t tag;          // the owner's own: a version
    uint32_t order;        // of its first sending, among all requests
    book_ref ref;
    struct rpc_keys keys;
    uint8_t mask_key[32];
    struct rpc_header header;
    struct sending sending[RPC_SENDINGS_MAX];
    uint8_t sendings, sendings_max, token_rounds, asked;
    bool late, slow, failed; // told the owner
    bool has_token, own_via;
    uint32_t via; // by which it went out last
    usec_t rto;
    uint8_t *body;
    uint16_t body_len, datagram_len;
    // The answer, as far as it has come.
    uint8_t got, expect, got_sending; // bits of datagrams
    uint16_t live;
    uint8_t hint, records;
    uint8_t *record; // DHT_SAMPLE_RECORDS_MAX, once the first one comes
};
struct call_spec {
    enum call_owner owner_kind;
    uint32_t owner, place, tag;
    book_ref ref;
    struct ekey *ekey;    // NULL: a fresh one for this call alone
    uint16_t class_min;   // pad to at least this
    uint8_t sendings_max; // 0: RPC_SENDINGS_MAX
    uint8_t asked;        // so often before, by calls that were not answered
    bool own_via;         // goes by `via`, whatever the others do
    uint32_t via;
};

// ---- look-ups (lookup.c) --------------------------------------------------------------------------
struct lookup {
    struct lookup *next;
    uint32_t id, place; // place 0: upkeep, with its own e
    uint8_t target[32];
    struct ekey ekey;   // upkeep only
    uint16_t class_min; // of a find without token
    bool sample;        // its target is random: it tells the density of servers
    bool again;         // of a place whose members are known: few of them are asked
    bool elsewhere; // it begins far from the place, and is not ended by who says that it is full
    uint8_t want;   // families: WIRE_WANT_*
    uint8_t zone;   // leading bits of the target that servers on the way are told at most
    uint8_t paths;  // 0: everybody is on the way to the nearest
    uint8_t path_in_use; // bits: somebody was on it
    uint8_t arrivals[LOOKUP_PATHS];
    uint8_t anew; // how often other paths were begun
    uint8_t hops;
    uint16_t asked;              // in all
    uint16_t whole_asked, spots; // of the region: for the whole place; for another spot
    uint16_t whole_answered, full;
    usec_t started,
        patience_at; // patience_at: slow members are not waited for any longer; 0: not yet set
    struct timer timer;
    struct region region;
    uint16_t n, cap;
    struct candidate *cand; // nearest first
};

// ---- places (place.c, publish.c, choose.c) ----------------------------------------------------------
struct holder {
    usec_t expires; // of the record there
    book_ref ref;
    uint32_t version_sent, version_acked; // 0: none
    uint32_t effort;                      // wanted for a record that is not there yet
    uint16_t live;
    uint8_t hint;
    uint8_t failures;
    bool in_region : 1, busy : 1, late : 1;
    bool refuses : 1; // not ours there, or withdrawn
    bool full : 1;    // it said so, and told how much: hint, live
};
static_assert(sizeof(struct holder) == 32, "a place keeps dozens");
struct place {
    struct place *next;
    struct timer timer;
    uint32_t id, user;
    uint8_t place[32];
    struct ekey ekey;
    uint32_t lookup; // running, or 0
    bool waiting;    // for the first server to be known
    bool found, told_found;
    bool full;      // nothing is announced while it stands so
    bool sized;     // found while the size of the network was known
    bool elsewhere; // the next look-up begins at others
    uint32_t told_count;
    unsigned seeks; // wanted as soon as somebody of the region is known
    usec_t relook_at, relook_step, renew_at;
    usec_t rest_at;     // when sessions are forgotten
    uint32_t rest_uses; // those not used since; 0: those that only the look-up needed
    usec_t loss_step;   // how soon it looks again after a loss: doubles until the next renewal
    // What is announced.
    bool announcing;
    record_ref own;                                                // in the book of records, or 0
    const uint8_t *record;                                         // there, or a copy; NULL: none
    uint8_t salt[RECORD_SALT_BYTES], next_salt[RECORD_SALT_BYTES]; // rec_id belongs to this e
    uint16_t ttl_s;
    struct dht_proof proof;
    uint32_t version, told_stored, told_effort;
    usec_t announced_at; // until DHT_STORED tells of it for the first time; else USEC_NEVER
    uint16_t holders, holders_cap;
    struct holder *holder;
};

// ---- attends and introductions, our side (attend.c) -------------------------------------------------
struct series { // of pushes to us
    bool open;
    uint8_t push_key[32];
    struct rpc_keys keys;
    uint8_t pushes;     // that came
    uint16_t second;    // in this one
    uint32_t low, high; // ids low .. high - 1 are open or taken
    uint32_t next;      // above the highest that came
    bool is_attend;
    uint32_t owner; // attend or introduction
};
struct attend {
    struct attend *next;
    struct timer timer;
    uint32_t id, user, place;
    book_ref ref;
    uint8_t handle[DHT_HANDLE_BYTES];
    struct series series, old; // old: until 3 s after its renewal
    usec_t renew_at, old_until;
    bool told, busy, has_seen;
    bool confirmed; // the introducer has this series
    uint8_t failures;
    uint32_t finds; // dht.finds when it was sent last
    struct path seen;
};
struct intro_out {
    struct intro_out *next;
    uint32_t id, user, place;
    book_ref ref;
    uint8_t handle[DHT_HANDLE_BYTES], link[DHT_LINK_BYTES];
    struct series series;
};

// ---- single questions (ask.c, opening.c) ------------------------------------------------------------
struct ask {
    struct ask *next;
    uint32_t id, user;
};
struct opening { // a question of somebody else's that node has to answer
    uint32_t id; // 0: none
    struct path from;
    size_t len; // of the request's datagram
    bool token_ok;
    struct rpc_header header;
    struct rpc_keys keys;
    uint8_t reply[8];
};

// ---- joining and upkeep ---------------------------------------------------------------------------
struct vote { // keyed hashes: what is compared needs not be kept
    uint32_t who, seen, prefix;
    uint8_t family; // 0: none
};
#define WANT_CENTRES 3u // look-ups: bits of the families, and of a random target
#define WANT_RANDOM 4u
struct upkeep {
    struct timer timer;
    // join.c
    book_ref *bootstrap;    // BOOTSTRAPS_MAX, when there is any
    struct contact *import; // CACHE_MAX, contacts of an earlier run
    unsigned bootstraps, bootstrap_next, imports, import_next;
    usec_t bootstrap_at, bootstrap_step;
    usec_t centre_at, centre_step;
    usec_t joined_at; // the first server answered; USEC_NEVER
    uint32_t lookup;  // running, or 0
    uint8_t looked;   // families whose own centre, as it is, has been looked up
    uint8_t looks;    // round the own centre, since it is what it is
    uint8_t wanted;   // look-ups that come next
    bool sampled;     // the density round it was taken, at:
    usec_t sampled_at;
    bool own_centre[2];         // the centre is the own id
    struct path centre_seen[2]; // the address that it was made of; family 0: none
    // refresh.c
    usec_t refresh_at, fill_at;
    book_ref walk; // whom the next step of filling asks, or 0
    uint16_t fill_left;
    uint8_t fill_fast;
    uint32_t doubtful[2], exhausted[2]; // bits of buckets: one step, or two, brought nobody new
    // newcomer.c
    uint16_t verifying, verified; // verified: of unproven addresses in this second:
    uint32_t verified_in;
    // votes.c
    unsigned vote_next;
    struct vote vote[SEEN_VOTES];
    struct path seen[2]; // the own addresses; family 0: not known
    uint8_t seen_last;   // which one was learnt last
    // reach.c
    struct mapping *mapping[2]; // from the first word of a family on
    usec_t reach_at[2];
    uint32_t reach_moved_s[2];
    uint16_t reach_first[2],
        reach_next[2]; // of the table's contacts: where asking began, how many were looked at
    uint8_t reach_asks[2], locals; // reach_asks: left
    bool reach_waits[2];
    uint16_t local_port[2];
    uint32_t local[LOCAL_PATHS_MAX], local_sum[2]; // hashes of our own addresses; their sums
    // upkeep.c
    bool heard_family[2];      // somebody of this family has answered
    bool heard_udp;            // and by our own socket
    uint8_t unheard_family[2]; // requests without an answer until then
    // dialback.c
    bool serves[2]; // listed, or dialled back: in which families we are a server
    bool answers;   // not only pings: is or was a server
    usec_t asked_at[2], dial_at;
    struct dialback *dial[2]; // a candidate's
    // cache.c
    book_ref *cache; // CACHE_MAX
    unsigned cached;
};

struct queued_event {
    struct queued_event *next;
    struct dht_event event;
    size_t bytes; // all of it, with what stands behind
};

struct dht {
    struct dht_config config;
    uint64_t net_tag;
    uint8_t pk[32], mask_key[32], request_id[RPC_ID_BYTES]; // a server's
    uint8_t hash_key[16];
    usec_t now; // of the current call
    usec_t stamps_since;
    int64_t unix_us;
    struct timers timers;
    struct ids ids;
    struct rtt rtt;
    struct table *table[2]; // IPv4, IPv6; when the first one answers
    uint8_t centre[2][32];
    struct upkeep upkeep;
    struct size size;
    struct call *calls, *current;     // current: in the middle of being handled, not to be freed
    uint32_t call_count, stamp_tries; // of this second
    struct lookup *lookups;
    uint32_t lookup_count, next_id;
    struct place *places;
    uint32_t place_count;
    struct attend *attends;
    uint32_t attend_count, finds; // finds: sent so far
    struct intro_out *intros;
    uint32_t intro_count;
    struct ask *asks;
    uint32_t ask_count;
    uint32_t via;       // all that is not a question's own goes by it
    uint32_t other_via; // to introducers of a family that does not work here; VIA_NONE: nowhere
    bool other_v4;      // look-ups go there, too
    struct queued_event *first_event, *last_event, *shown_event;
    uint32_t event_count;
    struct dht_lookup_stat *stat; // LOOKUP_STATS, while there are any
    uint32_t stat_first, stat_count;
    struct dht_status count; // counters only
    struct server *server;   // NULL: a client
};

// The server's side (server.c).
struct dial_rate {
    usec_t since;
    uint32_t source[DIAL_PER_S];
    uint8_t n;
};
struct server {
    struct dial_rate dial_rate;
    struct gate gate;
    struct guard guard;
    struct store store;
    struct intro intro;
    struct timer timer;
    usec_t sweep_at, rest_at;
    struct opening *opening; // OPENINGS_MAX, with the first
    uint32_t opening_next;
};
int server_new(struct dht *);
void server_free(struct dht *);
int server_receive(struct dht *, const struct path *from, uint8_t *datagram, size_t len);
void server_timer(struct dht *);

// ---- between the parts ----------------------------------------------------------------------------
uint32_t dht_next_id(struct dht *);
uint64_t dht_tag(const struct dht *, const uint8_t pk[static 32]); // keyed, for rtt and votes
// Round trip times of a server: one more; the retransmission timeout; smoothed, USEC_NEVER when unknown.
void dht_rtt_sample(struct dht *, book_ref, usec_t took);
usec_t dht_rto(const struct dht *, book_ref);
usec_t dht_patience(const struct dht *, book_ref); // until its answer is late
usec_t dht_rtt(const struct dht *, book_ref);
// Somebody that we may talk to: not ourselves, reachable, and with a solved puzzle (`nonce` known).
bool dht_contact_ok(const struct dht *, const struct contact *, bool with_nonce);
book_ref dht_hold(struct dht *, const struct contact *);
const struct book_entry *dht_entry(const struct dht *, book_ref);
uint32_t dht_live(const struct dht *);
// Adds an event; `extra` bytes of `data` are copied behind it. NULL without memory.
struct dht_event *dht_push_event(struct dht *, enum dht_event_kind, uint32_t id, uint32_t user,
                                 const void *data, size_t extra);
// What an answer or a timeout means to whom it belongs. `done`: no more datagrams will come.
void dht_call_answered(struct dht *, struct call *, const struct wire_answer *, bool done);
// For the simulator's figures.
void dht_note_stat(struct dht *, const struct dht_lookup_stat *);
void dht_call_late(struct dht *, struct call *); // longer than most answers of that server take
void dht_call_slow(struct dht *, struct call *); // longer than its RTO
void dht_call_failed(struct dht *, struct call *);

void ekey_new(struct dht *, struct ekey *);
void ekey_end(struct dht *, struct ekey *);
struct session *ekey_session(struct dht *, struct ekey *,
                             book_ref); // NULL: no memory, or a bad key
struct session *ekey_find(struct dht *, const struct ekey *, book_ref);
// Marks the session with that server, if there is one, as used; forgets those not used since then.
void ekey_use(struct dht *, struct ekey *, book_ref);
// Its keys, to be wiped.
void ekey_keys(struct dht *, const struct ekey *, const struct session *, struct rpc_keys *);
void ekey_trim(struct dht *, struct ekey *, uint32_t uses);

// 0, BAUTA_ELIMIT, BAUTA_ESPACE, BAUTA_EAUTH (a key without a shared secret). The reply is filled in for each sending.
int call_start(struct dht *, const struct call_spec *, const struct wire_request *, struct call **);
// What becomes of it says nothing of our contacts: asked for somebody else's sake, or by a way that they don't take.
bool call_apart(const struct dht *, const struct call *);
// Do look-ups and holders of that family go by the other way?
bool dht_by_other_way(const struct dht *, uint8_t family);
void call_free(struct dht *, struct call *);
void call_timer(struct dht *, struct call *);
int call_receive(struct dht *, const struct path *from, struct call *, const struct id_entry *,
                 uint8_t *datagram, size_t len);
// Nobody waits any more; they go on, since it matters to the table who answers.
void calls_forget(struct dht *, enum call_owner, uint32_t owner);

// candidates.c
struct candidate *cand_find(const struct lookup *, book_ref); // NULL: it is none
void cand_remove(struct dht *, struct lookup *, struct candidate *);
// In the order of distance. NULL: there is no room for it. Pointers to other candidates are void.
struct candidate *cand_add(struct dht *, struct lookup *, book_ref, uint8_t hop, uint8_t path,
                           uint8_t round);

// lookup.c
// A look-up of a place, or for upkeep (NULL); `sample`: the target is random and our own, so that the
// density round it counts for the size of the network. Id, or 0: no room, or over at once.
// want: of which families (WIRE_WANT_*), 0: of all that may work.
uint32_t lookup_start(struct dht *, const uint8_t target[static 32], struct place *,
                      uint16_t class_min, bool sample, uint8_t want);
void lookup_answered(struct dht *, struct call *, const struct wire_answer *, book_ref corrected);
void lookup_late(struct dht *, struct call *);
void lookup_slow(struct dht *, struct call *);
void lookup_failed(struct dht *, struct call *);
void lookup_timer(struct dht *, struct lookup *);
void lookup_cancel(struct dht *, uint32_t id);
// The members that have answered, nearest first. Not counted.
size_t lookup_region(const struct lookup *, book_ref *out, size_t max);
struct lookup *lookup_find(const struct dht *, uint32_t id);
// How many servers there are, or 0: the estimate; while it is young also a server's own neighbours, which
// come to it as the network grows.
uint64_t dht_size(const struct dht *);
// log2(servers / 16): by the estimate, or before there is one as the table tells it: a bucket i that is
// full shows 16 servers or more with i + 1 leading bits in common with the centre or its neighbour.
unsigned dht_zone_bits(const struct dht *);
// All but the leading bits become random.
void dht_blur(const struct dht *, uint8_t target[static 32], unsigned bits);

struct place *place_find(const struct dht *, uint32_t id);
// A member has answered while the look-up runs, or after it.
void place_member(struct dht *, struct place *, book_ref);
void place_member_full(struct dht *, struct place *, book_ref, uint8_t hint, uint16_t live);
void place_looked_up(struct dht *, struct place *, struct lookup *, bool full);
void place_wake(struct dht *);       // somebody is known now
void place_look_wider(struct dht *); // there is a way to more servers now
void place_sized(struct dht *);      // the size of the network is known now
void place_late(struct dht *, struct call *, const struct wire_answer *, book_ref corrected);
void place_failed(struct dht *, struct call *);
void place_timer(struct dht *, struct place *);
void place_arm(struct dht *, struct place *);
struct holder *place_holder(const struct dht *, const struct place *, book_ref);

// Announcing and seeking at the holders.
void publish_to(struct dht *, struct place *, struct holder *);
void publish_due(struct dht *, struct place *, bool renew);
void publish_withdraw(struct dht *, struct place *);
void publish_tell(struct dht *, struct place *); // what all that comes to, if there is news
bool publish_tell_full(struct dht *, struct place *, bool most);
void publish_renew(struct dht *, struct place *);
void publish_seeks(struct dht *, struct place *, struct holder *); // that waited for somebody
void publish_answered(struct dht *, struct call *, const struct wire_answer *, bool done);
void publish_late(struct dht *, struct call *);
void publish_sample(struct dht *, struct place *, const struct call *, bool announced);

void attend_answered(struct dht *, struct call *, const struct wire_answer *);
void attend_failed(struct dht *, struct call *);
void attend_timer(struct dht *, struct attend *);
void attends_found(struct dht *); // a find goes out
void intro_failed(struct dht *, struct call *);
void attends_place_gone(struct dht *, uint32_t place);
int push_receive(struct dht *, const struct path *from, struct series *, const struct id_entry *,
                 uint8_t *datagram, size_t len);

// ask.c
struct ask *ask_find(const struct dht *, uint32_t id);
void ask_answered(struct dht *, struct call *, const struct wire_answer *);
void ask_failed(struct dht *, struct call *);
// opening.c
struct opening *opening_new(struct dht *); // NULL without memory. The oldest gives way
void openings_end(struct dht *);

// upkeep.c
int upkeep_new(struct dht *);
void upkeep_free(struct dht *);
void upkeep_timer(struct dht *);
void upkeep_arm(struct dht *);
uint32_t upkeep_seconds(const struct dht *);
// Jittered by a quarter: what starts together drifts apart.
usec_t upkeep_about(struct dht *, usec_t us);
bool upkeep_serves(const struct dht *, uint8_t family); // as a server, in this family
bool upkeep_serves_any(const struct dht *);
uint16_t upkeep_first_class(const struct dht *); // of a find without a token
void upkeep_put_self(const struct dht *, book_ref to, struct wire_request *);
void upkeep_ping(struct dht *, book_ref, enum call_owner, uint8_t sendings); // 0: RPC_SENDINGS_MAX
struct table *upkeep_table(struct dht *, uint8_t family);                    // NULL without memory
// Any answer: the contact is alive. Returns a counted reference, with the puzzle nonce that it told.
book_ref upkeep_heard(struct dht *, struct call *, const struct wire_answer *);
void upkeep_unheard(struct dht *, struct call *);
// False once several have not answered and none ever has: this host has no IPv6, say.
bool upkeep_family_works(const struct dht *, uint8_t family);
// The contact that answered, with the puzzle nonce that it says is its own; 0: no contact of ours can have that.
book_ref upkeep_corrected(struct dht *, const struct call *, const struct wire_answer *);

// votes.c: a server's word on our address.
void upkeep_vote(struct dht *, const struct call *, const struct path *seen);

// reach.c
void reach_heard(struct dht *, const struct call *, const struct path *seen);
void reach_timer(struct dht *);
void reach_restart(struct dht *, unsigned f); // another network: what was said holds no more
void reach_moved(struct dht *, unsigned f);   // by the word of servers: at most once a minute
void reach_end(struct dht *);

// join.c
void join_bootstrap(struct dht *);
void join_now(struct dht *);   // bootstraps are asked at once, where nobody is known
void join_heard(struct dht *); // the first server has answered
void join_again(struct dht *); // none does any more
void join_look(struct dht *);
void join_sample(struct dht *); // one more look-up of a random target, while there were few
void join_forget_imports(struct dht *);
void join_named(struct dht *, const struct wire_answer *);
void upkeep_recentre(struct dht *, unsigned f, const struct path *seen);
void upkeep_looked_up(struct dht *);
void upkeep_met(struct dht *, book_ref,
                bool listed); // it answered a look-up, and is one of the nearest

// newcomer.c
bool newcomer_wanted(struct dht *, const struct contact *);
// Pings it if the table wants it. Without proof that the address is its own it gets one datagram only.
void newcomer_try(struct dht *, const struct contact *, bool proven);
// A node that wants to be listed.
void upkeep_candidate(struct dht *, const struct path *from, const struct wire_request *,
                      bool proven);

// refresh.c
// Asks for contacts of one address family (0: IPv4).
void refresh_ask(struct dht *, book_ref who, unsigned family, const uint8_t target[static 32],
                 uint16_t class_min, uint32_t filling);
void refresh_fill(struct dht *);
void refresh_tick(struct dht *);
void refresh_heard(struct dht *, struct call *, const struct wire_answer *);

// dialback.c
void dialback_begin(struct dht *,
                    unsigned f); // a family works: be dialled back, unless a server already
void dialback_end(struct dht *, unsigned f);
void dialback_timer(struct dht *);
void dialback_heard(struct dht *, const struct wire_answer *); // servers that it names
void dialback_pinged(struct dht *, const struct path *from);
void dialback_moved(struct dht *, unsigned f);
void dialback_check(struct dht *, unsigned f); // nobody asks us any more?
enum rpc_status dialback_request(struct dht *, const struct path *from, uint64_t source,
                                 const struct wire_request *);

// cache.c
void cache_heard(struct dht *, book_ref, bool listed);
void cache_end(struct dht *);

int dht_server_start(struct dht *); // with the key in the config. BAUTA_ESPACE

#endif
