// The server's side of `open`: the question waits, for as long as its driver's turn takes, until node says what to
// answer.
#include "crypto/bytes.h"
#include "dht/internal.h"

#include <sodium.h>

struct opening *opening_new(struct dht *d)
{
    struct server *s = d->server;
    if (s->opening == NULL)
        s->opening = arena_take(d->config.arena, OPENINGS_MAX * sizeof *s->opening);
    if (s->opening == NULL)
        return NULL;
    struct opening *o = &s->opening[s->opening_next++ % OPENINGS_MAX];
    o->id = dht_next_id(d);
    return o;
}

void openings_end(struct dht *d)
{
    struct server *s = d->server;
    arena_give(d->config.arena, s->opening, OPENINGS_MAX * sizeof *s->opening);
    s->opening = NULL;
}
