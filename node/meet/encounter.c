#include "node/meet/encounter.h"

#include "crypto/bytes.h"
#include "dht/path.h"
#include "node/meet/offer.h"

#include <sodium.h>

// The first topic starts at once; the others so that nobody sees them start together.
static usec_t start_delay(struct meet_env *env, unsigned topic)
{
    return topic == 0 ? 0 : rng_below(&env->rng, SEARCH_START_SPREAD_US + 1);
}

struct encounter *encounter_new(struct meet_env *env, uint32_t number, uint32_t user,
                                const struct meet_wish *wish)
{
    struct encounter *e = arena_take(env->arena, sizeof *e);
    if (e == NULL)
        return NULL;
    e->number = number;
    e->user = user;
    e->wish = *wish;
    e->channel_at = USEC_NEVER;
    e->stage = MEET_HASHING;
    e->stage_news = true;
    memory_init(&e->met, MET_MAX);
    for (unsigned i = 0; i < FAILED_MAX; i++)
        memory_init(&e->failed[i], FAILED_PEOPLE_MAX);
    pairing_init(&e->pairing, env->rng);
    for (unsigned i = 0; i < wish->topics; i++) {
        e->search[i] = search_new(env, (uint8_t)i, user, &e->wish.topic[i], &e->wish.card,
                                  start_delay(env, i));
        if (e->search[i] == NULL) {
            encounter_free(env, e);
            return NULL;
        }
        pairing_topic(&e->pairing, (uint8_t)i, e->search[i]->pk);
    }
    for (unsigned i = 0; i < wish->topics; i++)
        search_step(env, e->search[i]);
    encounter_settle(env, e);
    return e;
}

void encounter_free(struct meet_env *env, struct encounter *e)
{
    offer_out_close(env, e);
    offer_in_close(env, e);
    for (unsigned i = 0; i < MEET_TOPICS_MAX; i++)
        if (e->search[i] != NULL)
            search_free(env, e->search[i]);
    memory_free(&e->met, env->arena);
    for (unsigned i = 0; i < FAILED_MAX; i++)
        memory_free(&e->failed[i], env->arena);
    arena_give(env->arena, e, sizeof *e);
}

void encounter_next(struct meet_env *env, struct encounter *e)
{
    if (!e->matched)
        return;
    offer_out_close(env, e);
    offer_in_close(env, e);
    pairing_reset(&e->pairing);
    sodium_memzero(&e->channel, sizeof e->channel);
    sodium_memzero(e->peer, sizeof e->peer);
    memset(&e->peer_path, 0, sizeof e->peer_path);
    e->matched = e->channel_news = e->channel_given = false;
    e->channel_at = USEC_NEVER;
    for (unsigned i = 0; i < e->wish.topics; i++)
        search_restart(env, e->search[i], start_delay(env, i));
}

bool encounter_shuns(const struct meet_env *env, const struct encounter *e,
                     const uint8_t pk[static 32])
{
    if (memory_has(&e->met, pk) || block_has_person(env->block, pk))
        return true;
    // My own wishes must not meet each other.
    for (unsigned i = 0; i < MEET_ENCOUNTERS_MAX; i++)
        for (unsigned k = 0; env->encounter[i] != NULL && k < env->encounter[i]->wish.topics; k++)
            if (memcmp(env->encounter[i]->search[k]->pk, pk, 32) == 0)
                return true;
    for (unsigned k = 0; k < e->wish.topics; k++)
        if (memcmp(e->search[k]->pk, pk, 32) == 0)
            return true;
    return false;
}

void encounter_matched(struct meet_env *env, struct encounter *e, const struct pairing_peer *peer,
                       const struct channel_config *channel, usec_t delay)
{
    e->channel = *channel;
    e->topic = peer->topic;
    memcpy(e->peer, peer->pk, sizeof e->peer);
    memset(&e->peer_path, 0, sizeof e->peer_path);
    if (channel->observed < channel->candidates)
        e->peer_path = channel->candidate[channel->observed];
    e->matched = true;
    e->channel_news = delay == 0;
    e->channel_at = delay == 0 ? USEC_NEVER : env->now + delay;
    e->channel_given = false;
    env->count.matched++;
}

static void meet_no_more(struct meet_env *env, struct encounter *e)
{
    if (!memory_has(&e->met, e->peer))
        (void)memory_add(&e->met, env->arena, e->peer);
}

void encounter_met(struct meet_env *env, struct encounter *e)
{
    if (e->matched)
        meet_no_more(env, e);
    e->busy = 0;
}

void encounter_failed(struct meet_env *env, struct encounter *e)
{
    if (!e->matched)
        return;
    env->count.no_path++;
    unsigned times = 0;
    while (times < FAILED_MAX && memory_has(&e->failed[times], e->peer))
        times++;
    if (times == FAILED_MAX || !memory_add(&e->failed[times], env->arena, e->peer))
        meet_no_more(env, e);
    encounter_next(env, e);
}

