// Spammers: they know a topic, fill its place with records of people who are not there, and send an
// offer to each person whose record they read. No offer is ever confirmed.
#include "tools/sim/attack_internal.h"

#include "node/meet/offer.h"
#include "node/meet/wire.h"

#include <string.h>

static void fill(struct attack_member *m, void *out, size_t len)
{
    sim_stream_fill(&m->stream, out, len);
}

static bool session(struct attack_member *m, uint32_t server)
{
    struct attack_session *s = &m->session[server];
    if (!s->has_keys) {
        const uint8_t *pk = m->attack->honest[server].contact.pk;
        fill(m, s->token, sizeof s->token);
        s->has_keys = rpc_keys_derive(&s->keys, m->e_sk, pk, &m->attack->net, m->e_pk, pk) == 0;
    }
    return s->has_keys;
}

// To one of the servers nearest to the place, whose answer is awaited.
static void call(struct sim *s, struct attack_member *m, uint32_t server, struct wire_request *q)
{
    struct attack_call *c = &m->call[m->call_next++ % ATTACK_CALLS];
    if (!session(m, server))
        return;
    fill(m, q->reply, sizeof q->reply);
    c->used = true;
    c->server = server;
    for (uint8_t i = 0; i < RPC_ANSWER_DATAGRAMS_MAX; i++)
        rpc_answer_id(c->id[i], &m->session[server].keys, q->reply, i);
    attack_request(s, m, &m->attack->honest[server], m->self.host, m->e_pk,
                   &m->session[server].keys, m->session[server].token, q, 0);
}

// ---- fake people ------------------------------------------------------------------------------------

// A record as any other; its introducers are the spammer's own hosts, which acknowledge and forget.
static void fake_record(struct attack_member *m, uint8_t record[static RECORD_BYTES],
                        uint8_t salt[static RECORD_SALT_BYTES])
{
    const struct attack *a = m->attack;
    uint8_t plain[RECORD_PLAIN_BYTES], rec_id[RECORD_ID_BYTES], nonce[24], seed[32], sk[32];
    struct wire_record r;
    memset(&r, 0, sizeof r);
    fill(m, seed, sizeof seed);
    key_pair(r.pseudonym, sk, seed);
    r.expiry_s = (a->epoch + 1) * EPOCH_SECONDS + 900;
    fill(m, r.random, sizeof r.random);
    fill(m, r.seed, sizeof r.seed);
    r.introducers = (uint8_t)(a->members < DHT_INTRODUCERS_MAX ? a->members : DHT_INTRODUCERS_MAX);
    for (uint32_t i = 0; i < r.introducers; i++) {
        uint32_t who = (m->round + i) % a->members;
        r.introducer[i].contact = a->member[who].self.contact;
        fill(m, r.introducer[i].handle, sizeof r.introducer[i].handle);
    }
    wire_put_record(plain, &r);
    fill(m, salt, RECORD_SALT_BYTES);
    record_id(rec_id, m->e_pk, salt);
    fill(m, nonce, sizeof nonce);
    record_seal(record, plain, rec_id, nonce, a->keys.seal, a->keys.place);
}

static void announce(struct sim *s, struct attack_member *m, uint32_t server)
{
    uint8_t record[RECORD_BYTES];
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.kind = RPC_ANNOUNCE;
    memcpy(q.target, m->attack->keys.place, sizeof q.target);
    q.ttl_s = TTL_S_MAX;
    fake_record(m, record, q.salt);
    q.record = record;
    call(s, m, server, &q);
}

// It reads, too, where its records are refused.
static void seek(struct sim *s, struct attack_member *m, uint32_t server)
{
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.kind = RPC_SEEK;
    memcpy(q.target, m->attack->keys.place, sizeof q.target);
    call(s, m, server, &q);
}

// ---- offers to real people ----------------------------------------------------------------------------

