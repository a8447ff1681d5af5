// An attack's life: addresses, ground ids, the table of all; and what its servers do.
#include "tools/sim/attack_internal.h"

#include "crypto/bytes.h"
#include "tools/sim/modelled.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

// ---- what its servers answer ------------------------------------------------------------------------

static const uint8_t *aim(const struct attack *a, const struct wire_request *q)
{
    return a->config.topic != NULL ? a->keys.place : q->target;
}

// The accomplices nearest to a target; an insertion sort of the few that are named.
static unsigned accomplices(const struct attack *a, const uint8_t target[static 32],
                            struct contact out[static ATTACK_NAMED_MAX])
{
    const struct attack_server *best[ATTACK_NAMED_MAX];
    unsigned n = 0;
    for (uint32_t i = 0; i < a->members; i++) {
        const struct attack_server *v = &a->member[i].self;
        unsigned k = n;
        while (k > 0 && id_nearer(v->id, best[k - 1]->id, target))
            k--;
        if (k == ATTACK_NAMED_MAX)
            continue;
        n += n < ATTACK_NAMED_MAX;
        memmove(&best[k + 1], &best[k], (n - k - 1) * sizeof best[0]);
        best[k] = v;
    }
    for (unsigned i = 0; i < n; i++)
        out[i] = best[i]->contact;
    return n;
}

// Servers that are none, all at one address, of `grind` ids each the one nearest to the target: whoever
// believes it sends there.
static unsigned victims(struct sim *s, struct attack_member *m, const uint8_t target[static 32],
                        struct contact out[static ATTACK_NAMED_MAX])
{
    const struct attack *a = m->attack;
    for (unsigned i = 0; i < ATTACK_NAMED_MAX; i++) {
        struct contact c = {.path = *sim_path(s, a->config.names_victim - 1)};
        uint8_t id[32], best[32];
        for (uint32_t g = 0; g == 0 || g < a->config.grind; g++) {
            sim_stream_fill(&m->stream, c.pk, sizeof c.pk);
            node_id(id, &a->net, c.pk, c.puzzle_nonce, c.path.family, path_id_prefix(&c.path));
            if (g > 0 && !id_nearer(id, best, target))
                continue;
            memcpy(best, id, sizeof best);
            out[i] = c;
        }
    }
    return ATTACK_NAMED_MAX;
}

static bool lies_about(const struct attack *a, const struct wire_request *q)
{
    if (a->config.kind == ATTACK_LIAR)
        return true;
    unsigned named = q->bits < ATTACK_SEEN_BITS ? q->bits : ATTACK_SEEN_BITS;
    return a->config.kind == ATTACK_ECLIPSE && id_common_bits(q->target, a->keys.place) >= named;
}

static bool on_find(struct sim *s, struct attack_member *m, const struct path *from,
                    const struct attack_request *r)
{
    struct attack *a = m->attack;
    struct wire_answer answer;
    struct contact named[ATTACK_NAMED_MAX];
    uint8_t body[CLASS_FULL];
    struct wire_part part;
    if (!lies_about(a, &r->q))
        return false;
    attack_answer_init(s, r, from, &answer);
    if (a->config.reply == ATTACK_FULL && r->q.bits == 256) {
        answer.status = RPC_FULL;
        answer.hint = ATTACK_HINT;
        answer.live = UINT16_MAX;
    } else if (wire_part_begin(&part, &answer, body, WIRE_BODY_MAX) == 0) {
        unsigned n = a->config.names_victim != 0 ? victims(s, m, aim(a, &r->q), named)
                                                 : accomplices(a, aim(a, &r->q), named);
        size_t head = part.len;
        while (answer.n < n && wire_part_contact(&part, &named[answer.n]))
            answer.n++;
        answer.contacts = body + head;
        answer.contacts_len = (uint16_t)(part.len - head);
    }
    attack_answer(s, m, from, r, &answer);
    return true;
}

