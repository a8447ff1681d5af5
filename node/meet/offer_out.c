#include "node/meet/offer.h"

#include "crypto/nodekey.h"
#include "node/meet/reach.h"

#include <sodium.h>

size_t offer_prologue(uint8_t out[static OFFER_PROLOGUE_BYTES_MAX], const struct net *net,
                      uint64_t epoch, const uint8_t place[static 32], const uint8_t hash[static 32])
{
    struct wr w = wr_init(out, OFFER_PROLOGUE_BYTES_MAX);
    wr_bytes(&w, "bauta meet 1", 12);
    wr_bytes(&w, net->bytes, net->len);
    wr_le64(&w, epoch);
    wr_bytes(&w, place, 32);
    wr_bytes(&w, hash, 32);
    assert(!w.bad);
    return wr_len(&w);
}

static void drop(struct meet_env *env, struct encounter *e, unsigned i)
{
    struct offer_out *o = e->out[i];
    for (unsigned k = 0; k < DHT_INTRODUCERS_MAX; k++)
        if (o->link[k].open)
            dht_introduce_close(env->dht, env->now, o->link[k].intro);
    arena_give(env->arena, o, sizeof *o);
    e->out[i] = NULL;
}

static struct offer_out *find(struct encounter *e, const struct pairing_action *a, unsigned *index)
{
    for (unsigned i = 0; i < OFFER_OUT_MAX; i++) {
        struct offer_out *o = e->out[i];
        if (o != NULL && o->generation == a->generation && o->peer.topic == a->peer.topic &&
            memcmp(o->peer.pk, a->peer.pk, 32) == 0) {
            *index = i;
            return o;
        }
    }
    return NULL;
}

// A free slot, at the cost of the offer that lingers longest.
static unsigned free_slot(struct meet_env *env, struct encounter *e)
{
    unsigned oldest = OFFER_OUT_MAX;
    for (unsigned i = 0; i < OFFER_OUT_MAX; i++) {
        if (e->out[i] == NULL)
            return i;
        if (e->out[i]->close_at != USEC_NEVER &&
            (oldest == OFFER_OUT_MAX || e->out[i]->close_at < e->out[oldest]->close_at))
            oldest = i;
    }
    assert(oldest < OFFER_OUT_MAX); // only one is not lingering
    drop(env, e, oldest);
    return oldest;
}

// ---- sending --------------------------------------------------------------------------------------

static usec_t gap_of(struct meet_env *env, const struct offer_out *o)
{
    usec_t longest = 0;
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++)
        if (o->link[i].open) {
            usec_t rto = dht_introduce_rto(env->dht, o->link[i].intro);
            longest = rto > longest ? rto : longest;
        }
    usec_t gap =
        longest > OFFER_RTO_MAX_US ? OFFER_RTO_MAX_US : 2 * longest + OFFER_ANSWER_DELAY_US;
    return gap < OFFER_RTO_MIN_US ? OFFER_RTO_MIN_US : earlier(gap, OFFER_RTO_MAX_US);
}

// Opens a link through the next introducer that takes it, with `blob` as the first message.
static bool open_next(struct meet_env *env, struct encounter *e, struct offer_out *o,
                      const uint8_t *blob)
{
    while (o->next < o->introducers) {
        unsigned i = o->next++;
        const struct wire_introducer *via = &o->introducer[i];
        if (dht_introduce_open(env->dht, env->now, o->place, &via->contact, via->handle, blob,
                               WIRE_OFFER_BYTES, e->user, &o->link[i].intro) == BAUTA_OK) {
            o->link[i].open = true;
            return true;
        }
    }
    return false;
}

static bool send_on_open(struct meet_env *env, struct offer_out *o, const uint8_t *blob)
{
    bool sent = false;
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++)
        if (o->link[i].open)
            sent = dht_introduce_send(env->dht, env->now, o->link[i].intro, blob,
                                      WIRE_OFFER_BYTES) == BAUTA_OK ||
                   sent;
    return sent;
}

