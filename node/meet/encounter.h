// One encounter: its searches, the people it knows of, the offers in both directions, and the pairing
// rule that decides between them. The pairing's actions are carried out here.
#ifndef BAUTA_NODE_MEET_ENCOUNTER_H
#define BAUTA_NODE_MEET_ENCOUNTER_H

#include "node/meet/pairing.h"
#include "node/meet/search.h"

struct offer_in;
struct offer_out;

// What is known of a candidate's record: enough to offer to its owner. Parallel to the pairing's table.
struct listing {
    uint32_t place; // the dht's, where the record was found
    uint64_t epoch;
    struct topic_keys keys;
    uint8_t hash[32]; // of the record's plaintext
    struct wire_record record;
    uint8_t rec_id[RECORD_ID_BYTES];
};

// An answer of random bytes on its way to its time.
struct decline {
    uint32_t attend;
    uint8_t link[DHT_LINK_BYTES];
    usec_t at; // 0: free
};

// Introducers of a record through which an answer came that could not be read.
struct strike {
    uint8_t hash[16]; // first bytes of the record's
    uint8_t ways;     // bit i: its introducer i
};

enum encounter_warning { WARN_NO_INTRODUCER = 1, WARN_CLOCK = 2 };

struct encounter {
    uint32_t number; // the caller's
    uint32_t user;   // tags what we open at the dht
    struct meet_wish wish;
    struct search *search[MEET_TOPICS_MAX];
    struct pairing pairing;
    struct listing listing[PAIRING_CANDIDATES_MAX];
    struct memory met; // pseudonyms that were met or given up, never again in this search
    struct memory failed[FAILED_MAX]; // [i]: settled on i + 1 times, and no channel came of it
    struct offer_out *out[OFFER_OUT_MAX];
    struct offer_in *in[OFFER_IN_MAX];
    struct decline decline[DECLINE_WAITING_MAX];
    struct strike strike[STRIKES_MAX];
    unsigned strike_next;

    enum meet_stage stage;
    bool stage_news;
    unsigned warned, warn_news; // bits of encounter_warning
    uint8_t busy; // channels that failed since the last match because no path could be searched
    bool matched;
    bool channel_news;  // the channel is still to be handed out,
    bool channel_given; // or was, and is wiped at the next call
    usec_t channel_at;  // when it is; USEC_NEVER: done
    struct channel_config channel;
    uint8_t topic, peer[32]; // of the match
    struct path peer_path;   // as its introducer sees it; family 0: unknown
};

// NULL: no memory.
struct encounter *encounter_new(struct meet_env *, uint32_t number, uint32_t user,
                                const struct meet_wish *);
void encounter_free(struct meet_env *, struct encounter *);
void encounter_next(struct meet_env *, struct encounter *);
bool encounter_event(struct meet_env *, struct encounter *, const struct dht_event *);
void encounter_expire(struct meet_env *, struct encounter *);
usec_t encounter_deadline(const struct meet_env *, const struct encounter *);
// Brings the stage and warnings up to date; called after everything that may change them.
void encounter_settle(struct meet_env *, struct encounter *);

// For offers: carries out what the pairing decided.
void encounter_perform(struct meet_env *, struct encounter *, const struct pairing_out *);
// Is this pseudonym met, blocked, or my own?
bool encounter_shuns(const struct meet_env *, const struct encounter *,
                     const uint8_t pk[static 32]);
// The channel got as far as words, or never will.
void encounter_met(struct meet_env *, struct encounter *);
void encounter_failed(struct meet_env *, struct encounter *);
// The channel is handed out after `delay`.
void encounter_matched(struct meet_env *, struct encounter *, const struct pairing_peer *,
                       const struct channel_config *, usec_t delay);

#endif