static bool on_state(struct sim *s, struct attack_member *m, const struct path *from,
                     const struct attack_request *r)
{
    const struct attack_config *cfg = &m->attack->config;
    struct wire_answer answer;
    if (cfg->reply == ATTACK_SILENCE)
        return true;
    attack_answer_init(s, r, from, &answer);
    if (cfg->reply == ATTACK_FULL && (r->q.kind == RPC_ANNOUNCE || r->q.kind == RPC_SEEK)) {
        answer.status = r->q.kind == RPC_ANNOUNCE ? RPC_FULL : RPC_OK;
        answer.hint = ATTACK_HINT;
        answer.live = UINT16_MAX;
    }
    answer.records = r->datagram; // none of them
    attack_answer(s, m, from, r, &answer);
    return true;
}

static bool receive(struct sim *s, void *ctx, uint32_t host, const struct path *from,
                    const uint8_t *data, size_t len)
{
    struct attack_member *m = ctx;
    struct attack_figures *count = &m->attack->count;
    struct attack_request r;
    (void)host;
    if (!attack_open(m, data, len, &r))
        return false;
    switch (r.q.kind) {
    case RPC_FIND:
        count->finds++;
        return on_find(s, m, from, &r);
    case RPC_ANNOUNCE:
        count->announces++;
        return on_state(s, m, from, &r);
    case RPC_SEEK:
        count->seeks++;
        return on_state(s, m, from, &r);
    case RPC_ATTEND:
        count->attends++;
        return on_state(s, m, from, &r);
    case RPC_INTRODUCE:
        count->introductions++;
        return on_state(s, m, from, &r);
    case RPC_WITHDRAW:
    case RPC_RELAY_BACK:
        return on_state(s, m, from, &r);
    default: // it stays in the tables by the node behind it
        count->pings++;
        return false;
    }
}

// ---- addresses and ids --------------------------------------------------------------------------------

static struct path draw_v4(struct sim *s, const struct attack *a, uint32_t i)
{
    uint32_t coarse = i % a->config.prefixes;
    for (uint64_t attempt = 0;; attempt++) {
        // The prefix by its number alone, so that as many share it as were asked for.
        uint64_t v = 0;
        struct path p;
        for (uint64_t again = 0; again == 0 || !path_reachable(&p, false); again++) {
            v = sim_prf_u64(&s->prf, SIM_PRF_ATTACK, a->config.kind, coarse, again);
            uint8_t ip[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), 1, 1};
            p = path_v4(ip, SIM_PORT_MIN);
        }
        uint64_t w = sim_prf_u64(&s->prf, SIM_PRF_ATTACK, 256 + a->config.kind, i, attempt);
        p.ip[2] = (uint8_t)(w >> 24);
        p.ip[3] = (uint8_t)(w >> 16);
        p.port = (uint16_t)(SIM_PORT_MIN + w % (65536 - SIM_PORT_MIN));
        if (path_reachable(&p, false) && sim_network_find(&s->net, &p) == SIM_NOBODY)
            return p;
    }
}

static struct path draw_v6(struct sim *s, const struct attack *a, uint32_t i)
{
    uint64_t v = sim_prf_u64(&s->prf, SIM_PRF_ATTACK, 512 + a->config.kind, 0, 0);
    uint32_t slash48 = (uint32_t)(v >> 32) + i * 40503u; // odd: all 65,536 before the first again
    uint8_t ip[16] = {0x2a,
                      0x0d,
                      (uint8_t)(v >> 8),
                      (uint8_t)v,
                      (uint8_t)(slash48 >> 8),
                      (uint8_t)slash48,
                      [14] = (uint8_t)(i >> 16),
                      [15] = 1};
    return path_v6(ip, (uint16_t)(SIM_PORT_MIN + v % (65536 - SIM_PORT_MIN)));
}

static uint64_t distance(const uint8_t a[static 32], const uint8_t b[static 32])
{
    uint64_t d = 0;
    for (unsigned i = 0; i < 8; i++)
        d = d << 8 | (uint8_t)(a[i] ^ b[i]);
    return d;
}

