// Flooders and amplifiers: hosts that only send.
#include "tools/sim/attack_internal.h"

#include <string.h>

static bool over(const struct sim *s, const struct attack *a)
{
    return a->config.stop_us != 0 && s->now >= a->config.stop_us;
}

// How many datagrams are due in this tick, so that it is per_s on the whole.
static uint32_t due(const struct sim *s, struct attack_member *m)
{
    const struct attack_config *cfg = &m->attack->config;
    uint64_t all = (s->now - cfg->start_us) * cfg->per_s / USEC_PER_S;
    uint32_t n = (uint32_t)(all - m->sent);
    m->sent = all;
    return n;
}

// ---- flood ------------------------------------------------------------------------------------------

static uint32_t flooded(const struct attack *a)
{
    uint32_t max = a->config.victims == 0 ? a->honests : a->config.victims;
    if (a->config.garbage == ATTACK_TOKENS && max > ATTACK_HOLDERS)
        max = ATTACK_HOLDERS; // a token of each is remembered
    return max < a->honests ? max : a->honests;
}

// The one that is meant, or somebody honest who is no server: people, whose prefixes it uses up.
static uint32_t forged_source(struct sim *s, struct attack_member *m)
{
    uint32_t from;
    if (m->attack->config.names_victim != 0)
        return m->attack->config.names_victim - 1;
    sim_stream_fill(&m->stream, &from, sizeof from);
    for (uint32_t i = 0; i < s->hosts; i++) {
        uint32_t host = (uint32_t)((from + (uint64_t)i) % s->hosts);
        if (!s->host[host]->server && s->host[host]->actor == NULL)
            return host;
    }
    return m->self.host;
}

static void flood_once(struct sim *s, struct attack_member *m, uint32_t victim, usec_t leaves_us)
{
    const struct attack *a = m->attack;
    const struct attack_session *with = &m->session[victim % ATTACK_HOLDERS];
    struct rpc_header header;
    memcpy(header.e, m->e_pk, sizeof header.e);
    memcpy(header.token, with->token, sizeof header.token);
    attack_garbage(s, m, &a->honest[victim],
                   a->config.garbage == ATTACK_FORGED ? forged_source(s, m) : m->self.host,
                   leaves_us, a->config.garbage == ATTACK_TOKENS ? &header : NULL, CLASS_SMALL);
}

static void flood(struct sim *s, void *ctx, uint64_t host)
{
    struct attack_member *m = ctx;
    const struct attack *a = m->attack;
    uint32_t victims = flooded(a);
    if (over(s, a) || victims == 0)
        return;
    // Evenly: between two bursts of it others would find what has come back of a rate.
    for (uint32_t all = due(s, m), n = 0; n < all; n++)
        flood_once(s, m, m->round++ % victims, s->now + (usec_t)ATTACK_TICK_US * n / all);
    sim_actor_wake(s, s->now + ATTACK_TICK_US, (uint32_t)host, flood, m);
}

void attack_flood_start(struct sim *s, void *ctx, uint32_t host)
{
    struct attack_member *m = ctx;
    sim_stream_fill(&m->stream, m->e_pk, sizeof m->e_pk);
    m->round = m->self.host; // they do not all begin with the same one
    sim_actor_wake(s, s->now, host, flood, ctx);
}

// The token of a light answer belongs to an e under which nothing was ever opened: each datagram that
// bears it costs a key exchange anew.
bool attack_flood_receive(struct sim *s, void *ctx, uint32_t host, const struct path *from,
                          const uint8_t *data, size_t len)
{
    struct attack_member *m = ctx;
    const struct attack *a = m->attack;
    uint8_t datagram[CLASS_FULL], *body;
    struct rpc_keys keys;
    size_t body_len;
    (void)s;
    (void)host;
    for (uint32_t i = 0, n = flooded(a); i < n && len <= sizeof datagram; i++) {
        if (!path_equal(from, &a->honest[i].contact.path))
            continue;
        memcpy(datagram, data, len);
        rpc_light_keys(&keys, a->honest[i].mask_key, m->e_pk);
        if (rpc_answer_open(datagram, len, &keys, &body, &body_len) != 0 ||
            body_len < RPC_TOKEN_BYTES)
            continue;
        memcpy(m->session[i].token, body, RPC_TOKEN_BYTES);
        m->attack->count.tokens++;
    }
    return true;
}

