// What the attackers' files share.
#ifndef BAUTA_SIM_ATTACK_INTERNAL_H
#define BAUTA_SIM_ATTACK_INTERNAL_H

#include "crypto/nodekey.h"
#include "crypto/noise.h"
#include "crypto/rpc.h"
#include "crypto/topic.h"
#include "dht/table.h"
#include "dht/wire.h"
#include "tools/sim/attack.h"
#include "tools/sim/sim_internal.h"

#define ATTACK_NAMED_MAX 16u        // contacts of one answer
#define ATTACK_TICK_US 10000u       // of flooders
#define ATTACK_HOLDERS 24u          // honest servers that a spammer writes to
#define ATTACK_SEEK_EVERY 8u        // of a spammer's datagrams: it asks who is there
#define ATTACK_CALLS 256u           // its answers that are awaited
#define ATTACK_PEOPLE 64u           // whose records it has read
#define ATTACK_SEEN_BITS 6u         // finds that share so many bits with the place are lied to
#define ATTACK_RADIUS_SERVERS 20u   // a region, as servers: where `spread_of` puts its ids
#define ATTACK_HINT BRANCH_BITS_MAX // of who says that a place is full

struct attack_server { // an honest one, or an accomplice
    struct contact contact;
    uint8_t id[32], mask_key[32];
    uint32_t host;
};

struct attack_call { // a spammer's
    uint8_t id[RPC_ANSWER_DATAGRAMS_MAX][RPC_ID_BYTES];
    uint32_t server; // among the honest
    bool used;
};
struct attack_person { // whose record a spammer has read
    uint8_t rec_id[RECORD_ID_BYTES];
    uint8_t record[RECORD_BYTES];
    usec_t seen_us;
    bool used;
};
struct attack_session { // one e with one server
    struct rpc_keys keys;
    uint8_t token[RPC_TOKEN_BYTES];
    bool has_keys;
};

struct attack_member {
    struct attack *attack;
    struct attack_server self;
    uint8_t sk[32];
    struct sim_stream stream;
    uint64_t sent; // in ticks
    // Spammer; of a flooder e and the tokens.
    uint8_t e_pk[32], e_sk[32];
    struct attack_session session[ATTACK_HOLDERS];
    struct attack_call call[ATTACK_CALLS];
    uint32_t call_next, round;
    struct attack_person person[ATTACK_PEOPLE];
};

struct attack {
    struct sim *sim;
    struct attack_config config;
    struct net net;
    char *topic;
    struct topic_keys keys; // of the topic in the epoch of its start
    uint64_t epoch;
    struct attack_member *member;
    uint32_t members;
    struct attack_server *honest; // servers, by distance from the place
    uint32_t honests;
    struct attack_figures count;
    struct attack_probes probes;
    struct noise_spec noise;
};

// ---- attack_wire.c --------------------------------------------------------------------------------
struct attack_request { // as it came to a member
    struct rpc_keys keys;
    struct rpc_header header;
    struct wire_request q;
    uint8_t datagram[CLASS_FULL]; // what q points into
};
// False: not a request to this member.
bool attack_open(struct attack_member *, const uint8_t *data, size_t len, struct attack_request *);
// Fills in what all answers have. `minute` and the address seen are true.
void attack_answer_init(struct sim *, const struct attack_request *, const struct path *from,
                        struct wire_answer *);
void attack_answer(struct sim *, struct attack_member *, const struct path *from,
                   const struct attack_request *, const struct wire_answer *);
// Seals a request of the member's own under `e` and sends it in the name of `as`.
void attack_request(struct sim *, struct attack_member *, const struct attack_server *to,
                    uint32_t as, const uint8_t e_pk[static 32], const struct rpc_keys *,
                    const uint8_t token[static RPC_TOKEN_BYTES], struct wire_request *,
                    uint16_t class_min);
// A datagram with a right mask and nothing in it, in the name of `as`. Without a header it has one that is
// drawn.
void attack_garbage(struct sim *, struct attack_member *, const struct attack_server *to,
                    uint32_t as, usec_t leaves_us, const struct rpc_header *, uint16_t len);
void attack_server_init(const struct attack *, struct attack_server *, uint32_t host,
                        const uint8_t pk[static 32],
                        const uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES], const struct path *);

// ---- attack_flood.c, attack_spam.c ------------------------------------------------------------------
void attack_flood_start(struct sim *, void *ctx, uint32_t host);
bool attack_flood_receive(struct sim *, void *member, uint32_t host, const struct path *from,
                          const uint8_t *data, size_t len);
void attack_amplify_start(struct sim *, void *ctx, uint32_t host);
void attack_spam_start(struct sim *, void *ctx, uint32_t host);
bool attack_spam_receive(struct sim *, void *member, uint32_t host, const struct path *from,
                         const uint8_t *data, size_t len);

#endif