// Of `grind` nonces the one whose id lies best. A real network asks a solved puzzle for each of them.
static void grind(const struct attack *a, uint32_t i, const uint8_t pk[static 32],
                  const struct path *path, uint8_t nonce[static PUZZLE_NONCE_BYTES])
{
    uint64_t radius =
        a->config.spread_of == 0 ? 0 : UINT64_MAX / a->config.spread_of * ATTACK_RADIUS_SERVERS;
    uint64_t best = UINT64_MAX;
    for (uint32_t g = 0; g < a->config.grind && (g == 0 || best >= radius); g++) {
        uint8_t id[32], n[PUZZLE_NONCE_BYTES];
        struct wr w = wr_init(n, sizeof n);
        wr_le64(&w, (uint64_t)i << 32 | g);
        node_id(id, &a->net, pk, n, path->family, path_id_prefix(path));
        uint64_t d = distance(id, a->keys.place);
        if (g > 0 && d >= best)
            continue;
        best = d;
        memcpy(nonce, n, sizeof n);
    }
}

// ---- life -------------------------------------------------------------------------------------------

static void find_topic(struct sim *s, struct attack *a)
{
    uint64_t unix_s = (uint64_t)s->config.unix_start_s + a->config.start_us / USEC_PER_S;
    uint8_t text[TOPIC_BYTES_MAX], secret[JOB_RESULT_BYTES_MAX];
    size_t len;
    struct job job;
    a->epoch = unix_s / EPOCH_SECONDS;
    if (topic_normalise((const uint8_t *)a->topic, strlen(a->topic), text, &len) != 0)
        return;
    job_topic(&job, 1, &a->net, (uint32_t)(unix_s / DAY_SECONDS), text, len, NULL, 0);
    if (sim_jobs_run(s->jobs, &job, secret) == 32)
        topic_keys(&a->keys, secret, a->epoch, 0, 0);
}

static bool is_honest(const struct sim_host *h)
{
    return h->actor == NULL ||
           (h->actor->receive == NULL && !h->actor->alone && h->actor->delay_us == 0);
}

static void find_honest(struct sim *s, struct attack *a)
{
    static const uint8_t none[PUZZLE_NONCE_BYTES];
    a->honest = sim_grow(NULL, s->hosts + 1, sizeof *a->honest);
    for (uint32_t i = 0; i < s->hosts; i++) {
        if (!s->host[i]->server || !is_honest(s->host[i]))
            continue;
        uint8_t pk[32], sk[32];
        struct attack_server v;
        sim_server_key(s, i, pk, sk);
        attack_server_init(a, &v, i, pk, none, sim_path(s, i));
        uint32_t k = a->honests++;
        for (; k > 0 && a->topic != NULL && id_nearer(v.id, a->honest[k - 1].id, a->keys.place);
             k--)
            a->honest[k] = a->honest[k - 1];
        a->honest[k] = v;
    }
}

static bool is_server(enum attack_kind kind)
{
    return kind == ATTACK_LIAR || kind == ATTACK_DROPPER || kind == ATTACK_ECLIPSE ||
           kind == ATTACK_SLOW;
}