static bool send_first(struct meet_env *env, struct encounter *e, struct offer_out *o)
{
    if (!open_next(env, e, o, o->blob))
        return false;
    o->state = OUT_SENT;
    o->sendings = 1;
    o->sent_at = env->now;
    o->gap = gap_of(env, o);
    o->again_at = env->now + o->gap;
    env->count.offers_out++;
    return true;
}

// The second sending goes the same way, the third through the next introducer.
static void send_again(struct meet_env *env, struct encounter *e, struct offer_out *o)
{
    bool same_way = o->sendings == 1 || !open_next(env, e, o, o->blob);
    if (same_way)
        send_on_open(env, o, o->blob);
    o->sendings++;
    o->gap = earlier(2 * o->gap, OFFER_RTO_MAX_US);
    o->again_at = o->sendings < OFFER_SENDINGS_MAX ? env->now + o->gap : USEC_NEVER;
}

static void send_retract(struct meet_env *env, struct offer_out *o)
{
    if (o->retracts >= OFFER_RETRACTS_MAX)
        return;
    o->retracts++;
    send_on_open(env, o, o->retract);
    o->again_at = o->retracts < OFFER_RETRACTS_FIRST ? env->now + gap_of(env, o) : USEC_NEVER;
}

// The way by which the answer came may lose or garble what goes there: the third goes by another one too.
static void send_confirm(struct meet_env *env, struct encounter *e, struct offer_out *o)
{
    const struct offer_link *link = &o->link[o->answered_on];
    o->again_at = USEC_NEVER;
    if (o->confirms >= CONFIRM_SENDINGS_MAX || env->now >= o->confirmed_at + CONFIRM_WINDOW_US)
        return;
    o->confirms++;
    if (o->confirms == CONFIRM_SECOND_WAY)
        (void)open_next(env, e, o, o->confirm);
    if (o->confirms <= CONFIRM_SECOND_WAY && link->open)
        dht_introduce_send(env->dht, env->now, link->intro, o->confirm, sizeof o->confirm);
    else
        send_on_open(env, o, o->confirm);
    o->again_at = env->now + o->gap;
}

// ---- starting -------------------------------------------------------------------------------------

static bool make_msg1(struct meet_env *env, struct encounter *e, struct offer_out *o,
                      const struct listing *l, uint8_t msg1[static WIRE_MSG1_BYTES])
{
    const struct search *s = e->search[o->peer.topic];
    uint8_t prologue[OFFER_PROLOGUE_BYTES_MAX], payload[WIRE_MSG1_PAYLOAD_BYTES], secret[32];
    size_t n = offer_prologue(prologue, &env->net, l->epoch, l->keys.place, l->hash), len = 0;
    const struct noise_keys keys = {.s = s->sk, .rs = o->peer.pk, .psk = {l->keys.psk}};
    const struct wire_msg1 m = {.generation = o->generation,
                                .capabilities = env->aes_hardware ? WIRE_CAPABILITY_AES : 0,
                                .card = e->wish.card};
    wire_put_msg1(payload, &m);
    rng_fill(&env->rng, secret, sizeof secret);
    bool ok = noise_init(&o->noise, &env->noise, true, prologue, n, &keys) == BAUTA_OK &&
              noise_write(&o->noise, secret, payload, sizeof payload, msg1, WIRE_MSG1_BYTES,
                          &len) == BAUTA_OK;
    sodium_memzero(secret, sizeof secret);
    assert(!ok || len == WIRE_MSG1_BYTES);
    return ok;
}

static void make_blobs(struct meet_env *env, struct offer_out *o,
                       const uint8_t msg1[static WIRE_MSG1_BYTES], const uint8_t *nonce,
                       const uint8_t *sol)
{
    struct wire_envelope envelope = {.effort = o->effort, .msg1 = msg1};
    memcpy(envelope.rec_id, o->rec_id, sizeof envelope.rec_id);
    if (nonce != NULL) {
        memcpy(envelope.nonce, nonce, sizeof envelope.nonce);
        memcpy(envelope.sol, sol, sizeof envelope.sol);
    } else {
        rng_fill(&env->rng, envelope.nonce, sizeof envelope.nonce);
        rng_fill(&env->rng, envelope.sol, sizeof envelope.sol);
    }
    wire_put_envelope(o->blob, &envelope);
}