// ---- amplification ------------------------------------------------------------------------------------

// Every kind of request in turn, in the smallest size that it has and in the one that draws most. The
// second host is the victim, whose address they bear.
static void amplify_once(struct sim *s, struct attack_member *m, const struct attack_server *to,
                         uint32_t number)
{
    static const uint16_t sizes[] = {CLASS_SMALL, CLASS_CHAT, CLASS_MEDIUM, CLASS_FULL};
    static const enum rpc_kind kinds[] = {RPC_PING,      RPC_FIND,       RPC_ANNOUNCE,
                                          RPC_WITHDRAW,  RPC_SEEK,       RPC_ATTEND,
                                          RPC_INTRODUCE, RPC_RELAY_BACK, RPC_DIAL_BACK};
    uint8_t record[RECORD_BYTES], blob[WIRE_ANSWER_BLOB_MAX], e_pk[32], e_sk[32], secret[32];
    uint8_t token[RPC_TOKEN_BYTES];
    struct rpc_keys keys;
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.kind = kinds[number % (sizeof kinds / sizeof *kinds)];
    number /= sizeof kinds / sizeof *kinds;
    uint16_t size = sizes[number % (sizeof sizes / sizeof *sizes)];
    number /= sizeof sizes / sizeof *sizes;
    q.has_self = number % 2 == 1;
    q.want = WIRE_WANT_V4 | WIRE_WANT_V6;
    q.bits = 256;
    q.ttl_s = TTL_S_MAX;
    q.record = record;
    q.blob = blob;
    q.blob_len = sizeof blob;
    struct {
        void *at;
        size_t len;
    } noise[] = {{q.reply, sizeof q.reply}, {q.pk, sizeof q.pk},         {q.target, 32},
                 {record, sizeof record},   {q.handle, sizeof q.handle}, {q.link, sizeof q.link},
                 {q.push_key, 32},          {blob, sizeof blob},         {token, sizeof token},
                 {secret, sizeof secret}};
    for (size_t i = 0; i < sizeof noise / sizeof *noise; i++)
        sim_stream_fill(&m->stream, noise[i].at, noise[i].len);
    key_pair(e_pk, e_sk, secret);
    memcpy(q.contact.pk, q.pk, sizeof q.contact.pk); // nobody's, at the victim's address
    q.contact.path = *sim_path(s, m->attack->member[1].self.host);
    if (rpc_keys_derive(&keys, e_sk, to->contact.pk, &m->attack->net, e_pk, to->contact.pk) == 0)
        attack_request(s, m, to, m->attack->member[1].self.host, e_pk, &keys, token, &q, size);
}

static void amplify(struct sim *s, void *ctx, uint64_t host)
{
    struct attack_member *m = ctx;
    struct attack *a = m->attack;
    if (over(s, a) || a->honests == 0)
        return;
    for (uint32_t n = due(s, m); n > 0; n--, m->round++)
        amplify_once(s, m, &a->honest[m->round / ATTACK_FORMS % a->honests],
                     a->config.form != 0 ? a->config.form - 1 : m->round);
    sim_actor_wake(s, s->now + ATTACK_TICK_US, (uint32_t)host, amplify, m);
}

void attack_amplify_start(struct sim *s, void *ctx, uint32_t host)
{
    const struct attack_member *m = ctx;
    if (m == &m->attack->member[0] && m->attack->members > 1)
        sim_actor_wake(s, s->now, host, amplify, ctx);
}
