#include "dht/intro.h"

#include "crypto/bytes.h"
#include "crypto/nodekey.h"

#include <sodium.h>

void intro_init(struct intro *s, struct arena *arena, const struct rng *rng, struct outbox *out,
                bool prefix_limits)
{
    memset(s, 0, sizeof *s);
    s->arena = arena;
    s->rng = rng;
    s->out = out;
    s->prefix_limits = prefix_limits;
    s->decoy_next = USEC_NEVER;
    s->sweep_at = USEC_NEVER;
    map_init(&s->handles, arena);
    map_init(&s->links, arena);
    rng_fill(rng, s->hash_key, sizeof s->hash_key);
}

static uint64_t hash(const struct intro *s, const void *data, size_t len)
{
    uint8_t out[crypto_shorthash_BYTES];
    crypto_shorthash(out, data, len, s->hash_key);
    struct rd r = rd_init(out, sizeof out);
    return rd_le64(&r);
}

static struct intro_handle *find_handle(const struct intro *s, const uint8_t handle[static 16])
{
    struct map_node *x = map_first(&s->handles, hash(s, handle, DHT_HANDLE_BYTES));
    while (x != NULL &&
           sodium_memcmp(((struct intro_handle *)x)->handle, handle, DHT_HANDLE_BYTES) != 0)
        x = map_next(x);
    return (struct intro_handle *)x;
}

static void drop_handle(struct intro *s, struct intro_handle *h)
{
    map_remove(&s->handles, &h->node);
    arena_give(s->arena, h, sizeof *h);
}

// Links are found by link and handle together: nobody can take another handle's links.
static uint64_t link_hash(const struct intro *s, const struct wire_request *q)
{
    uint8_t both[DHT_HANDLE_BYTES + DHT_LINK_BYTES];
    memcpy(both, q->handle, DHT_HANDLE_BYTES);
    memcpy(both + DHT_HANDLE_BYTES, q->link, DHT_LINK_BYTES);
    return hash(s, both, sizeof both);
}

static struct intro_link *find_link(const struct intro *s, const struct wire_request *q)
{
    uint64_t handle = hash(s, q->handle, DHT_HANDLE_BYTES);
    struct map_node *x = map_first(&s->links, link_hash(s, q));
    for (; x != NULL; x = map_next(x)) {
        struct intro_link *l = (struct intro_link *)x;
        if (l->handle == handle && memcmp(l->link, q->link, DHT_LINK_BYTES) == 0)
            break;
    }
    return (struct intro_link *)x;
}

static void unqueue(struct intro *s, struct intro_link *l)
{
    *(l->older != NULL ? &l->older->newer : &s->oldest) = l->newer;
    *(l->newer != NULL ? &l->newer->older : &s->newest) = l->older;
}

static void queue(struct intro *s, struct intro_link *l)
{
    l->older = s->newest;
    l->newer = NULL;
    *(s->newest != NULL ? &s->newest->newer : &s->oldest) = l;
    s->newest = l;
}

static void drop_link(struct intro *s, struct intro_link *l)
{
    unqueue(s, l);
    map_remove(&s->links, &l->node);
    arena_give(s->arena, l, sizeof *l);
}

void intro_end(struct intro *s)
{
    while (s->oldest != NULL)
        drop_link(s, s->oldest);
    for (uint32_t i = 0; i < s->handles.heads; i++)
        while (s->handles.head[i] != NULL)
            drop_handle(s, (struct intro_handle *)s->handles.head[i]);
    map_end(&s->handles);
    map_end(&s->links);
}

static void push(struct intro *s, struct intro_end *end, enum push_kind kind,
                 const uint8_t link[static DHT_LINK_BYTES], const uint8_t *blob, uint16_t len)
{
    struct outbox_slot *slot = outbox_room(s->out);
    if (slot == NULL)
        return;
    struct wire_push p = {.kind = kind, .blob = blob, .blob_len = len};
    memcpy(p.link, link, DHT_LINK_BYTES);
    size_t body_len;
    memset(slot->data, 0, sizeof slot->data);
    if (wire_push_encode(&p, slot->data + ANSWER_BODY_AT, WIRE_BODY_MAX, &body_len) != 0)
        return;
    slot->len = class_of((uint32_t)(body_len + ANSWER_OVERHEAD));
    slot->path = end->path;
    uint8_t id[8], nonce[RPC_NONCE_BYTES];
    struct rpc_keys keys;
    memset(&keys, 0, sizeof keys);
    memcpy(keys.s2c, end->s2c, 32);
    rpc_push_id(id, end->push_key, end->next++);
    rng_fill(s->rng, nonce, sizeof nonce);
    rpc_answer_seal(slot->data, slot->len - ANSWER_OVERHEAD, id, &keys, nonce);
    sodium_memzero(&keys, sizeof keys);
    s->pushes_out++;
    s->bytes_out += slot->len;
    outbox_commit(s->out);
}

