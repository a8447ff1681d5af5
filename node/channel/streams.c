#include "node/channel/streams.h"

void chan_streams_init(struct chan_streams *s, struct arena *a, uint32_t receive_bytes)
{
    memset(s, 0, sizeof *s);
    s->arena = a;
    s->bulk = (uint8_t)~1u;
    s->limit = CHAN_CREDIT_INITIAL;
    s->unsent_bytes = CHAN_UNSENT_BYTES_MIN;
    chan_credit_init(&s->credit, receive_bytes);
    // The channel has room for more than a stream: one that is not read can't stop the others.
    chan_credit_widen(&s->credit, 2 * CHAN_CREDIT_INITIAL);
    for (unsigned i = 0; i < CHANNEL_STREAMS_MAX; i++) {
        s->stream[i].limit = CHAN_CREDIT_INITIAL;
        chan_credit_init(&s->stream[i].credit, receive_bytes / 8 * 7);
    }
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

void chan_streams_class(struct chan_streams *s, unsigned i, enum channel_class class)
{
    set_bit(&s->bulk, i, class == CHANNEL_BULK);
}

static void update(struct chan_streams *s, unsigned i)
{
    const struct chan_stream *st = &s->stream[i];
    set_bit(&s->lost, i, st->lost.count > 0);
    set_bit(&s->sendable, i, st->next < st->end && st->next < st->limit);
}

// ---- out --------------------------------------------------------------------------------------------
// What is left of the arena for a stream: bulk leaves the last of it to text.
static size_t memory_left(const struct chan_streams *s, unsigned i)
{
    size_t left = s->arena->cap_bytes - s->arena->used_bytes;
    size_t keep = s->bulk & 1u << i ? CHAN_TEXT_MEMORY_BYTES : 0;
    return left > keep ? left - keep : 0;
}

void chan_streams_keep_ready(struct chan_streams *s, uint64_t cwnd_bytes)
{
    s->unsent_bytes = cwnd_bytes < CHAN_UNSENT_BYTES_MIN ? CHAN_UNSENT_BYTES_MIN
                      : cwnd_bytes > CHAN_SEND_BYTES     ? CHAN_SEND_BYTES
                                                         : (uint32_t)cwnd_bytes;
}

static uint64_t send_room(const struct chan_streams *s, const struct chan_stream *st)
{
    uint64_t held = st->end - st->acked, unsent = st->end - st->next;
    uint64_t room = CHAN_SEND_BYTES - held;
    if (unsent >= s->unsent_bytes)
        return 0;
    return room < s->unsent_bytes - unsent ? room : s->unsent_bytes - unsent;
}

size_t chan_streams_write(struct chan_streams *s, unsigned i, const uint8_t *data, size_t len)
{
    struct chan_stream *st = &s->stream[i];
    uint64_t room = send_room(s, st);
    if (room > CHAN_OFFSET_MAX - st->end)
        room = CHAN_OFFSET_MAX - st->end;
    size_t want = len < room ? len : (size_t)room, left = memory_left(s, i);
    size_t done = chan_blocks_write(&st->out, s->arena, st->end, data, want < left ? want : left);
    st->end += done;
    if (done < len)
        set_bit(&s->wants_room, i, true);
    if (done < want)
        s->starved = true;
    update(s, i);
    return done;
}

static void take_lost(struct chan_streams *s, unsigned i, size_t len_max, struct chan_chunk *chunk)
{
    struct chan_stream *st = &s->stream[i];
    struct chan_range r = chan_ranges_at(&st->lost)[0];
    uint64_t len = r.hi - r.lo < len_max ? r.hi - r.lo : len_max;
    *chunk = (struct chan_chunk){r.lo, (uint16_t)len, (uint8_t)i};
    chan_ranges_cut(&st->lost, s->arena, r.lo, r.lo + len);
}

static void take_new(struct chan_streams *s, unsigned i, size_t len_max, struct chan_chunk *chunk)
{
    struct chan_stream *st = &s->stream[i];
    uint64_t end = st->end < st->limit ? st->end : st->limit;
    uint64_t credit = s->limit - s->sent;
    if (s->bulk & 1u << i)
        credit -= CHAN_TEXT_SHARE_BYTES;
    uint64_t len = end - st->next < len_max ? end - st->next : len_max;
    if (len > credit)
        len = credit;
    *chunk = (struct chan_chunk){st->next, (uint16_t)len, (uint8_t)i};
    st->next += len;
    s->sent += len;
}

static void offer_room(struct chan_streams *s, unsigned i)
{
    const struct chan_stream *st = &s->stream[i];
    if ((s->wants_room & 1u << i) && st->end - st->acked <= CHAN_SEND_BYTES / 4 * 3 &&
        st->end - st->next <= s->unsent_bytes / 2) {
        set_bit(&s->wants_room, i, false);
        set_bit(&s->writable, i, true);
    }
}

bool chan_streams_take(struct chan_streams *s, uint8_t from, size_t len_max,
                       struct chan_chunk *chunk)
{
    from &= chan_streams_ready(s);
    if (len_max == 0 || from == 0)
        return false;
    bool bulk = (from & ~s->bulk) == 0;
    if (!bulk)
        from = (uint8_t)(from & ~s->bulk);
    bool again = (from & s->lost) != 0;
    if (again)
        from &= s->lost;
    unsigned i = s->turn[bulk];
    while (!(from & 1u << i))
        i = (i + 1) % CHANNEL_STREAMS_MAX;
    if (again)
        take_lost(s, i, len_max, chunk);
    else
        take_new(s, i, len_max, chunk);
    offer_room(s, i);
    s->turn[bulk] = (uint8_t)((i + 1) % CHANNEL_STREAMS_MAX);
    update(s, i);
    return true;
}

void chan_streams_copy(const struct chan_streams *s, const struct chan_chunk *chunk, uint8_t *dst)
{
    chan_blocks_read(&s->stream[chunk->stream].out, chunk->offset, dst, chunk->len);
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

bool chan_streams_pending(const struct chan_streams *s, uint8_t mask)
{
    for (unsigned i = 0; i < CHANNEL_STREAMS_MAX; i++)
        if ((mask & 1u << i) && s->stream[i].acked < s->stream[i].end)
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
// Marks credit that is worth telling. An idle conversation needs no more than the first.
static void look_at_credit(struct chan_streams *s, unsigned i)
{
    if (s->credit.received <= CHAN_CREDIT_QUIET)
        return;
    if (chan_credit_due(&s->stream[i].credit))
        s->credit_due = (uint16_t)(s->credit_due | 1u << i);
    if (chan_credit_due(&s->credit))
        s->credit_due |= CHAN_CREDIT_OF_CHANNEL;
}

size_t chan_streams_read(struct chan_streams *s, unsigned i, uint8_t *buf, size_t cap)
{
    struct chan_stream *st = &s->stream[i];
    uint64_t have = st->contig - st->credit.read;
    size_t n = have < cap ? (size_t)have : cap;
    if (n == 0)
        return 0;
    chan_blocks_read(&st->in, st->credit.read, buf, n);
    st->credit.read += n;
    s->credit.read += n;
    chan_blocks_release(&st->in, s->arena, st->credit.read, st->credit.read == st->credit.received);
    look_at_credit(s, i);
    return n;
}

// Copies [lo, hi) in. False: no memory.
static bool keep(struct chan_streams *s, unsigned i, uint64_t lo, uint64_t hi, const uint8_t *data)
{
    struct chan_stream *st = &s->stream[i];
    size_t len = (size_t)(hi - lo);
    bool in_order = lo == st->contig && st->ahead.count == 0;
    if (memory_left(s, i) < len || (!in_order && !chan_ranges_add(&st->ahead, s->arena, lo, hi)))
        return false;
    if (chan_blocks_write(&st->in, s->arena, lo, data, len) < len) {
        // Bytes that were there before are the same bytes; what is unknown now comes again.
        if (!in_order)
            chan_ranges_cut(&st->ahead, s->arena, lo, hi);
        return false;
    }
    if (in_order)
        st->contig = hi;
    while (st->ahead.count > 0 && chan_ranges_at(&st->ahead)[0].lo <= st->contig) {
        struct chan_range r = chan_ranges_at(&st->ahead)[0];
        st->contig = r.hi;
        chan_ranges_cut(&st->ahead, s->arena, r.lo, r.hi);
    }
    return true;
}

int chan_streams_on_data(struct chan_streams *s, usec_t now, usec_t rtt_us,
                         const struct chan_frame *f)
{
    if (f->stream >= CHANNEL_STREAMS_MAX)
        return BAUTA_EFORMAT;
    struct chan_stream *st = &s->stream[f->stream];
    uint64_t lo = f->offset, hi = lo + f->len, before = st->contig;
    uint64_t more = hi > st->credit.received ? hi - st->credit.received : 0;
    if (hi > st->credit.advertised || s->credit.received + more > s->credit.advertised)
        return BAUTA_ELIMIT;
    if (lo < before)
        lo = before;
    if (lo >= hi)
        return 0;
    if (!keep(s, f->stream, lo, hi, f->data + (lo - f->offset)))
        return BAUTA_ESPACE;
    if (more > 0 && before == st->credit.read) {
        chan_credit_grow(&st->credit, now, rtt_us, more);
        chan_credit_grow(&s->credit, now, rtt_us, more);
        chan_credit_widen(&s->credit, 2 * st->credit.window_bytes);
    }
    st->credit.received += more;
    s->credit.received += more;
    if (st->contig > before)
        set_bit(&s->readable, f->stream, true);
    look_at_credit(s, f->stream);
    return 0;
}

uint16_t chan_streams_put_credit(struct chan_streams *s, uint16_t mask, struct wr *w)
{
    uint16_t done = 0;
    mask &= s->credit_due;
    for (unsigned i = 0; mask >> i != 0; i++) {
        if (!(mask & 1u << i) || w->left < CHAN_MAX_DATA_BYTES)
            continue;
        bool whole = i == CHANNEL_STREAMS_MAX;
        chan_wire_max_data(w, whole ? CHAN_WHOLE_CHANNEL : (uint8_t)i,
                           chan_credit_offer(whole ? &s->credit : &s->stream[i].credit));
        done = (uint16_t)(done | 1u << i);
    }
    s->credit_due = (uint16_t)(s->credit_due & ~done);
    return done;
}

void chan_streams_credit_lost(struct chan_streams *s, uint16_t mask)
{
    s->credit_due = (uint16_t)(s->credit_due | mask);
}
