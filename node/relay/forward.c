// Datagrams on their way through: out of a client's channel to its exit, and from there back into the channel. One copy
// each; what goes to one address in a row leaves as one send.
#include "node/relay/internal.h"

static bool egress_ready(struct relay *r)
{
    struct egress *e = &r->egress;
    if (e->data == NULL)
        e->data = arena_take(r->cfg.arena, RELAY_EGRESS_BYTES);
    if (e->batch == NULL)
        e->batch = arena_take(r->cfg.arena, RELAY_EGRESS_BATCHES * sizeof *e->batch);
    return e->data != NULL && e->batch != NULL;
}

void relay_egress_free(struct relay *r)
{
    struct egress *e = &r->egress;
    arena_give(r->cfg.arena, e->data, RELAY_EGRESS_BYTES);
    arena_give(r->cfg.arena, e->batch, RELAY_EGRESS_BATCHES * sizeof *e->batch);
    *e = (struct egress){0};
}

// The last send, where this datagram may follow in it.
static struct batch *grows(const struct egress *e, const struct path *to, size_t len)
{
    struct batch *b = e->count > e->taken ? &e->batch[e->count - 1] : NULL;
    bool more = b != NULL && path_equal(&b->path, to) && len <= b->seg_size &&
                b->len == (uint32_t)b->count * b->seg_size && b->count < BATCH_SEGMENTS_MAX &&
                b->len + len <= BATCH_BYTES_MAX;
    return more ? b : NULL;
}

void relay_send(struct relay *r, struct relay_client *c, const struct path *to, const uint8_t *data,
                size_t len)
{
    struct egress *e = &r->egress;
    struct path path = *to;
    path.via = c->via;
    if (!egress_ready(r) || RELAY_EGRESS_BYTES - e->used < len) {
        r->count.dropped_queue++;
        return;
    }
    struct batch *b = grows(e, &path, len);
    if (b == NULL && e->count == RELAY_EGRESS_BATCHES) {
        r->count.dropped_queue++;
        return;
    }
    memcpy(e->data + e->used, data, len);
    if (b == NULL) {
        b = &e->batch[e->count++];
        *b = (struct batch){.path = path, .seg_size = (uint16_t)len, .data = e->data + e->used};
    }
    b->count++;
    b->len += (uint32_t)len;
    e->used += (uint32_t)len;
    c->exit_used = true;
}

// Of its own rate, of all clients', of the month's.
static bool may_forward(struct relay *r, usec_t now, struct relay_client *c, size_t len)
{
    uint64_t own = r->cfg.client_Bps, all = r->cfg.total_Bps, burst = RELAY_BURST_BYTES_MIN;
    uint64_t *left = &r->count.volume_left_bytes;
    if (*left != UINT64_MAX && *left < len) {
        if (r->drain_at == USEC_NEVER) {
            relay_drain(r, now, RELAY_DRAIN_S);
            r->used_up = true;
        }
        r->count.dropped_rate++;
        return false;
    }
    if (!allowance_take(&c->bytes, now, own, own / 4 > burst ? own / 4 : burst, len) ||
        !allowance_take(&r->total, now, all, all / 4 > burst ? all / 4 : burst, len)) {
        r->count.dropped_rate++;
        return false;
    }
    if (*left != UINT64_MAX)
        *left -= len;
    return true;
}

void relay_from_client(struct relay *r, usec_t now, struct relay_client *c, const uint8_t *data,
                       size_t len)
{
    struct rd rd = rd_init(data, len);
    struct relay_head head;
    if (relay_head_get(&rd, &head) != 0 || rd.left < DATAGRAM_BYTES_MIN ||
        rd.left > CHANNEL_PACKET_BYTES_MAX) {
        r->count.dropped_format++;
        return;
    }
    if (!c->reserved || !may_forward(r, now, c, rd.left))
        return;
    struct permit *p = permit_find(r, now, c, &head.path);
    if (p == NULL && head.server != NULL) {
        permit_ask(r, now, c, &head, rd.p, rd.left);
        return;
    }
    if (p == NULL) {
        r->count.dropped_unknown++;
        return;
    }
    if (!p->peer &&
        !allowance_take(&p->allowance, now, RELAY_SERVER_BPS, RELAY_SERVER_BURST_BYTES, rd.left)) {
        r->count.dropped_rate++;
        return;
    }
    r->count.forwarded_out++;
    r->count.forwarded_out_bytes += rd.left;
    relay_send(r, c, &head.path, rd.p, rd.left);
}

void relay_exit_receive(struct relay *r, usec_t now, const struct path *from, uint8_t *data,
                        size_t len)
{
    struct relay_client *c = relay_client_of_via(r, from->via);
    struct relay_head head = {.path = *from};
    head.path.via = VIA_UDP;
    if (c == NULL || c->closing || len < DATAGRAM_BYTES_MIN || len > CHANNEL_PACKET_BYTES_MAX) {
        r->count.dropped_unknown++;
        return;
    }
    if (peer_consent(r, now, c, &head.path, data, len))
        return;
    struct permit *p = permit_find(r, now, c, &head.path);
    if (p == NULL) {
        peer_stranger(r, now, c, &head.path, len);
        return;
    }
    if (!may_forward(r, now, c, len))
        return;
    p->until = now + RELAY_PERMIT_US;
    uint64_t credit = p->allowance.left + 2 * len;
    p->allowance.left = credit > RELAY_SERVER_CREDIT_MAX ? RELAY_SERVER_CREDIT_MAX : credit;
    if (relay_parts_put(c->channel, &head, data, len, &c->part_id) != 0) {
        r->count.dropped_queue++;
        return;
    }
    r->count.forwarded_in++;
    r->count.forwarded_in_bytes += len;
    relay_touch(r, c);
}
