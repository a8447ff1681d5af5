#include "node/host/sockets.h"

#include <errno.h>
#include <stdlib.h>

#define SPREAD 2654435761u // Knuth's: the numbers are ours, and mostly follow each other

static uint32_t place(const struct sockets *s, uint32_t via, uint8_t family)
{
    return ((via ^ (uint32_t)family << 28) * SPREAD >> 8) & (s->slots - 1);
}

static bool is(const struct udp *u, uint32_t via, uint8_t family)
{
    return u->via == via && u->bound.family == family;
}

struct udp *sockets_find(const struct sockets *s, uint32_t via, uint8_t family)
{
    if (s->slots == 0)
        return NULL;
    uint32_t i = place(s, via, family);
    while (s->slot[i] != NULL && !is(s->slot[i], via, family))
        i = (i + 1) & (s->slots - 1);
    return s->slot[i];
}

static void put(struct sockets *s, struct udp *u)
{
    uint32_t i = place(s, u->via, u->bound.family);
    while (s->slot[i] != NULL)
        i = (i + 1) & (s->slots - 1);
    s->slot[i] = u;
}

// At most half of the slots are taken.
static bool room(struct sockets *s)
{
    if (2 * (s->count + 1) <= s->slots)
        return true;
    struct sockets more = *s;
    more.slots = s->slots == 0 ? SOCKETS_SLOTS_MIN : 2 * s->slots;
    more.slot = calloc(more.slots, sizeof(struct udp *));
    if (more.slot == NULL)
        return false;
    for (uint32_t i = 0; i < s->slots; i++)
        if (s->slot[i] != NULL)
            put(&more, s->slot[i]);
    free(s->slot);
    *s = more;
    return true;
}

int sockets_open(struct sockets *s, const struct sockets_config *cfg, const struct path *local,
                 uint32_t via, struct udp **out)
{
    if (s->count == SOCKETS_MAX)
        return -EMFILE;
    struct udp *u = room(s) ? malloc(sizeof *u) : NULL;
    if (u == NULL)
        return -ENOMEM;
    int rc = udp_open_extra(u, cfg->loop, local, via, cfg->ready, cfg->ctx);
    if (rc != 0) {
        free(u);
        return rc;
    }
    put(s, u);
    s->count++;
    *out = u;
    return 0;
}

static void close_at(struct sockets *s, const struct sockets_config *cfg, uint32_t i)
{
    struct udp *u = s->slot[i];
    s->slot[i] = NULL;
    s->count--;
    // Whatever follows in a row may have been pushed on by this one.
    for (uint32_t k = (i + 1) & (s->slots - 1); s->slot[k] != NULL; k = (k + 1) & (s->slots - 1)) {
        struct udp *moved = s->slot[k];
        s->slot[k] = NULL;
        put(s, moved);
    }
    s->dropped_full += u->dropped_full;
    s->dropped_long += u->dropped_long;
    s->failed += u->failed;
    udp_close(u, cfg->closed);
}

void sockets_close(struct sockets *s, const struct sockets_config *cfg, uint32_t via)
{
    static const uint8_t families[2] = {4, 6};
    for (unsigned f = 0; f < 2 && s->slots > 0; f++) {
        uint32_t i = place(s, via, families[f]);
        while (s->slot[i] != NULL && !is(s->slot[i], via, families[f]))
            i = (i + 1) & (s->slots - 1);
        if (s->slot[i] != NULL)
            close_at(s, cfg, i);
    }
}

void sockets_close_all(struct sockets *s, const struct sockets_config *cfg)
{
    for (uint32_t i = 0; i < s->slots; i++)
        while (s->slot[i] != NULL)
            close_at(s, cfg, i);
    free(s->slot);
    s->slot = NULL;
    s->slots = 0;
}

void sockets_free(struct udp *u)
{
    free(u);
}

void sockets_count(const struct sockets *s, uint64_t *dropped_full, uint64_t *dropped_long,
                   uint64_t *failed)
{
    *dropped_full += s->dropped_full;
    *dropped_long += s->dropped_long;
    *failed += s->failed;
    for (uint32_t i = 0; i < s->slots; i++) {
        const struct udp *u = s->slot[i];
        if (u == NULL)
            continue;
        *dropped_full += u->dropped_full;
        *dropped_long += u->dropped_long;
        *failed += u->failed;
    }
}