// ---- introducers that were of no use ------------------------------------------------------------------

static struct strike *strike_of(struct encounter *e, const uint8_t hash[static 32])
{
    for (unsigned i = 0; i < STRIKES_MAX; i++)
        if (e->strike[i].ways != 0 &&
            memcmp(e->strike[i].hash, hash, sizeof e->strike[i].hash) == 0)
            return &e->strike[i];
    return NULL;
}

// An answer through the introducer `way` could not be read. True: all of the record's had their turn.
static bool strike(struct encounter *e, const struct offer_out *o, unsigned way)
{
    struct strike *x = strike_of(e, o->hash);
    if (x == NULL) {
        x = &e->strike[e->strike_next++ % STRIKES_MAX];
        memcpy(x->hash, o->hash, sizeof x->hash);
        x->ways = 0;
    }
    x->ways |= (uint8_t)(1u << way);
    return (x->ways & o->all_ways) == o->all_ways;
}

// Those first at whose kind of address somebody has ever answered.
static void reachable_first(const struct meet_env *env, struct offer_out *o)
{
    for (unsigned k = 0, first = 0; k < o->introducers; k++) {
        struct wire_introducer x = o->introducer[k];
        uint8_t way = o->way[k];
        if (!dht_heard_family(env->dht, x.contact.path.family))
            continue;
        for (unsigned i = k; i > first; i--) {
            o->introducer[i] = o->introducer[i - 1];
            o->way[i] = o->way[i - 1];
        }
        o->introducer[first] = x;
        o->way[first++] = way;
    }
}

// Each offer draws its own order, so that load and traces spread; who was of no use is left out.
static void choose_ways(struct meet_env *env, struct encounter *e, struct offer_out *o,
                        const struct wire_record *record)
{
    const struct strike *x = strike_of(e, o->hash);
    o->all_ways = (uint8_t)((1u << record->introducers) - 1u);
    uint8_t used = x == NULL || (x->ways & o->all_ways) == o->all_ways ? 0 : x->ways;
    for (unsigned k = 0; k < record->introducers; k++) {
        if (((unsigned)used >> k & 1u) != 0)
            continue;
        unsigned at = (unsigned)rng_below(&env->rng, o->introducers + 1u);
        o->introducer[o->introducers] = o->introducer[at];
        o->way[o->introducers++] = o->way[at];
        o->introducer[at] = record->introducer[k];
        o->way[at] = (uint8_t)k;
    }
    reachable_first(env, o);
}

bool offer_out_start(struct meet_env *env, struct encounter *e, const struct pairing_action *a)
{
    const struct listing *l = &e->listing[a->slot];
    uint8_t msg1[WIRE_MSG1_BYTES];
    unsigned i = free_slot(env, e);
    struct offer_out *o = arena_take(env->arena, sizeof *o);
    if (o == NULL)
        return false;
    e->out[i] = o;
    o->peer = a->peer;
    o->generation = a->generation;
    // The place where the record was read may be left by now; any of the topic does as well.
    o->place = search_spot_of(e->search[o->peer.topic], l->place) != NULL
                   ? l->place
                   : search_any_place(e->search[o->peer.topic]);
    o->effort = l->record.effort;
    memcpy(o->rec_id, l->rec_id, sizeof o->rec_id);
    memcpy(o->hash, l->hash, sizeof o->hash);
    choose_ways(env, e, o, &l->record);
    o->again_at = o->close_at = USEC_NEVER;
    if (!make_msg1(env, e, o, l, msg1)) {
        drop(env, e, i);
        return false;
    }
    hash_pieces(o->m, sizeof o->m, NULL, 0, &(struct piece){msg1, sizeof msg1}, 1);
    rng_fill(&env->rng, o->retract, sizeof o->retract);
    wire_retract_tag(o->retract, o->noise.ck, o->generation);
    make_blobs(env, o, msg1, NULL, NULL);
    if (o->effort > 0) {
        o->state = OUT_PUZZLE;
        pairing_solving(&e->pairing, env->now, &o->peer, o->generation);
        return true;
    }
    if (send_first(env, e, o))
        return true;
    drop(env, e, i);
    return false;
}

