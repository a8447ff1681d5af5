#include "node/channel/streams.h"

#define CHANNEL_BIT (1u << CHANNEL_STREAMS_MAX) // in credit masks

void chan_streams_init(struct chan_streams *s, struct arena *a, uint32_t window_bytes)
{
    memset(s, 0, sizeof *s);
    s->arena = a;
    s->window_bytes = window_bytes;
    s->limit = s->advertised = CHAN_CREDIT_INITIAL;
    for (unsigned i = 0; i < CHANNEL_STREAMS_MAX; i++)
        s->stream[i].limit = s->stream[i].advertised = CHAN_CREDIT_INITIAL;
}

void chan_streams_free(struct chan_streams *s)
{
    for (unsigned i = 0; i < CHANNEL_STREAMS_MAX; i++) {
        struct chan_stream *st = &s->stream[i];
        chan_blocks_free(&st->out, s->arena);
        chan_blocks_free(&st->in, s->arena);
        chan_ranges_free(&st->lost, s->arena);
        chan_ranges_free(&st->sacked, s->arena);
        chan_ranges_free(&st->ahead, s->arena);
    }
}

static void set_bit(uint8_t *mask, unsigned i, bool on)
{
    *mask = (uint8_t)(on ? *mask | 1u << i : *mask & ~(1u << i));
}

static void update(struct chan_streams *s, unsigned i)
{
    const struct chan_stream *st = &s->stream[i];
    set_bit(&s->lost, i, st->lost.count > 0);
    set_bit(&s->sendable, i, st->next < st->end && st->next < st->limit);
}

// ---- out --------------------------------------------------------------------------------------------
size_t chan_streams_write(struct chan_streams *s, unsigned i, const uint8_t *data, size_t len)
{
    struct chan_stream *st = &s->stream[i];
    uint64_t room = CHAN_SEND_BYTES - (st->end - st->acked);
    if (room > CHAN_OFFSET_MAX - st->end)
        room = CHAN_OFFSET_MAX - st->end;
    size_t want = len < room ? len : (size_t)room;
    size_t done = chan_blocks_write(&st->out, s->arena, st->end, data, want);
    st->end += done;
    if (done < len)
        set_bit(&s->wants_room, i, true);
    if (done < want)
        s->starved = true;
    update(s, i);
    return done;
}

static bool take_lost(struct chan_streams *s, unsigned i, size_t len_max, struct chan_chunk *chunk)
{
    struct chan_stream *st = &s->stream[i];
    if (st->lost.count == 0)
        return false;
    struct chan_range r = chan_ranges_at(&st->lost)[0];
    uint64_t len = r.hi - r.lo < len_max ? r.hi - r.lo : len_max;
    *chunk = (struct chan_chunk){r.lo, (uint16_t)len, (uint8_t)i};
    chan_ranges_cut(&st->lost, s->arena, r.lo, r.lo + len);
    update(s, i);
    return true;
}

bool chan_streams_take(struct chan_streams *s, size_t len_max, struct chan_chunk *chunk)
{
    if (len_max == 0 || !chan_streams_ready(s))
        return false;
    for (unsigned n = 0; s->lost != 0 && n < CHANNEL_STREAMS_MAX; n++) {
        unsigned i = (s->turn + n) % CHANNEL_STREAMS_MAX;
        if (take_lost(s, i, len_max, chunk)) {
            s->turn = (uint8_t)((i + 1) % CHANNEL_STREAMS_MAX);
            return true;
        }
    }
    for (unsigned n = 0; n < CHANNEL_STREAMS_MAX; n++) {
        unsigned i = (s->turn + n) % CHANNEL_STREAMS_MAX;
        if (!(s->sendable & 1u << i) || s->sent >= s->limit)
            continue;
        struct chan_stream *st = &s->stream[i];
        uint64_t end = st->end < st->limit ? st->end : st->limit;
        uint64_t len = end - st->next < len_max ? end - st->next : len_max;
        if (len > s->limit - s->sent)
            len = s->limit - s->sent;
        *chunk = (struct chan_chunk){st->next, (uint16_t)len, (uint8_t)i};
        st->next += len;
        s->sent += len;
        s->turn = (uint8_t)((i + 1) % CHANNEL_STREAMS_MAX);
        update(s, i);
        return true;
    }
    return false;
}

