#include "node/channel/reunion.h"

#include "node/channel/internal.h"

int chan_reunion_set(struct chan_reunion *r, const uint8_t *data, size_t len)
{
    if (len == 0 || len > CHANNEL_MEETING_BYTES_MAX || r->version == UINT16_MAX)
        return BAUTA_ELIMIT;
    memcpy(r->point, data, len);
    r->point_len = (uint8_t)len;
    r->version++;
    r->due = true;
    return 0;
}

uint16_t chan_reunion_put(struct chan_reunion *r, struct wr *w)
{
    if (!r->due || w->left < CHAN_MEETING_HEADER_BYTES + (size_t)r->point_len)
        return 0;
    chan_wire_meeting(w, r->version, r->point, r->point_len);
    r->due = false;
    return r->version;
}

void chan_reunion_acked(struct chan_reunion *r, uint16_t version)
{
    if (version > r->acked)
        r->acked = version;
}

void chan_reunion_lost(struct chan_reunion *r, uint16_t version)
{
    if (version != 0 && version == r->version && r->acked < version)
        r->due = true;
}

int chan_reunion_frame(struct chan_reunion *r, const struct chan_frame *f)
{
    if (f->type == CHAN_REUNION) {
        memcpy(r->note, f->data, f->len);
        r->note_len = (uint8_t)f->len;
        return 0;
    }
    if (f->offset <= r->peer_version)
        return 0; // overtaken by a newer one
    r->peer_version = (uint16_t)f->offset;
    memcpy(r->peer, f->data, f->len);
    r->peer_len = (uint8_t)f->len;
    r->tell_peer = true;
    return 0;
}

// ---- the channel's side -----------------------------------------------------------------------------
int channel_meeting(struct channel *c, const uint8_t *data, size_t len)
{
    if (!c->matched || c->state != CHAN_OPEN)
        return BAUTA_ESTATE;
    return chan_reunion_set(&c->reunion, data, len);
}

bool channel_meeting_told(const struct channel *c)
{
    return c->reunion.acked == c->reunion.version;
}

int channel_reunion_seal(struct channel *c, usec_t now, const uint8_t *data, size_t len,
                         uint8_t *packet, size_t size)
{
    size_t around = PACKET_HEADER_BYTES + packet_tag_bytes(c->aead);
    if (!c->matched || !chan_alive(c))
        return BAUTA_ESTATE;
    if (len > CHANNEL_REUNION_BYTES_MAX || size < around + CHAN_REUNION_HEADER_BYTES + len)
        return BAUTA_ELIMIT;
    if (!chan_recovery_room(&c->recovery, c->arena))
        return BAUTA_ESPACE;
    struct wr w = wr_init(packet + PACKET_HEADER_BYTES, size - around);
    chan_wire_reunion(&w, data, len);
    wr_zero(&w, w.left);
    uint64_t pn = c->recovery.next | (uint64_t)c->keys.out_phase << CHAN_PN_BITS;
    packet_seal(packet, size - around, &c->keys.out, pn, c->keys.out_cid, c->remote_mask);
    // Nobody acknowledges it, and it is in nobody's flight.
    struct chan_sent s = {.bytes = 0};
    chan_recovery_sent(&c->recovery, now, &s);
    return 0;
}

int channel_reunion_open(struct channel *c, usec_t now, const uint8_t cid[static CID_BYTES],
                         unsigned phase, uint8_t *packet, size_t size, uint8_t *data, size_t *len)
{
    static const struct path nowhere = {0};
    c->reunion.note_len = 0;
    int rc = channel_receive(c, now, cid, phase, &nowhere, 0, packet, size);
    if (rc != 0)
        return rc;
    if (c->reunion.note_len == 0)
        return BAUTA_EFORMAT;
    if (c->reunion.lost)
        c->reunion.patient = true;
    *len = c->reunion.note_len;
    memcpy(data, c->reunion.note, *len);
    return 0;
}

void channel_candidates(struct channel *c, usec_t now, const struct path *path, size_t n)
{
    if (chan_alive(c))
        chan_paths_candidates(&c->paths, now, path, n, c->recovery.srtt_us / 2);
}

void channel_moved(struct channel *c, usec_t now)
{
    if (!c->matched || c->state != CHAN_OPEN)
        return;
    c->reunion.patient = true;
    c->ping_due = true;
    chan_own_move(c);
    chan_paths_restart(&c->paths, now, c->recovery.srtt_us);
}

// A probe timeout begins anew with each packet that is sent, so who talks all the time would never see two: what
// counts is how long nothing was answered.
usec_t chan_lost_at(const struct channel *c)
{
    if (c->reunion.lost || !c->matched || c->state != CHAN_OPEN ||
        c->recovery.unanswered_at == USEC_NEVER)
        return USEC_NEVER;
    usec_t wait = 3 * chan_recovery_pto(&c->recovery);
    return c->recovery.unanswered_at + (wait > CHAN_LOST_US ? wait : CHAN_LOST_US);
}

void chan_lost(struct channel *c, usec_t now)
{
    struct chan_reunion *r = &c->reunion;
    r->lost = r->tell_lost = true;
    r->unanswered_at = c->recovery.unanswered_at;
    chan_silence_lost(c);
    chan_paths_restart(&c->paths, now, c->recovery.srtt_us);
}

void chan_found(struct channel *c)
{
    struct chan_reunion *r = &c->reunion;
    bool waits = c->ping_due || c->recovery.unanswered_at != USEC_NEVER;
    if (r->lost ? c->recovery.unanswered_at == r->unanswered_at : waits)
        return;
    if (r->lost && !r->tell_lost)
        r->tell_found = true;
    if (r->lost)
        chan_silence_found(c);
    r->lost = r->patient = r->tell_lost = false;
}