static void learn(struct sim *s, struct attack_member *m, const uint8_t *record)
{
    struct attack_person *oldest = &m->person[0];
    for (uint32_t i = 0; i < ATTACK_PEOPLE; i++) {
        struct attack_person *p = &m->person[i];
        if (p->used && memcmp(p->rec_id, record, RECORD_ID_BYTES) == 0) {
            p->seen_us = s->now;
            return;
        }
        if (!p->used || (oldest->used && p->seen_us < oldest->seen_us))
            oldest = p;
    }
    uint8_t plain[RECORD_PLAIN_BYTES];
    struct wire_record r;
    if (record_open(plain, record, m->attack->keys.seal, m->attack->keys.place) != 0 ||
        wire_get_record(&r, plain) != 0 || r.introducers == 0)
        return;
    if (attack_has(m->attack, r.introducer[0].contact.pk)) // one of our own inventions
        return;
    m->attack->count.samples++;
    *oldest = (struct attack_person){.used = true, .seen_us = s->now};
    memcpy(oldest->rec_id, record, RECORD_ID_BYTES);
    memcpy(oldest->record, record, RECORD_BYTES);
}

static bool make_offer(struct attack_member *m, const struct attack_person *p,
                       const struct wire_record *r, const uint8_t plain[static RECORD_PLAIN_BYTES],
                       uint8_t blob[static WIRE_OFFER_BYTES])
{
    const struct attack *a = m->attack;
    uint8_t hash[32], prologue[OFFER_PROLOGUE_BYTES_MAX], seed[32], pk[32], sk[32], best[32];
    uint8_t payload[WIRE_MSG1_PAYLOAD_BYTES], msg1[WIRE_MSG1_BYTES], nonce[POW_NONCE_BYTES];
    uint64_t weight = UINT64_MAX;
    size_t len;
    // Of some pseudonyms the one that the victim would rather have than whom it is asking now.
    for (uint32_t g = 0; g == 0 || g < a->config.grind; g++) {
        fill(m, seed, sizeof seed);
        key_pair(pk, sk, seed);
        uint64_t w = pairing_weight(pk, r->pseudonym, a->keys.psk);
        if (g == 0 || w < weight) {
            weight = w;
            memcpy(best, sk, sizeof best);
        }
    }
    struct noise_keys keys = {.s = best, .rs = r->pseudonym, .psk = {a->keys.psk}};
    struct wire_msg1 inner = {.generation = 1};
    struct noise noise;
    hash_pieces(hash, sizeof hash, NULL, 0, &(struct piece){plain, RECORD_PLAIN_BYTES}, 1);
    size_t n = offer_prologue(prologue, &a->net, a->epoch, a->keys.place, hash);
    wire_put_msg1(payload, &inner);
    fill(m, seed, sizeof seed);
    if (noise_init(&noise, &a->noise, true, prologue, n, &keys) != 0 ||
        noise_write(&noise, seed, payload, sizeof payload, msg1, sizeof msg1, &len) != 0)
        return false;
    struct wire_envelope e = {.msg1 = msg1};
    memcpy(e.rec_id, p->rec_id, sizeof e.rec_id);
    fill(m, nonce, sizeof nonce);
    memcpy(e.nonce, nonce, sizeof e.nonce);
    wire_put_envelope(blob, &e);
    return true;
}

static void offer(struct sim *s, struct attack_member *m, const struct attack_person *p)
{
    uint8_t plain[RECORD_PLAIN_BYTES], blob[WIRE_OFFER_BYTES], e_pk[32], e_sk[32], seed[32];
    uint8_t token[RPC_TOKEN_BYTES];
    struct wire_record r;
    struct rpc_keys keys;
    if (record_open(plain, p->record, m->attack->keys.seal, m->attack->keys.place) != 0 ||
        wire_get_record(&r, plain) != 0 || !make_offer(m, p, &r, plain, blob))
        return;
    const struct wire_introducer *via = &r.introducer[m->round % r.introducers];
    static const uint8_t none[PUZZLE_NONCE_BYTES];
    struct attack_server to;
    struct wire_request q;
    attack_server_init(m->attack, &to, SIM_NOBODY, via->contact.pk, none, &via->contact.path);
    memset(&q, 0, sizeof q);
    q.kind = RPC_INTRODUCE;
    memcpy(q.handle, via->handle, sizeof q.handle);
    fill(m, q.reply, sizeof q.reply);
    fill(m, q.link, sizeof q.link);
    fill(m, q.push_key, sizeof q.push_key);
    fill(m, token, sizeof token);
    q.blob = blob;
    q.blob_len = sizeof blob;
    fill(m, seed, sizeof seed);
    key_pair(e_pk, e_sk, seed);
    if (rpc_keys_derive(&keys, e_sk, to.contact.pk, &m->attack->net, e_pk, to.contact.pk) != 0)
        return;
    m->attack->count.offers++;
    attack_request(s, m, &to, m->self.host, e_pk, &keys, token, &q, CLASS_MEDIUM);
}