void chan_streams_copy(const struct chan_streams *s, const struct chan_chunk *chunk, uint8_t *dst)
{
    chan_blocks_read(&s->stream[chunk->stream].out, chunk->offset, dst, chunk->len);
}

static void offer_room(struct chan_streams *s, unsigned i)
{
    const struct chan_stream *st = &s->stream[i];
    if ((s->wants_room & 1u << i) && st->end - st->acked <= CHAN_SEND_BYTES / 4 * 3) {
        set_bit(&s->wants_room, i, false);
        set_bit(&s->writable, i, true);
    }
}

void chan_streams_acked(struct chan_streams *s, const struct chan_chunk *chunk)
{
    struct chan_stream *st = &s->stream[chunk->stream];
    uint64_t lo = chunk->offset, hi = lo + chunk->len;
    if (lo < st->acked)
        lo = st->acked;
    if (lo >= hi)
        return;
    if (st->lost.count > 0)
        chan_ranges_cut(&st->lost, s->arena, lo, hi);
    if (lo > st->acked) {
        if (!chan_ranges_add(&st->sacked, s->arena, lo, hi))
            chan_ranges_cover(&st->lost, s->arena, lo, hi); // no room to remember it: send it again
        update(s, chunk->stream);
        return;
    }
    st->acked = hi;
    while (st->sacked.count > 0 && chan_ranges_at(&st->sacked)[0].lo <= st->acked) {
        struct chan_range r = chan_ranges_at(&st->sacked)[0];
        if (r.hi > st->acked)
            st->acked = r.hi;
        chan_ranges_cut(&st->sacked, s->arena, r.lo, r.hi);
    }
    if (st->lost.count > 0 && chan_ranges_at(&st->lost)[0].lo < st->acked)
        chan_ranges_cut(&st->lost, s->arena, chan_ranges_at(&st->lost)[0].lo, st->acked);
    chan_blocks_release(&st->out, s->arena, st->acked, st->acked == st->end);
    offer_room(s, chunk->stream);
    update(s, chunk->stream);
}

void chan_streams_lost(struct chan_streams *s, const struct chan_chunk *chunk)
{
    struct chan_stream *st = &s->stream[chunk->stream];
    uint64_t lo = chunk->offset, hi = lo + chunk->len;
    if (lo < st->acked)
        lo = st->acked;
    if (lo >= hi)
        return;
    chan_ranges_cover(&st->lost, s->arena, lo, hi);
    const struct chan_range *known = chan_ranges_at(&st->sacked);
    for (uint16_t i = 0; i < st->sacked.count && st->lost.count > 0; i++)
        if (known[i].lo < hi && known[i].hi > lo)
            chan_ranges_cut(&st->lost, s->arena, known[i].lo, known[i].hi);
    update(s, chunk->stream);
}

bool chan_streams_pending(const struct chan_streams *s)
{
    for (unsigned i = 0; i < CHANNEL_STREAMS_MAX; i++)
        if (s->stream[i].acked < s->stream[i].end)
            return true;
    return false;
}

int chan_streams_on_max_data(struct chan_streams *s, const struct chan_frame *f)
{
    if (f->stream == CHAN_WHOLE_CHANNEL) {
        if (f->offset > s->limit)
            s->limit = f->offset;
        return 0;
    }
    if (f->stream >= CHANNEL_STREAMS_MAX)
        return BAUTA_EFORMAT;
    if (f->offset > s->stream[f->stream].limit)
        s->stream[f->stream].limit = f->offset;
    update(s, f->stream);
    return 0;
}

// ---- in ---------------------------------------------------------------------------------------------
// Half of the memory for one stream: one that is not read can't stop the others.
static uint64_t stream_window(const struct chan_streams *s)
{
    uint64_t half = s->window_bytes / 2;
    return half > CHAN_CREDIT_INITIAL ? half : CHAN_CREDIT_INITIAL;
}