bool offer_out_job(struct meet_env *env, struct encounter *e, struct job *job)
{
    for (unsigned i = 0; i < OFFER_OUT_MAX; i++) {
        struct offer_out *o = e->out[i];
        if (o == NULL || o->state != OUT_PUZZLE || o->job != 0)
            continue;
        uint8_t start[POW_NONCE_BYTES];
        rng_fill(&env->rng, start, sizeof start);
        o->job = ++env->last_job;
        job_pow(job, o->job, o->m, o->rec_id, o->effort, start);
        return true;
    }
    return false;
}

// The pairing's own offer is of no use: as if nobody had answered.
static void give_up(struct meet_env *env, struct encounter *e, unsigned i)
{
    struct pairing_out out = {0};
    struct pairing_peer peer = e->out[i]->peer;
    uint32_t generation = e->out[i]->generation;
    drop(env, e, i);
    pairing_unreachable(&e->pairing, env->now, &peer, generation, &out);
    encounter_perform(env, e, &out);
}

bool offer_out_job_done(struct meet_env *env, struct encounter *e, uint32_t job,
                        const uint8_t *result, int len)
{
    for (unsigned i = 0; i < OFFER_OUT_MAX; i++) {
        struct offer_out *o = e->out[i];
        if (o == NULL || o->job != job)
            continue;
        if (o->state != OUT_PUZZLE)
            return true;
        if (len == (int)(POW_NONCE_BYTES + POW_SOLUTION_BYTES)) {
            uint8_t msg1[WIRE_MSG1_BYTES];
            memcpy(msg1, o->blob + WIRE_ENVELOPE_HEAD_BYTES, sizeof msg1);
            make_blobs(env, o, msg1, result, result + POW_NONCE_BYTES);
            pairing_sent(&e->pairing, env->now, &o->peer, o->generation);
            if (send_first(env, e, o))
                return true;
        }
        give_up(env, e, i);
        return true;
    }
    return false;
}

// ---- answers --------------------------------------------------------------------------------------

// Opens the answer on a copy of the state, so that garbage does not spoil it.
static int open_answer(struct offer_out *o, const uint8_t *blob, struct wire_msg2 *m)
{
    struct noise copy = o->noise;
    uint8_t payload[WIRE_MSG2_PAYLOAD_BYTES];
    size_t len = 0;
    int rc = noise_read(&copy, blob, WIRE_ANSWER_BYTES, payload, sizeof payload, &len);
    if (rc == BAUTA_OK)
        rc = wire_get_msg2(m, payload, len);
    if (rc == BAUTA_OK && m->generation != o->generation)
        rc = BAUTA_EFORMAT;
    if (rc == BAUTA_OK)
        o->noise = copy;
    noise_wipe(&copy);
    sodium_memzero(payload, sizeof payload);
    return rc;
}

// The channel's configuration from an acceptance, and the confirm that goes out if the pairing agrees.
static int prepare(struct meet_env *env, struct offer_out *o, const struct wire_msg2 *m)
{
    struct channel_config *c = &o->channel;
    struct dht_status status;
    dht_status(env->dht, &status);
    struct path seen = status.seen;
    reach_seen(env, &seen);
    struct noise_cipher i_to_r, r_to_i;
    struct wire_confirm confirm = {.generation = o->generation};
    uint8_t payload[WIRE_CONFIRM_PAYLOAD_BYTES];
    if (m->aead == PACKET_AEGIS256 && !env->aes_hardware)
        return BAUTA_EFORMAT;
    int rc = reach_take(env, c, &m->reach, seen.family != 0 ? &seen : NULL);
    if (rc == BAUTA_OK)
        rc = noise_split(&o->noise, &i_to_r, &r_to_i);
    if (rc != BAUTA_OK)
        return rc;
    c->initiator = true;
    c->aead = m->aead;
    memcpy(c->k_ir, i_to_r.k, sizeof c->k_ir);
    memcpy(c->k_ri, r_to_i.k, sizeof c->k_ri);
    memcpy(c->h, o->noise.h, sizeof c->h);
    c->rtt_hint_us = o->sendings == 1 ? env->now - o->sent_at : 0;
    reach_own(env, &confirm.reach, seen.family != 0 ? &seen : NULL, status.seen_of,
              m->reach.observed ? &m->reach.candidate[0] : NULL);
    reach_nat(env, &confirm.reach);
    c->nat_own = confirm.reach.nat;
    memcpy(c->local_cid, confirm.reach.cid, sizeof c->local_cid);
    memcpy(c->local_mask, confirm.reach.recv_mask, sizeof c->local_mask);
    wire_put_confirm(payload, &confirm);
    rng_fill(&env->rng, o->confirm, sizeof o->confirm);
    rc = noise_cipher_seal(&i_to_r, NULL, 0, payload, sizeof payload, o->confirm);
    sodium_memzero(&i_to_r, sizeof i_to_r);
    sodium_memzero(&r_to_i, sizeof r_to_i);
    sodium_memzero(payload, sizeof payload);
    return rc;
}

