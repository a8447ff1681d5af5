#include "node/meet/offer.h"

#include "crypto/nodekey.h"
#include "node/meet/reach.h"

#include <sodium.h>

static void drop(struct meet_env *env, struct encounter *e, unsigned i)
{
    arena_give(env->arena, e->in[i], sizeof *e->in[i]);
    e->in[i] = NULL;
}

static struct offer_in *find(struct encounter *e, const struct pairing_action *a,
                             enum offer_in_state state)
{
    for (unsigned i = 0; i < OFFER_IN_MAX; i++) {
        struct offer_in *o = e->in[i];
        if (o != NULL && o->state == state && o->generation == a->generation &&
            o->peer.topic == a->peer.topic && memcmp(o->peer.pk, a->peer.pk, 32) == 0)
            return o;
    }
    return NULL;
}

// A free slot, at the cost of the oldest refusal; OFFER_IN_MAX: all are live.
static unsigned free_slot(struct meet_env *env, struct encounter *e)
{
    unsigned oldest = OFFER_IN_MAX;
    for (unsigned i = 0; i < OFFER_IN_MAX; i++) {
        if (e->in[i] == NULL)
            return i;
        if (e->in[i]->state == IN_REFUSED && e->in[i]->answer_at == USEC_NEVER &&
            (oldest == OFFER_IN_MAX || e->in[i]->arrived_at < e->in[oldest]->arrived_at))
            oldest = i;
    }
    if (oldest < OFFER_IN_MAX)
        drop(env, e, oldest);
    return oldest;
}

// ---- declines: what fails before any DH ---------------------------------------------------------------

static usec_t delay_of(const struct spot *p)
{
    return p->records <= SEARCH_FEW_RECORDS ? OFFER_ANSWER_DELAY_FEW_US : OFFER_ANSWER_DELAY_US;
}

static void decline(struct meet_env *env, struct encounter *e, struct spot *p, uint32_t attend,
                    const uint8_t link[static DHT_LINK_BYTES])
{
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++) {
        struct spot_attend *a = &p->attend[i];
        if (a->state != ATTEND_NONE && a->id == attend &&
            !rate_take(&a->rate_declines, env->now, DECLINE_RATE_INTRODUCER)) {
            env->count.dropped_rate++;
            return;
        }
    }
    for (unsigned i = 0; i < DECLINE_WAITING_MAX; i++)
        if (e->decline[i].at == 0) {
            e->decline[i].attend = attend;
            memcpy(e->decline[i].link, link, DHT_LINK_BYTES);
            e->decline[i].at = env->now + delay_of(p);
            return;
        }
    env->count.dropped_rate++;
}

static void send_decline(struct meet_env *env, const struct decline *d)
{
    uint8_t blob[WIRE_ANSWER_BYTES], seed[32], sk[32];
    if (!rate_take(&env->decline_rate, env->now, DECLINE_RATE)) {
        env->count.dropped_rate++;
        return;
    }
    rng_fill(&env->rng, blob, sizeof blob);
    rng_fill(&env->rng, seed, sizeof seed);
    key_pair(blob, sk, seed);
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(sk, sizeof sk);
    dht_attend_answer(env->dht, env->now, d->attend, d->link, blob, sizeof blob);
    env->count.declined++;
}

// ---- answers --------------------------------------------------------------------------------------

static void schedule(const struct meet_env *env, struct offer_in *o)
{
    usec_t earliest = o->arrived_at + o->delay;
    o->answer_at = earliest > env->now ? earliest : env->now;
}

static bool make_answer(struct meet_env *env, struct offer_in *o, const struct wire_msg2 *m)
{
    uint8_t payload[WIRE_MSG2_PAYLOAD_BYTES], secret[32];
    size_t len = 0;
    wire_put_msg2(payload, m);
    rng_fill(&env->rng, secret, sizeof secret);
    int rc =
        noise_write(&o->noise, secret, payload, sizeof payload, o->answer, sizeof o->answer, &len);
    sodium_memzero(secret, sizeof secret);
    sodium_memzero(payload, sizeof payload);
    o->answer_made = rc == BAUTA_OK && len == sizeof o->answer;
    return o->answer_made;
}