// ---- the pairing's actions ------------------------------------------------------------------------

static void look(struct meet_env *env, struct encounter *e, const struct pairing_action *a)
{
    for (unsigned i = 0; i < e->wish.topics; i++)
        if (a->peer.topic == i)
            search_look(env, e->search[i]);
        else if (a->peer.topic ==
                 PAIRING_ALL_TOPICS) // not all at the same moment, that would link them
            search_look_alone(
                env, e->search[i],
                e->wish.topics == 1 ? 0 : rng_below(&env->rng, SEARCH_LOOK_SPREAD_US + 1));
}

static void withdraw(struct meet_env *env, struct encounter *e)
{
    for (unsigned i = 0; i < e->wish.topics; i++)
        search_withdraw(env, e->search[i]);
}

// False: the action was an offer that could not be sent.
static bool perform(struct meet_env *env, struct encounter *e, const struct pairing_action *a)
{
    switch (a->kind) {
    case PAIRING_OFFER:
        return offer_out_start(env, e, a);
    case PAIRING_ACCEPT:
        offer_in_accept(env, e, a);
        break;
    case PAIRING_REFUSE:
        offer_in_refuse(env, e, a);
        break;
    case PAIRING_RETRACT:
        offer_out_retract(env, e, a);
        break;
    case PAIRING_ABANDON:
        offer_out_abandon(env, e, a);
        break;
    case PAIRING_CONFIRM:
        offer_out_confirm(env, e, a);
        break;
    case PAIRING_JOINED:
        offer_in_joined(env, e, a);
        break;
    case PAIRING_WITHDRAW:
        withdraw(env, e);
        break;
    case PAIRING_LOOK:
        look(env, e, a);
        break;
    }
    return true;
}

void encounter_perform(struct meet_env *env, struct encounter *e, const struct pairing_out *out)
{
    struct pairing_out now = *out;
    while (now.n > 0) {
        struct pairing_out next = {0};
        for (unsigned i = 0; i < now.n; i++) {
            const struct pairing_action *a = &now.action[i];
            if (!perform(env, e, a))
                pairing_unreachable(&e->pairing, env->now, &a->peer, a->generation, &next);
        }
        now = next;
    }
}

// ---- samples --------------------------------------------------------------------------------------

// Whose an introducer is: its coarse prefix, since addresses in one cost nothing; in a lab each its own.
static uint64_t carrier(const struct meet_env *env, const struct wire_introducer *via)
{
    struct prefix prefix = path_coarse(&via->contact.path);
    uint8_t hash[8];
    struct piece piece = env->lab ? (struct piece){via->contact.pk, sizeof via->contact.pk}
                                  : (struct piece){prefix.bytes, sizeof prefix.bytes};
    hash_pieces(hash, sizeof hash, NULL, 0, &piece, 1);
    struct rd r = rd_init(hash, sizeof hash);
    return rd_le64(&r) | 1u;
}

// True if the record is of somebody to whom an offer may go.
static bool take_record(struct meet_env *env, struct encounter *e, struct search *s,
                        const struct spot *p, const uint8_t record[static RECORD_BYTES])
{
    uint8_t plain[RECORD_PLAIN_BYTES];
    struct wire_record rec;
    struct pairing_peer peer = {.topic = s->index};
    if (p->mine && memcmp(record, p->rec_id, sizeof p->rec_id) == 0)
        return false;
    int rc = record_open(plain, record, p->keys.seal, p->keys.place);
    if (rc != BAUTA_OK) {
        env->count.dropped_auth++;
        return false;
    }
    if (wire_get_record(&rec, plain) != BAUTA_OK) {
        env->count.dropped_format++;
        return false;
    }
    memcpy(peer.pk, rec.pseudonym, sizeof peer.pk);
    if (rec.expiry_s < env_unix_us(env) / USEC_PER_S || rec.effort > SEARCH_EFFORT_MAX ||
        encounter_shuns(env, e, rec.pseudonym) || !card_acceptable(&e->wish.wishes, &rec.card))
        return false;
    // By its content: one that is announced anew, with another effort, is not the one that was declined.
    uint8_t hash[32];
    hash_pieces(hash, sizeof hash, NULL, 0, &(struct piece){plain, sizeof plain}, 1);
    unsigned slot =
        pairing_add(&e->pairing, &peer, hash, pairing_weight(s->pk, peer.pk, p->keys.psk),
                    (uint8_t)card_score(&e->wish.wishes, &rec.card));
    if (slot == PAIRING_CANDIDATES_MAX)
        return false;
    struct listing *l = &e->listing[slot];
    uint64_t via[DHT_INTRODUCERS_MAX];
    for (unsigned i = 0; i < rec.introducers; i++)
        via[i] = carrier(env, &rec.introducer[i]);
    pairing_via(&e->pairing, slot, via, rec.introducers);
    l->place = p->id;
    l->epoch = p->epoch;
    l->keys = p->keys;
    l->record = rec;
    memcpy(l->rec_id, record, sizeof l->rec_id);
    memcpy(l->hash, hash, sizeof l->hash);
    sodium_memzero(plain, sizeof plain);
    return true;
}