// Marks credit that has grown by a quarter of its window.
static void look_at_credit(struct chan_streams *s, unsigned i)
{
    const struct chan_stream *st = &s->stream[i];
    if (st->read + stream_window(s) >= st->advertised + stream_window(s) / 4)
        s->credit_due = (uint16_t)(s->credit_due | 1u << i);
    if (s->read + s->window_bytes >= s->advertised + s->window_bytes / 4)
        s->credit_due = (uint16_t)(s->credit_due | CHANNEL_BIT);
}

size_t chan_streams_read(struct chan_streams *s, unsigned i, uint8_t *buf, size_t cap)
{
    struct chan_stream *st = &s->stream[i];
    uint64_t have = st->contig - st->read;
    size_t n = have < cap ? (size_t)have : cap;
    if (n == 0)
        return 0;
    chan_blocks_read(&st->in, st->read, buf, n);
    st->read += n;
    s->read += n;
    chan_blocks_release(&st->in, s->arena, st->read, st->read == st->highest);
    look_at_credit(s, i);
    return n;
}

int chan_streams_on_data(struct chan_streams *s, const struct chan_frame *f)
{
    if (f->stream >= CHANNEL_STREAMS_MAX)
        return BAUTA_EFORMAT;
    struct chan_stream *st = &s->stream[f->stream];
    uint64_t lo = f->offset, hi = lo + f->len;
    uint64_t more = hi > st->highest ? hi - st->highest : 0;
    if (hi > st->advertised || s->received + more > s->advertised)
        return BAUTA_ELIMIT;
    if (lo < st->contig)
        lo = st->contig;
    if (lo >= hi)
        return 0;
    const uint8_t *data = f->data + (lo - f->offset);
    size_t len = (size_t)(hi - lo);
    bool in_order = lo == st->contig && st->ahead.count == 0;
    if (!in_order && !chan_ranges_add(&st->ahead, s->arena, lo, hi))
        return BAUTA_ESPACE;
    if (chan_blocks_write(&st->in, s->arena, lo, data, len) < len) {
        // Bytes that were there before are the same bytes; what is unknown now comes again.
        if (!in_order)
            chan_ranges_cut(&st->ahead, s->arena, lo, hi);
        return BAUTA_ESPACE;
    }
    if (more > 0) {
        st->highest = hi;
        s->received += more;
    }
    uint64_t before = st->contig;
    if (in_order) {
        st->contig = hi;
    } else {
        while (st->ahead.count > 0 && chan_ranges_at(&st->ahead)[0].lo <= st->contig) {
            struct chan_range r = chan_ranges_at(&st->ahead)[0];
            st->contig = r.hi;
            chan_ranges_cut(&st->ahead, s->arena, r.lo, r.hi);
        }
    }
    if (st->contig > before)
        set_bit(&s->readable, f->stream, true);
    if (s->received >
        CHAN_CREDIT_INITIAL / 2) // an idle conversation needs no more than the first credit
        look_at_credit(s, f->stream);
    return 0;
}

uint16_t chan_streams_put_credit(struct chan_streams *s, struct wr *w)
{
    uint16_t done = 0;
    for (unsigned i = 0; s->credit_due != 0 && i <= CHANNEL_STREAMS_MAX; i++) {
        if (!(s->credit_due & 1u << i) || w->left < CHAN_MAX_DATA_BYTES)
            continue;
        if (i < CHANNEL_STREAMS_MAX) {
            struct chan_stream *st = &s->stream[i];
            uint64_t limit = st->read + stream_window(s);
            if (limit > st->advertised)
                st->advertised = limit < CHAN_OFFSET_MAX ? limit : CHAN_OFFSET_MAX;
            chan_wire_max_data(w, (uint8_t)i, st->advertised);
        } else {
            uint64_t limit = s->read + s->window_bytes;
            if (limit > s->advertised)
                s->advertised = limit < CHAN_OFFSET_MAX ? limit : CHAN_OFFSET_MAX;
            chan_wire_max_data(w, CHAN_WHOLE_CHANNEL, s->advertised);
        }
        done = (uint16_t)(done | 1u << i);
        s->credit_due = (uint16_t)(s->credit_due & ~(1u << i));
    }
    return done;
}

void chan_streams_credit_lost(struct chan_streams *s, uint16_t mask)
{
    s->credit_due = (uint16_t)(s->credit_due | mask);
}