static void refuse(struct meet_env *env, struct offer_in *o, bool for_good)
{
    const struct wire_msg2 m = {.verdict = for_good ? WIRE_NO_FOR_GOOD : WIRE_NO_NOT_NOW,
                                .generation = o->generation};
    o->state = IN_REFUSED;
    env->count.refused++;
    if (!o->answer_made && make_answer(env, o, &m))
        schedule(env, o);
}

void offer_in_refuse(struct meet_env *env, struct encounter *e, const struct pairing_action *a)
{
    struct offer_in *o = find(e, a, IN_HELD);
    if (o != NULL)
        refuse(env, o, a->for_good);
}

static void lost(struct meet_env *env, struct encounter *e, const struct offer_in *o, bool for_good)
{
    struct pairing_out out = {0};
    struct pairing_peer peer = o->peer;
    pairing_lost(&e->pairing, env->now, &peer, o->generation, for_good, &out);
    encounter_perform(env, e, &out);
}

void offer_in_accept(struct meet_env *env, struct encounter *e, const struct pairing_action *a)
{
    struct offer_in *o = find(e, a, IN_HELD);
    struct noise_cipher i_to_r, r_to_i;
    assert(o != NULL);
    bool aegis = env->aes_hardware && (o->capabilities & WIRE_CAPABILITY_AES) != 0;
    struct wire_msg2 m = {.verdict = WIRE_ACCEPT,
                          .aead = aegis ? PACKET_AEGIS256 : PACKET_CHACHA20POLY1305,
                          .generation = o->generation};
    struct channel_config *c = &o->channel;
    struct dht_status status;
    dht_status(env->dht, &status);
    reach_seen(env, &o->seen);
    reach_own(env, &m.reach, o->seen.family != 0 ? &o->seen : NULL, status.seen_of, NULL);
    reach_nat(env, &m.reach);
    c->nat_own = m.reach.nat;
    if (!make_answer(env, o, &m) || noise_split(&o->noise, &i_to_r, &r_to_i) != BAUTA_OK) {
        // Only a key without contribution gets here.
        o->answer_made = false;
        o->state = IN_REFUSED;
        env->count.dropped_auth++;
        lost(env, e, o, true);
        return;
    }
    o->state = IN_ACCEPTED;
    env->count.accepted++;
    schedule(env, o);
    c->initiator = false;
    c->aead = m.aead;
    memcpy(c->k_ir, i_to_r.k, sizeof c->k_ir);
    memcpy(c->k_ri, r_to_i.k, sizeof c->k_ri);
    memcpy(c->h, o->noise.h, sizeof c->h);
    memcpy(c->local_cid, m.reach.cid, sizeof c->local_cid);
    memcpy(c->local_mask, m.reach.recv_mask, sizeof c->local_mask);
    o->confirm_cipher = i_to_r;
    sodium_memzero(&i_to_r, sizeof i_to_r);
    sodium_memzero(&r_to_i, sizeof r_to_i);
    sodium_memzero(&m, sizeof m);
}

// ---- what follows on an offer ---------------------------------------------------------------------

// The same message again: the answer is sent again, on the link that is surely alive.
static bool repeated(struct meet_env *env, struct encounter *e, const struct spot_attend *a,
                     const struct dht_event *ev, const uint8_t *blob)
{
    for (unsigned i = 0; i < OFFER_IN_MAX; i++) {
        struct offer_in *o = e->in[i];
        if (o == NULL || memcmp(o->blob, blob, sizeof o->blob) != 0)
            continue;
        o->attend = a->id;
        memcpy(o->link, ev->link, sizeof o->link);
        if (o->answer_made && o->answer_at == USEC_NEVER && o->state != IN_JOINED) {
            o->answer_at = env->now + o->delay;
            pairing_repeated(&e->pairing, env->now, &o->peer, o->generation);
        }
        return true;
    }
    return false;
}