// A series starts anew with a new key and goes on with the same one: a retransmission changes nothing.
static void set_end(struct intro_end *end, const struct intro_from *from,
                    const uint8_t push_key[static 32])
{
    if (sodium_memcmp(end->push_key, push_key, 32) != 0)
        end->next = 0;
    memcpy(end->push_key, push_key, 32);
    memcpy(end->s2c, from->keys->s2c, 32);
    end->path = *from->path;
}

static unsigned handles_of(const struct intro *s, uint64_t source)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < s->handles.heads; i++)
        for (struct map_node *x = s->handles.head[i]; x != NULL; x = x->next)
            n += ((struct intro_handle *)x)->source == source;
    return n;
}

enum rpc_status intro_attend(struct intro *s, usec_t now, const struct intro_from *from,
                             const struct wire_request *q)
{
    struct intro_handle *h = find_handle(s, q->handle);
    if (h != NULL && h->expires > now && sodium_memcmp(h->e, from->e, 32) != 0)
        return RPC_LOCKED;
    if (q->ttl_s == 0) {
        if (h != NULL)
            drop_handle(s, h);
        return RPC_OK;
    }
    if (h == NULL) {
        if (s->handles.n >= INTRO_HANDLES_MAX ||
            handles_of(s, from->source) >= INTRO_HANDLES_PREFIX_MAX)
            return RPC_FULL;
        h = arena_take(s->arena, sizeof *h);
        if (h == NULL)
            return RPC_FULL;
        memcpy(h->handle, q->handle, DHT_HANDLE_BYTES);
        if (map_put(&s->handles, &h->node, hash(s, q->handle, DHT_HANDLE_BYTES)) != 0) {
            arena_give(s->arena, h, sizeof *h);
            return RPC_FULL;
        }
    }
    uint16_t ttl_s = q->ttl_s > TTL_S_MAX ? TTL_S_MAX : q->ttl_s;
    memcpy(h->e, from->e, 32);
    set_end(&h->end, from, q->push_key);
    h->source = from->source;
    h->expires = now + ttl_s * USEC_PER_S;
    if (s->sweep_at == USEC_NEVER)
        s->sweep_at = now + INTRO_SWEEP_US;
    return RPC_OK;
}

static unsigned links_of(const struct intro *s, uint64_t source)
{
    unsigned n = 0;
    for (const struct intro_link *l = s->oldest; l != NULL; l = l->newer)
        n += l->source == source;
    return n;
}

static struct intro_link *make_link(struct intro *s, const struct intro_from *from,
                                    const struct wire_request *q)
{
    if (s->links.n >= INTRO_LINKS_MAX || links_of(s, from->source) >= INTRO_LINKS_PREFIX_MAX)
        return NULL;
    struct intro_link *l = arena_take(s->arena, sizeof *l);
    if (l == NULL)
        return NULL;
    if (map_put(&s->links, &l->node, link_hash(s, q)) != 0) {
        arena_give(s->arena, l, sizeof *l);
        return NULL;
    }
    memcpy(l->link, q->link, DHT_LINK_BYTES);
    memcpy(l->e, from->e, sizeof l->e);
    l->handle = hash(s, q->handle, DHT_HANDLE_BYTES);
    l->source = from->source;
    queue(s, l);
    return l;
}

// Of the last attender round trips, so that a stranger can't tell a handle that is gone.
static usec_t decoy_delay(const struct intro *s)
{
    uint32_t n = s->round_trips < INTRO_ROUND_TRIPS ? s->round_trips : INTRO_ROUND_TRIPS;
    if (n == 0)
        return rng_between(s->rng, INTRO_DECOY_MIN_US, INTRO_DECOY_MAX_US);
    return s->round_trip_us[rng_below(s->rng, n)];
}

