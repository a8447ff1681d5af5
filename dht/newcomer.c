// Newcomers: pinged at the address that they are seen at, or told to have, before they count.
#include "crypto/bytes.h"
#include "dht/internal.h"

static bool being_verified(const struct dht *d, book_ref ref)
{
    for (const struct call *x = d->calls; x != NULL; x = x->next)
        if (x->owner_kind == CALL_VERIFY && !x->failed && x->ref == ref)
            return true;
    return false;
}

bool newcomer_wanted(struct dht *d, const struct contact *c)
{
    if (!dht_contact_ok(d, c, true))
        return false;
    struct table *t = upkeep_table(d, c->path.family);
    book_ref ref = t == NULL ? 0 : dht_hold(d, c);
    if (ref == 0)
        return false;
    bool wanted = !table_has(t, ref) && !being_verified(d, ref) &&
                  table_wants(t, dht_entry(d, ref)->id, &c->path);
    book_drop(d->config.book, ref);
    return wanted;
}

// Where round trips are short those that are pinged at the same time are no limit.
static bool may_verify(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    uint32_t second = (uint32_t)(d->now / USEC_PER_S);
    if (u->verified_in != second)
        u->verified = 0;
    u->verified_in = second;
    return u->verified < VERIFY_UNPROVEN_PER_S;
}

void newcomer_try(struct dht *d, const struct contact *c, bool proven)
{
    unsigned max = proven ? VERIFY_MAX : VERIFY_UNPROVEN_MAX;
    if (d->upkeep.verifying >= max || (!proven && !may_verify(d)) || !newcomer_wanted(d, c))
        return;
    d->upkeep.verified += !proven;
    book_ref ref = dht_hold(d, c);
    if (ref != 0)
        upkeep_ping(d, ref, CALL_VERIFY, proven ? 0 : 1);
    book_drop(d->config.book, ref);
}

void upkeep_candidate(struct dht *d, const struct path *from, const struct wire_request *q,
                      bool proven)
{
    struct contact c;
    if (from->via != VIA_UDP) // nobody else would reach it there
        return;
    memset(&c, 0, sizeof c);
    memcpy(c.pk, q->pk, 32);
    memcpy(c.puzzle_nonce, q->puzzle_nonce, PUZZLE_NONCE_BYTES);
    c.path = *from;
    newcomer_try(d, &c, proven);
}