static bool retracted(struct meet_env *env, struct encounter *e, const uint8_t *blob)
{
    for (unsigned i = 0; i < OFFER_IN_MAX; i++) {
        struct offer_in *o = e->in[i];
        if (o == NULL || (o->state != IN_HELD && o->state != IN_ACCEPTED) ||
            sodium_memcmp(o->retract_tag, blob, sizeof o->retract_tag) != 0)
            continue;
        struct pairing_out out = {0};
        struct pairing_peer peer = o->peer;
        uint32_t generation = o->generation;
        // The message itself stays known: a late copy of it must not look new.
        o->state = IN_REFUSED;
        o->answer_made = false;
        o->answer_at = USEC_NEVER;
        pairing_retracted(&e->pairing, env->now, &peer, generation, &out);
        encounter_perform(env, e, &out);
        return true;
    }
    return false;
}

static void confirm_opened(struct meet_env *env, struct encounter *e, struct offer_in *o,
                           const uint8_t payload[static WIRE_CONFIRM_PAYLOAD_BYTES])
{
    struct wire_confirm c;
    int rc = wire_get_confirm(&c, payload, WIRE_CONFIRM_PAYLOAD_BYTES);
    if (rc == BAUTA_OK && c.generation != o->generation)
        rc = BAUTA_EFORMAT;
    if (rc == BAUTA_OK)
        rc = reach_take(env, &o->channel, &c.reach, o->seen.family != 0 ? &o->seen : NULL);
    if (rc != BAUTA_OK) {
        // Blocked, broken, or nowhere to be reached: silence, before any probe.
        o->state = IN_REFUSED;
        o->answer_made = false;
        lost(env, e, o, true);
    } else {
        struct pairing_out out = {0};
        struct pairing_peer peer = o->peer;
        uint32_t generation = o->generation;
        o->channel.rtt_hint_us = env->now - o->answered_at;
        pairing_confirmed(&e->pairing, env->now, &peer, generation, &out);
        encounter_perform(env, e, &out);
    }
    sodium_memzero(&c, sizeof c);
}

static bool confirmed(struct meet_env *env, struct encounter *e, const uint8_t *blob)
{
    for (unsigned i = 0; i < OFFER_IN_MAX; i++) {
        struct offer_in *o = e->in[i];
        if (o == NULL || (o->state != IN_ACCEPTED && o->state != IN_JOINED))
            continue;
        uint8_t payload[WIRE_CONFIRM_PAYLOAD_BYTES];
        struct noise_cipher copy = o->confirm_cipher;
        int rc = noise_cipher_open(&copy, NULL, 0, blob, WIRE_CONFIRM_SEALED_BYTES, payload);
        sodium_memzero(&copy, sizeof copy);
        if (rc == BAUTA_OK && o->state == IN_ACCEPTED)
            confirm_opened(env, e, o, payload);
        sodium_memzero(payload, sizeof payload);
        if (rc == BAUTA_OK)
            return true;
    }
    return false;
}

void offer_in_joined(struct meet_env *env, struct encounter *e, const struct pairing_action *a)
{
    struct offer_in *o = find(e, a, IN_ACCEPTED);
    assert(o != NULL);
    o->state = IN_JOINED;
    o->answer_at = USEC_NEVER;
    encounter_matched(env, e, &o->peer, &o->channel, 0);
    sodium_memzero(&o->channel, sizeof o->channel);
}

// ---- a new offer ----------------------------------------------------------------------------------

// Opens msg1 against the newest plaintext of our record, then the one before it.
static int open_msg1(struct meet_env *env, const struct search *s, const struct spot *p,
                     struct offer_in *o, struct wire_msg1 *m)
{
    const struct noise_keys keys = {.s = s->sk, .psk = {p->keys.psk}};
    uint8_t prologue[OFFER_PROLOGUE_BYTES_MAX], payload[WIRE_MSG1_PAYLOAD_BYTES];
    int rc = BAUTA_EAUTH;
    for (unsigned i = 0; i < p->hashes && rc != BAUTA_OK; i++) {
        size_t len = 0,
               n = offer_prologue(prologue, &env->net, p->epoch, p->keys.place, p->hash[i]);
        rc = noise_init(&o->noise, &env->noise, false, prologue, n, &keys);
        if (rc == BAUTA_OK)
            rc = noise_read(&o->noise, o->blob + WIRE_ENVELOPE_HEAD_BYTES, WIRE_MSG1_BYTES, payload,
                            sizeof payload, &len);
        if (rc == BAUTA_OK && wire_get_msg1(m, payload, len) != BAUTA_OK)
            return BAUTA_EFORMAT;
    }
    return rc;
}