static void add_member(struct sim *s, struct attack *a, uint32_t i)
{
    static void (*const start[])(struct sim *, void *, uint32_t) = {
        [ATTACK_FLOODER] = attack_flood_start,
        [ATTACK_SPAMMER] = attack_spam_start,
        [ATTACK_AMPLIFIER] = attack_amplify_start,
    };
    struct attack_member *m = &a->member[i];
    struct sim_actor actor = {.ctx = m, .alone = !is_server(a->config.kind)};
    uint8_t secret[32], pk[32];
    struct sim_node_config n = {.server = is_server(a->config.kind), .actor = &actor};
    sim_prf_key(&s->prf, s->hosts | SIM_FORGED_SEQUENCE, 0, secret);
    key_pair(pk, m->sk, secret);
    actor.secret = secret;
    if (actor.alone)
        actor.start = start[a->config.kind];
    if (a->config.kind == ATTACK_SPAMMER)
        actor.receive = attack_spam_receive;
    else if (a->config.kind == ATTACK_FLOODER && a->config.garbage == ATTACK_TOKENS)
        actor.receive = attack_flood_receive;
    else if (a->config.kind == ATTACK_SLOW)
        actor.delay_us = a->config.delay_us;
    else if (!actor.alone)
        actor.receive = receive;
    if (a->config.one_v6)
        n.site.at = draw_v6(s, a, i);
    else if (a->config.prefixes > 0)
        n.site.at = draw_v4(s, a, i);
    if (n.site.at.family != 0 && a->config.grind > 1)
        grind(a, i, pk, &n.site.at, actor.puzzle_nonce);
    n.bootstraps = n.server ? a->config.bootstraps : 0;
    for (uint32_t b = 0; b < n.bootstraps; b++)
        n.bootstrap[b] = b;
    m->attack = a;
    sim_stream_init(&m->stream, &s->prf, s->hosts | SIM_FORGED_SEQUENCE);
    usec_t late_us =
        sim_prf_u64(&s->prf, SIM_PRF_ATTACK, 768 + a->config.kind, i, 0) % (a->config.join_us + 1);
    uint32_t host = sim_node_add(s, a->config.start_us + late_us, &n);
    attack_server_init(a, &m->self, host, pk, actor.puzzle_nonce, sim_path(s, host));
}

struct attack *attack_new(struct sim *s, const struct attack_config *cfg)
{
    struct attack *a = sim_grow(NULL, 1, sizeof *a);
    memset(a, 0, sizeof *a);
    modelled_use(s->config.modelled);
    a->config = *cfg;
    a->sim = s;
    assert(s->attacks < SIM_ATTACKS_MAX);
    s->attack[s->attacks++] = a;
    const char *network = cfg->network != NULL ? cfg->network : "bauta";
    if (net_init(&a->net, network) != 0 ||
        noise_spec_parse(&a->noise, "Noise_IKpsk1_25519_ChaChaPoly_BLAKE2b") != 0)
        abort();
    if (cfg->topic != NULL) {
        size_t len = strlen(cfg->topic) + 1;
        a->topic = sim_grow(NULL, len, 1);
        memcpy(a->topic, cfg->topic, len);
        a->config.topic = a->topic;
        find_topic(s, a);
    }
    find_honest(s, a);
    a->member = sim_grow(NULL, cfg->number + 1, sizeof *a->member);
    memset(a->member, 0, cfg->number * sizeof *a->member);
    a->members = cfg->number;
    for (uint32_t i = 0; i < cfg->number; i++)
        add_member(s, a, i);
    return a;
}

void attack_set_probes(struct attack *a, struct attack_probes probes)
{
    a->probes = probes;
}

const struct attack_probes *attack_probes(const struct attack *a)
{
    return a->probes.pairs > 0 ? &a->probes : NULL;
}

void attack_free(struct attack *a)
{
    free(a->topic);
    free(a->honest);
    free(a->member);
    free(a);
}

uint32_t attack_hosts(const struct attack *a)
{
    return a->members;
}

bool attack_has(const struct attack *a, const uint8_t pk[static 32])
{
    for (uint32_t i = 0; i < a->members; i++)
        if (memcmp(a->member[i].self.contact.pk, pk, 32) == 0)
            return true;
    return false;
}

void attack_figures(const struct attack *a, struct attack_figures *f)
{
    *f = a->count;
    if (a->config.kind == ATTACK_AMPLIFIER && a->members > 1)
        f->victim_bytes = a->sim->host[a->member[1].self.host]->bytes_in;
    else if (a->config.names_victim != 0)
        f->victim_bytes = a->sim->host[a->config.names_victim - 1]->bytes_in;
}