static void answered(struct meet_env *env, struct encounter *e, unsigned i, const uint8_t *blob)
{
    struct offer_out *o = e->out[i];
    struct wire_msg2 m;
    struct pairing_out out = {0};
    struct pairing_peer peer = o->peer;
    uint32_t generation = o->generation;
    // What can't be opened is a decline, or was garbled on its way: a no for good when it has come through
    // each of the record's introducers.
    int rc = open_answer(o, blob, &m);
    bool accepted = rc == BAUTA_OK && m.verdict == WIRE_ACCEPT;
    if (accepted && prepare(env, o, &m) == BAUTA_OK) {
        o->state = OUT_ACCEPTED;
        o->again_at = USEC_NEVER;
        pairing_accepted(&e->pairing, env->now, &peer, generation, &out);
    } else if (accepted) {
        // Blocked, or nowhere to be reached: the peer must not wait for a confirm.
        o->state = OUT_RETRACTED;
        o->close_at = env->now + OFFER_LINGER_US;
        send_retract(env, o);
        pairing_refused(&e->pairing, env->now, &peer, generation, true, &out);
    } else {
        bool dead = rc != BAUTA_OK && strike(e, o, o->way[o->answered_on]);
        drop(env, e, i);
        if (rc != BAUTA_OK && !dead)
            pairing_garbled(&e->pairing, env->now, &peer, generation, &out);
        else
            pairing_refused(&e->pairing, env->now, &peer, generation,
                            dead || m.verdict == WIRE_NO_FOR_GOOD, &out);
    }
    sodium_memzero(&m, sizeof m);
    encounter_perform(env, e, &out);
}

static void came_back(struct meet_env *env, struct encounter *e, unsigned i, unsigned link,
                      const struct dht_event *ev)
{
    struct offer_out *o = e->out[i];
    uint8_t blob[WIRE_ANSWER_BYTES];
    if (ev->blob_len != sizeof blob) {
        env->count.dropped_format++;
        return;
    }
    memcpy(blob, ev->blob, sizeof blob);
    switch (o->state) {
    case OUT_SENT:
        o->answered_on = link;
        answered(env, e, i, blob);
        break;
    case OUT_RETRACTED:
        send_retract(env, o);
        break;
    case OUT_CONFIRMED:
        // Its answer again: my confirm was lost.
        if (o->again_at != USEC_NEVER)
            send_confirm(env, e, o);
        break;
    case OUT_PUZZLE:
    case OUT_ACCEPTED:
        break;
    }
}

static void link_failed(struct meet_env *env, struct encounter *e, unsigned i, unsigned link)
{
    struct offer_out *o = e->out[i];
    dht_introduce_close(env->dht, env->now, o->link[link].intro);
    o->link[link].open = false;
    if (o->state != OUT_SENT)
        return;
    bool open = false;
    for (unsigned k = 0; k < DHT_INTRODUCERS_MAX; k++)
        open = open || o->link[k].open;
    if (!open && !open_next(env, e, o, o->blob))
        give_up(env, e, i);
}