// An initiator has one offer in flight: an older one that still waits is over. False: it used this
// generation before.
static bool supersedes(struct encounter *e, const struct offer_in *o)
{
    bool fresh = true;
    for (unsigned i = 0; i < OFFER_IN_MAX; i++) {
        struct offer_in *x = e->in[i];
        if (x == NULL || x == o || x->state == IN_PUZZLE || x->peer.topic != o->peer.topic ||
            memcmp(x->peer.pk, o->peer.pk, 32) != 0)
            continue;
        fresh = fresh && x->generation != o->generation;
    }
    for (unsigned i = 0; i < OFFER_IN_MAX && fresh; i++) {
        struct offer_in *x = e->in[i];
        if (x == NULL || x == o || (x->state != IN_HELD && x->state != IN_ACCEPTED) ||
            x->peer.topic != o->peer.topic || memcmp(x->peer.pk, o->peer.pk, 32) != 0)
            continue;
        x->state = IN_REFUSED;
        x->answer_made = false;
        x->answer_at = USEC_NEVER;
    }
    return fresh;
}

// The DH and what follows. `seen` memory is full: not now, until the epoch ends.
static void open_offer(struct meet_env *env, struct encounter *e, struct search *s, struct spot *p,
                       unsigned i)
{
    struct offer_in *o = e->in[i];
    const uint8_t *first = o->blob + WIRE_ENVELOPE_HEAD_BYTES; // msg1 begins with its ephemeral key
    struct wire_msg1 m = {0};
    int rc = open_msg1(env, s, p, o, &m);
    if (rc == BAUTA_EAUTH) {
        env->count.dropped_auth++;
        decline(env, e, p, o->attend, o->link);
        drop(env, e, i);
        return;
    }
    bool remembered = p->seen.n < OFFER_SEEN_MAX && memory_add(&p->seen, env->arena, first);
    o->state = IN_HELD;
    o->peer.topic = s->index;
    memcpy(o->peer.pk, o->noise.rs, sizeof o->peer.pk);
    o->generation = m.generation;
    o->capabilities = m.capabilities;
    wire_retract_tag(o->retract_tag, o->noise.ck, o->generation);
    if (rc != BAUTA_OK) {
        env->count.dropped_format++;
        refuse(env, o, true);
    } else if (encounter_shuns(env, e, o->peer.pk) || !card_acceptable(&e->wish.wishes, &m.card)) {
        refuse(env, o, true);
    } else if (!remembered || !supersedes(e, o)) {
        refuse(env, o, false);
    } else {
        struct pairing_out out = {0};
        struct pairing_peer peer = o->peer;
        uint64_t weight = pairing_weight(s->pk, peer.pk, p->keys.psk);
        pairing_offer(&e->pairing, env->now, &peer, m.generation, weight,
                      (uint8_t)card_score(&e->wish.wishes, &m.card), &out);
        encounter_perform(env, e, &out);
    }
}

static bool proof_right(const struct offer_in *o)
{
    struct wire_envelope x;
    uint8_t m[32];
    if (wire_get_envelope(&x, o->blob, sizeof o->blob) != BAUTA_OK)
        return false;
    hash_pieces(m, sizeof m, NULL, 0, &(struct piece){x.msg1, WIRE_MSG1_BYTES}, 1);
    return pow_check(m, x.rec_id, x.nonce, x.sol, x.effort);
}

static uint32_t effort_of(const struct offer_in *o)
{
    struct wire_envelope x;
    return wire_get_envelope(&x, o->blob, sizeof o->blob) == BAUTA_OK ? x.effort : 0;
}

// What an offer's claim counts: the proof costs the claimant nothing until it is checked, so a big one
// must not go before all others.
static uint32_t claim_of(const struct meet_env *env, const struct offer_in *o)
{
    uint32_t claim = effort_of(o), most = env->load.effort * OFFER_POW_CLAIM_MAX;
    return claim < most || most == 0 ? claim : most;
}