// ---- its turn -----------------------------------------------------------------------------------------

static void once(struct sim *s, struct attack_member *m)
{
    const struct attack *a = m->attack;
    uint32_t servers = a->honests < ATTACK_HOLDERS ? a->honests : ATTACK_HOLDERS;
    m->round++;
    if (servers == 0)
        return;
    const struct attack_person *p = &m->person[m->round / 2 % ATTACK_PEOPLE];
    for (uint32_t i = 0; i < ATTACK_PEOPLE && !p->used; i++)
        p = &m->person[(m->round / 2 + i) % ATTACK_PEOPLE];
    if (m->round % 2 == 1 && p->used)
        offer(s, m, p);
    else if (m->round % ATTACK_SEEK_EVERY == 0)
        seek(s, m, m->round / ATTACK_SEEK_EVERY % servers);
    else
        announce(s, m, m->round / 2 % servers);
}

static void spam(struct sim *s, void *ctx, uint64_t host)
{
    struct attack_member *m = ctx;
    const struct attack_config *cfg = &m->attack->config;
    if (cfg->stop_us != 0 && s->now >= cfg->stop_us)
        return;
    uint64_t all = (s->now - cfg->start_us) * cfg->per_s / USEC_PER_S;
    for (; m->sent < all; m->sent++)
        once(s, m);
    sim_actor_wake(s, s->now + ATTACK_TICK_US, (uint32_t)host, spam, m);
}

void attack_spam_start(struct sim *s, void *ctx, uint32_t host)
{
    struct attack_member *m = ctx;
    uint8_t seed[32];
    fill(m, seed, sizeof seed);
    key_pair(m->e_pk, m->e_sk, seed);
    sim_actor_wake(s, s->now, host, spam, ctx);
}

// An offer to one of its inventions is acknowledged, so that somebody waits for nothing.
static void acknowledge(struct sim *s, struct attack_member *m, const struct path *from,
                        const uint8_t *data, size_t len)
{
    struct attack_request r;
    struct wire_answer a;
    if (!attack_open(m, data, len, &r) ||
        (r.q.kind != RPC_INTRODUCE && r.q.kind != RPC_PING && r.q.kind != RPC_FIND))
        return;
    m->attack->count.introductions += r.q.kind == RPC_INTRODUCE;
    attack_answer_init(s, &r, from, &a);
    attack_answer(s, m, from, &r, &a);
}

bool attack_spam_receive(struct sim *s, void *ctx, uint32_t host, const struct path *from,
                         const uint8_t *data, size_t len)
{
    struct attack_member *m = ctx;
    uint8_t datagram[CLASS_FULL], *body;
    size_t body_len;
    struct wire_answer a;
    (void)host;
    const struct attack_call *c = NULL;
    for (uint32_t i = 0; i < ATTACK_CALLS && c == NULL && len >= RPC_ID_BYTES; i++)
        for (unsigned k = 0; k < RPC_ANSWER_DATAGRAMS_MAX; k++)
            if (m->call[i].used && memcmp(m->call[i].id[k], data, RPC_ID_BYTES) == 0)
                c = &m->call[i];
    if (c == NULL) {
        acknowledge(s, m, from, data, len);
        return true;
    }
    struct attack_session *session_of = &m->session[c->server];
    if (len > sizeof datagram)
        return true;
    memcpy(datagram, data, len);
    if (rpc_answer_open(datagram, len, &session_of->keys, &body, &body_len) != 0 ||
        wire_answer_decode(&a, body, body_len) != 0)
        return true;
    memcpy(session_of->token, a.token, sizeof a.token);
    if (a.status == RPC_OK && a.index == 0)
        m->attack->count.stored++;
    else if (a.status != RPC_OK && a.status != RPC_NEED_TOKEN)
        m->attack->count.refused++;
    for (unsigned i = 0; a.status == RPC_OK && i < a.n; i++)
        learn(s, m, a.records + (size_t)i * RECORD_BYTES);
    return true;
}