bool offer_out_event(struct meet_env *env, struct encounter *e, const struct dht_event *ev)
{
    for (unsigned i = 0; i < OFFER_OUT_MAX; i++)
        for (unsigned k = 0; k < DHT_INTRODUCERS_MAX && e->out[i] != NULL; k++) {
            const struct offer_link *link = &e->out[i]->link[k];
            if (!link->open || link->intro != ev->id)
                continue;
            if (ev->kind == DHT_BACK)
                came_back(env, e, i, k, ev);
            else
                link_failed(env, e, i, k);
            return true;
        }
    return false;
}

// ---- the pairing's decisions ------------------------------------------------------------------------

// The offer that the pairing means lingers from now on; NULL where it never went out, or is gone.
static struct offer_out *take_back(struct meet_env *env, struct encounter *e,
                                   const struct pairing_action *a)
{
    unsigned i;
    struct offer_out *o = find(e, a, &i);
    if (o == NULL)
        return NULL;
    if (o->state == OUT_PUZZLE) {
        drop(env, e, i);
        return NULL;
    }
    o->state = OUT_RETRACTED;
    o->again_at = USEC_NEVER;
    o->close_at = env->now + OFFER_LINGER_US;
    return o;
}

void offer_out_retract(struct meet_env *env, struct encounter *e, const struct pairing_action *a)
{
    struct offer_out *o = take_back(env, e, a);
    if (o == NULL)
        return;
    env->count.retracted++;
    send_retract(env, o);
}

void offer_out_abandon(struct meet_env *env, struct encounter *e, const struct pairing_action *a)
{
    take_back(env, e, a);
}

// The confirm takes two legs, the channel's first packets one: what comes before the confirm finds no
// channel there, and would be sent again only after a timeout. The answer took four legs.
static usec_t head_start(const struct offer_out *o)
{
    usec_t legs = o->channel.rtt_hint_us;
    if (legs <= OFFER_ANSWER_DELAY_US)
        return 0;
    return earlier((legs - OFFER_ANSWER_DELAY_US) / 4 + CONFIRM_MARGIN_US,
                   CONFIRM_HEAD_START_MAX_US);
}

void offer_out_confirm(struct meet_env *env, struct encounter *e, const struct pairing_action *a)
{
    unsigned i;
    struct offer_out *o = find(e, a, &i);
    assert(o != NULL && o->state == OUT_ACCEPTED);
    o->state = OUT_CONFIRMED;
    o->confirmed_at = env->now;
    o->close_at = env->now + OFFER_LINGER_US;
    // Not the gap that msg1 has doubled: the other waits for a second only.
    o->gap = earlier(gap_of(env, o), CONFIRM_GAP_MAX_US);
    send_confirm(env, e, o);
    encounter_matched(env, e, &o->peer, &o->channel, head_start(o));
    sodium_memzero(&o->channel, sizeof o->channel);
}

void offer_out_heard(struct encounter *e)
{
    for (unsigned i = 0; i < OFFER_OUT_MAX; i++)
        if (e->out[i] != NULL && e->out[i]->state == OUT_CONFIRMED)
            e->out[i]->again_at = USEC_NEVER;
}

// ---- time -----------------------------------------------------------------------------------------

void offer_out_expire(struct meet_env *env, struct encounter *e)
{
    for (unsigned i = 0; i < OFFER_OUT_MAX; i++) {
        struct offer_out *o = e->out[i];
        if (o == NULL)
            continue;
        if (o->close_at <= env->now) {
            drop(env, e, i);
            continue;
        }
        if (o->again_at > env->now)
            continue;
        if (o->state == OUT_SENT)
            send_again(env, e, o);
        else if (o->state == OUT_RETRACTED)
            send_retract(env, o);
        else if (o->state == OUT_CONFIRMED)
            send_confirm(env, e, o);
        else
            o->again_at = USEC_NEVER;
    }
}

usec_t offer_out_deadline(const struct encounter *e)
{
    usec_t at = USEC_NEVER;
    for (unsigned i = 0; i < OFFER_OUT_MAX; i++)
        if (e->out[i] != NULL)
            at = earlier(at, earlier(e->out[i]->again_at, e->out[i]->close_at));
    return at;
}

void offer_out_close(struct meet_env *env, struct encounter *e)
{
    for (unsigned i = 0; i < OFFER_OUT_MAX; i++)
        if (e->out[i] != NULL)
            drop(env, e, i);
}