// The waiting offer that claims most, or least; of equals the one that waits longest, or shortest.
static unsigned waiting(const struct meet_env *env, const struct encounter *e, bool most,
                        unsigned *count)
{
    unsigned best = OFFER_IN_MAX, n = 0;
    for (unsigned i = 0; i < OFFER_IN_MAX; i++) {
        const struct offer_in *o = e->in[i];
        if (o == NULL || o->state != IN_PUZZLE)
            continue;
        n++;
        if (best == OFFER_IN_MAX) {
            best = i;
            continue;
        }
        uint32_t claim = claim_of(env, o), other = claim_of(env, e->in[best]);
        bool earlier_one = o->arrived_at < e->in[best]->arrived_at;
        if (claim == other ? earlier_one == most : (claim > other) == most)
            best = i;
    }
    *count = n;
    return best;
}

static void decline_waiting(struct meet_env *env, struct encounter *e, unsigned i)
{
    struct offer_in *o = e->in[i];
    struct spot *p = search_spot_of(e->search[o->peer.topic], o->place);
    env->count.dropped_pow++;
    if (p != NULL)
        decline(env, e, p, o->attend, o->link);
    drop(env, e, i);
}

// One Argon2id out of the budget for the waiting offer that claims most.
static void check_proofs(struct meet_env *env, struct encounter *e)
{
    for (;;) {
        unsigned n, best = waiting(env, e, true, &n);
        if (best == OFFER_IN_MAX || !rate_take(&env->pow_rate, env->now, OFFER_POW_RATE))
            return;
        struct offer_in *o = e->in[best];
        struct search *s = e->search[o->peer.topic];
        struct spot *p = search_spot_of(s, o->place);
        if (p == NULL || !proof_right(o))
            decline_waiting(env, e, best);
        else
            open_offer(env, e, s, p, best);
    }
}

// What an offer to this record must prove now. A record that asks for less is honoured until the next one
// is out; who read it could not know.
static uint32_t effort_wanted(const struct meet_env *env, const struct spot *p)
{
    return p->effort > 0 && p->effort < env->load.effort ? p->effort : env->load.effort;
}

// Cheap checks in their order; true if a DH may be spent on it.
static bool cheap_checks(struct meet_env *env, struct search *s, struct spot *p,
                         struct spot_attend *a, const struct wire_envelope *x)
{
    if (sodium_memcmp(x->rec_id, p->rec_id, sizeof x->rec_id) != 0 || p->hashes == 0) {
        env->count.dropped_format++;
        return false;
    }
    if (memory_has(&p->seen, x->msg1)) {
        env->count.dropped_replay++;
        return false;
    }
    uint32_t wanted = effort_wanted(env, p);
    uint8_t m[32];
    hash_pieces(m, sizeof m, NULL, 0, &(struct piece){x->msg1, WIRE_MSG1_BYTES}, 1);
    bool proved = wanted == 0 || (x->effort >= wanted && pow_cheap(m, x->nonce, x->sol, x->effort));
    load_offer(&env->load, env->now, proved);
    if (!proved) {
        env->count.dropped_pow++;
        return false;
    }
    if (!rate_take(&a->rate, env->now, OFFER_RATE_INTRODUCER) ||
        !rate_take(&s->rate, env->now, OFFER_RATE_SEARCH)) {
        env->count.dropped_rate++;
        return false;
    }
    return true;
}

// Room among those that wait for their check: the one that claims least gives way.
static bool may_wait(struct meet_env *env, struct encounter *e, uint32_t effort)
{
    unsigned n, least = waiting(env, e, false, &n);
    if (n < OFFER_POW_WAITING_MAX)
        return true;
    if (claim_of(env, e->in[least]) >= effort)
        return false;
    decline_waiting(env, e, least);
    return true;
}