// So many offers a second reach an attender, and fewer from one source. What is above is lost, as on the
// way: an error would tell that the handle exists.
static bool may_push(struct intro_handle *h, usec_t now, uint64_t source)
{
    uint32_t second = (uint32_t)(now / USEC_PER_S);
    uint16_t pusher = (uint16_t)(source >> 16);
    if (h->second != second) {
        h->second = second;
        h->pushes = h->source_pushes = 0;
    }
    if (h->source_pushes == 0)
        h->pusher = pusher;
    bool same = h->pusher == pusher;
    if (h->pushes >= INTRO_PUSHES_PER_S || (same && h->source_pushes >= INTRO_PUSHES_SOURCE_PER_S))
        return false;
    h->pushes++;
    h->source_pushes = (uint8_t)(same ? h->source_pushes + 1 : h->source_pushes - 1);
    return true;
}

enum rpc_status intro_introduce(struct intro *s, usec_t now, const struct intro_from *from,
                                const struct wire_request *q)
{
    struct intro_link *l = find_link(s, q);
    bool first = l == NULL;
    if (first)
        l = make_link(s, from, q);
    else if (memcmp(l->e, from->e, sizeof l->e) != 0)
        return RPC_OK; // somebody else's link: he must not learn that it exists
    if (l == NULL)
        return RPC_FULL;
    set_end(&l->end, from, q->push_key);
    l->expires = now + INTRO_LINK_US;
    unqueue(s, l);
    queue(s, l);
    struct intro_handle *h = find_handle(s, q->handle);
    if (h != NULL && h->expires > now) {
        if (first)
            l->pushed_at = now;
        if (may_push(h, now, from->source))
            push(s, &h->end, PUSH_OFFER, q->link, q->blob, q->blob_len);
    } else if (l->decoy_at == 0) {
        l->decoy_at = now + decoy_delay(s);
        if (l->decoy_at < s->decoy_next)
            s->decoy_next = l->decoy_at;
    }
    return RPC_OK;
}

enum rpc_status intro_relay_back(struct intro *s, usec_t now, const struct intro_from *from,
                                 const struct wire_request *q)
{
    struct intro_handle *h = find_handle(s, q->handle);
    if (h == NULL || h->expires <= now || sodium_memcmp(h->e, from->e, 32) != 0)
        return RPC_UNKNOWN;
    struct intro_link *l = find_link(s, q);
    if (l == NULL || l->expires <= now)
        return RPC_UNKNOWN;
    if (l->pushed_at != 0) {
        usec_t took = now - l->pushed_at;
        s->round_trip_us[s->round_trips++ % INTRO_ROUND_TRIPS] =
            took > USEC_PER_S ? (uint32_t)USEC_PER_S : (uint32_t)took;
        if (s->round_trips == 2 * INTRO_ROUND_TRIPS)
            s->round_trips = INTRO_ROUND_TRIPS;
        l->pushed_at = 0;
    }
    push(s, &l->end, PUSH_BACK, q->link, q->blob, q->blob_len);
    return RPC_OK;
}

// As an owner declines: a public key that nobody uses, and random bytes.
static void push_decoy(struct intro *s, struct intro_link *l)
{
    uint8_t blob[DHT_ANSWER_BYTES], seed[32], sk[32];
    rng_fill(s->rng, seed, sizeof seed);
    rng_fill(s->rng, blob, sizeof blob);
    key_pair(blob, sk, seed);
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(sk, sizeof sk);
    push(s, &l->end, PUSH_BACK, l->link, blob, sizeof blob);
    l->decoy_at = 0;
}

static void run_decoys(struct intro *s, usec_t now)
{
    s->decoy_next = USEC_NEVER;
    for (struct intro_link *l = s->oldest; l != NULL; l = l->newer) {
        if (l->decoy_at != 0 && l->decoy_at <= now)
            push_decoy(s, l);
        if (l->decoy_at != 0 && l->decoy_at < s->decoy_next)
            s->decoy_next = l->decoy_at;
    }
}

void intro_run(struct intro *s, usec_t now)
{
    if (s->decoy_next <= now)
        run_decoys(s, now);
    while (s->oldest != NULL && s->oldest->expires <= now)
        drop_link(s, s->oldest);
    if (s->sweep_at > now)
        return;
    for (uint32_t i = 0; i < s->handles.heads; i++)
        for (struct map_node *x = s->handles.head[i], *next; x != NULL; x = next) {
            next = x->next;
            if (((struct intro_handle *)x)->expires <= now)
                drop_handle(s, (struct intro_handle *)x);
        }
    s->sweep_at = s->handles.n > 0 ? now + INTRO_SWEEP_US : USEC_NEVER;
}

usec_t intro_deadline(const struct intro *s)
{
    usec_t at = s->decoy_next < s->sweep_at ? s->decoy_next : s->sweep_at;
    if (s->oldest != NULL && s->oldest->expires < at)
        at = s->oldest->expires;
    return at;
}
