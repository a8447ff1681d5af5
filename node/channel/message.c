#include "node/channel/message.h"

#include <sodium.h>

static bool get(const uint64_t *bits, unsigned i)
{
    return (bits[i / 64] >> (i % 64)) & 1;
}

// Sets or clears; returns by how much the number of set bits changed.
static unsigned put(uint64_t *bits, unsigned from, unsigned len, bool on)
{
    unsigned changed = 0;
    for (unsigned i = from; i < from + len; i++) {
        if (get(bits, i) == on)
            continue;
        bits[i / 64] ^= UINT64_C(1) << (i % 64);
        changed++;
    }
    return changed;
}

void chan_message_end(struct chan_message_out *m)
{
    uint8_t serial = m->serial;
    sodium_memzero(m, sizeof *m);
    m->serial = serial;
}

void chan_message_begin(struct chan_message_out *m, uint32_t step, uint8_t type, size_t len)
{
    assert(len > 0 && len <= CHAN_RATCHET_BYTES);
    memset(m->due, 0, sizeof m->due);
    memset(m->acked, 0, sizeof m->acked);
    sodium_memzero(m->data + len, CHAN_RATCHET_BYTES - len);
    m->step = step;
    m->type = type;
    m->serial++;
    m->len = (uint16_t)len;
    m->acked_bytes = 0;
    m->due_bytes = (uint16_t)put(m->due, 0, (unsigned)len, true);
}

bool chan_message_take(struct chan_message_out *m, size_t len_max, uint16_t *offset, uint16_t *len)
{
    if (m->due_bytes == 0 || len_max == 0)
        return false;
    unsigned at = 0, n = 0;
    while (!get(m->due, at))
        at++;
    while (at + n < m->len && n < len_max && get(m->due, at + n))
        n++;
    m->due_bytes = (uint16_t)(m->due_bytes - put(m->due, at, n, false));
    *offset = (uint16_t)at;
    *len = (uint16_t)n;
    return true;
}

void chan_message_acked(struct chan_message_out *m, uint8_t serial, uint16_t offset, uint16_t len)
{
    if (serial != m->serial || m->len == 0)
        return;
    m->acked_bytes = (uint16_t)(m->acked_bytes + put(m->acked, offset, len, true));
    m->due_bytes = (uint16_t)(m->due_bytes - put(m->due, offset, len, false));
    if (m->acked_bytes == m->len)
        chan_message_end(m);
}

void chan_message_lost(struct chan_message_out *m, uint8_t serial, uint16_t offset, uint16_t len)
{
    if (serial != m->serial || m->len == 0)
        return;
    for (unsigned i = offset; i < (unsigned)offset + len; i++)
        if (!get(m->acked, i))
            m->due_bytes = (uint16_t)(m->due_bytes + put(m->due, i, 1, true));
}

int chan_message_put(struct chan_message_in *m, const struct chan_frame *f, size_t total)
{
    if (f->len == 0 || f->offset + f->len > total)
        return BAUTA_EFORMAT;
    memcpy(m->data + f->offset, f->data, f->len);
    m->have_bytes =
        (uint16_t)(m->have_bytes + put(m->have, (unsigned)f->offset, (unsigned)f->len, true));
    return m->have_bytes == total;
}

void chan_message_clear(struct chan_message_in *m)
{
    sodium_memzero(m, sizeof *m);
}