static void sampled(struct meet_env *env, struct encounter *e, struct search *s, struct spot *p,
                    const struct dht_event *ev)
{
    uint8_t records[DHT_SAMPLE_RECORDS_MAX][RECORD_BYTES];
    size_t n = ev->n < DHT_SAMPLE_RECORDS_MAX ? ev->n : DHT_SAMPLE_RECORDS_MAX;
    unsigned usable = 0;
    struct pairing_out out = {0};
    // What an event points to is valid only until the dht is called again.
    for (size_t i = 0; i < n; i++)
        memcpy(records[i], ev->records + i * RECORD_BYTES, RECORD_BYTES);
    uint32_t place = p->id;
    search_counted(env, s, p, ev);
    p = search_spot_of(s, place);
    if (p == NULL || s->paused || p->lingering)
        return;
    for (size_t i = 0; i < n; i++)
        usable += take_record(env, e, s, p, records[i]) ? 1 : 0;
    s->alone = s->alone && usable == 0;
    pairing_sampled(&e->pairing, env->now, usable, &out);
    encounter_perform(env, e, &out);
}

// ---- inputs ---------------------------------------------------------------------------------------

bool encounter_event(struct meet_env *env, struct encounter *e, const struct dht_event *ev)
{
    if (ev->kind == DHT_BACK || ev->kind == DHT_INTRO_FAILED)
        return offer_out_event(env, e, ev);
    for (unsigned i = 0; i < e->wish.topics; i++) {
        struct search *s = e->search[i];
        struct spot_attend *a;
        struct spot *p;
        switch (ev->kind) {
        case DHT_SAMPLE:
            p = search_spot_of(s, ev->id);
            if (p != NULL) {
                sampled(env, e, s, p, ev);
                return true;
            }
            break;
        case DHT_OFFER:
            p = search_spot_of_attend(s, ev->id, &a);
            if (p != NULL) {
                offer_in_arrived(env, e, s, p, a, ev);
                return true;
            }
            break;
        case DHT_PLACE_FOUND:
        case DHT_FULL:
        case DHT_EFFORT:
        case DHT_STORED:
        case DHT_ATTENDING:
        case DHT_ATTEND_LOST:
            if (search_event(env, s, ev))
                return true;
            break;
        case DHT_BACK:
        case DHT_INTRO_FAILED:
        case DHT_PONG:
        case DHT_OPENED:
        case DHT_SILENT:
        case DHT_OPEN:
            break;
        }
    }
    return false;
}

void encounter_expire(struct meet_env *env, struct encounter *e)
{
    struct pairing_out out = {0};
    if (e->channel_at <= env->now) {
        e->channel_at = USEC_NEVER;
        e->channel_news = true;
    }
    offer_in_review(env, e);
    pairing_expire(&e->pairing, env->now, &out);
    encounter_perform(env, e, &out);
    offer_out_expire(env, e);
    offer_in_expire(env, e);
    for (unsigned i = 0; i < e->wish.topics; i++)
        search_step(env, e->search[i]);
}

usec_t encounter_deadline(const struct meet_env *env, const struct encounter *e)
{
    usec_t at = earlier(e->channel_at, pairing_deadline(&e->pairing));
    at = earlier(at, earlier(offer_out_deadline(e), offer_in_deadline(env, e)));
    for (unsigned i = 0; i < e->wish.topics; i++)
        at = earlier(at, search_deadline(env, e->search[i]));
    return at;
}

void encounter_settle(struct meet_env *env, struct encounter *e)
{
    bool hashing = true, joined = false;
    unsigned warn = env->clock_set ? 0 : WARN_CLOCK;
    for (unsigned i = 0; i < e->wish.topics; i++) {
        hashing = hashing && search_hashing(e->search[i]);
        joined = joined || e->search[i]->joined;
        if (e->search[i]->moved)
            pairing_elsewhere(&e->pairing, env->now);
        e->search[i]->moved = false;
        warn |= e->search[i]->no_introducer ? WARN_NO_INTRODUCER : 0u;
    }
    enum meet_stage stage = e->pairing.state != PAIRING_FREE ? MEET_CONNECTING
                            : hashing                        ? MEET_HASHING
                            : !joined                        ? MEET_JOINING
                                                             : MEET_SEARCHING;
    e->stage_news = e->stage_news || stage != e->stage;
    e->stage = stage;
    e->warn_news |= warn & ~e->warned;
    e->warned |= warn;
}