void offer_in_arrived(struct meet_env *env, struct encounter *e, struct search *s, struct spot *p,
                      struct spot_attend *a, const struct dht_event *ev)
{
    uint8_t blob[WIRE_OFFER_BYTES];
    struct wire_envelope x;
    if (ev->blob_len != sizeof blob) {
        env->count.dropped_format++;
        return;
    }
    memcpy(blob, ev->blob, sizeof blob);
    if (repeated(env, e, a, ev, blob) || retracted(env, e, blob) || confirmed(env, e, blob))
        return;
    env->count.offers_in++;
    int rc = wire_get_envelope(&x, blob, sizeof blob);
    assert(rc == BAUTA_OK);
    (void)rc;
    uint8_t link[DHT_LINK_BYTES];
    memcpy(link, ev->link, sizeof link);
    bool proved = effort_wanted(env, p) > 0;
    if (!cheap_checks(env, s, p, a, &x) || (proved && !may_wait(env, e, x.effort))) {
        decline(env, e, p, a->id, link);
        return;
    }
    unsigned i = free_slot(env, e);
    struct offer_in *o = i < OFFER_IN_MAX ? arena_take(env->arena, sizeof *o) : NULL;
    if (o == NULL) {
        env->count.dropped_rate++;
        return; // silence: the initiator asks again, and by then one may be free
    }
    e->in[i] = o;
    o->peer.topic = s->index;
    o->place = p->id;
    o->attend = a->id;
    memcpy(o->link, link, sizeof o->link);
    memcpy(o->blob, blob, sizeof o->blob);
    o->delay = delay_of(p);
    o->arrived_at = o->answered_at = env->now;
    o->answer_at = USEC_NEVER;
    o->close_at = env->now + OFFER_IN_US;
    o->proved = proved;
    if (!dht_attend_seen(env->dht, a->id, &o->seen))
        memset(&o->seen, 0, sizeof o->seen);
    if (proved) {
        o->state = IN_PUZZLE;
        check_proofs(env, e);
    } else {
        open_offer(env, e, s, p, i);
    }
}

// Offers that came before a proof was required, and wait, are to come again with one: else those that a
// flood brought in at first would be accepted one after another.
void offer_in_review(struct meet_env *env, struct encounter *e)
{
    for (unsigned i = 0; i < OFFER_IN_MAX; i++) {
        struct offer_in *o = e->in[i];
        if (env->load.effort == 0 || o == NULL || o->state != IN_HELD || o->proved)
            continue;
        refuse(env, o, false);
        lost(env, e, o, false);
    }
}

// ---- time -----------------------------------------------------------------------------------------

void offer_in_expire(struct meet_env *env, struct encounter *e)
{
    check_proofs(env, e);
    for (unsigned i = 0; i < OFFER_IN_MAX; i++) {
        struct offer_in *o = e->in[i];
        if (o == NULL)
            continue;
        if (o->answer_at <= env->now) {
            dht_attend_answer(env->dht, env->now, o->attend, o->link, o->answer, sizeof o->answer);
            o->answer_at = USEC_NEVER;
            o->answered_at = env->now;
        }
        if (o->close_at > env->now)
            continue;
        if (o->state == IN_HELD || o->state == IN_ACCEPTED) {
            o->state = IN_REFUSED;
            lost(env, e, o, false);
        }
        drop(env, e, i);
    }
    for (unsigned i = 0; i < DECLINE_WAITING_MAX; i++)
        if (e->decline[i].at != 0 && e->decline[i].at <= env->now) {
            send_decline(env, &e->decline[i]);
            memset(&e->decline[i], 0, sizeof e->decline[i]);
        }
}

usec_t offer_in_deadline(const struct meet_env *env, const struct encounter *e)
{
    usec_t at = USEC_NEVER;
    for (unsigned i = 0; i < OFFER_IN_MAX; i++) {
        const struct offer_in *o = e->in[i];
        if (o == NULL)
            continue;
        at = earlier(at, earlier(o->answer_at, o->close_at));
        if (o->state == IN_PUZZLE)
            at = earlier(at, env->pow_rate.at + USEC_PER_S / OFFER_POW_RATE);
    }
    for (unsigned i = 0; i < DECLINE_WAITING_MAX; i++)
        if (e->decline[i].at != 0)
            at = earlier(at, e->decline[i].at);
    return at;
}

void offer_in_close(struct meet_env *env, struct encounter *e)
{
    for (unsigned i = 0; i < OFFER_IN_MAX; i++)
        if (e->in[i] != NULL)
            drop(env, e, i);
    sodium_memzero(e->decline, sizeof e->decline);
}
