// layer: meet
// Arbitrary and damaged blobs at a node that attends and at one that waits for an answer. The input is
// a list of {what, position, length, bytes}: a blob is random bytes, or one of the genuine ones of a
// meeting with the bytes XORed in at the position.
#include "tests/unit/meet/world.h"

struct kept {
    unsigned n;
    struct dht_event ev[8];
    unsigned node[8];
    uint8_t data[8][WIRE_OFFER_BYTES];
};

static bool keep(struct world *w, struct world_mail *m, void *ctx)
{
    struct kept *k = ctx;
    (void)w;
    if (k->n < 8 && m->ev.blob_len <= sizeof k->data[0]) {
        k->ev[k->n] = m->ev;
        k->node[k->n] = m->node;
        memcpy(k->data[k->n++], m->data, m->ev.blob_len);
    }
    // The last of the genuine blobs is lost, so that both ends stay in the middle of things.
    return k->n < 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd r = rd_init(data, size);
    struct kept kept = {0};
    struct world *w = malloc(sizeof *w);
    if (w == NULL)
        return 0;
    world_init(w, 2, 1 + (rd_u8(&r) & 3));
    w->hook = keep;
    w->hook_ctx = &kept;
    bool all = (rd_u8(&r) & 1) != 0;
    world_seek(w, 0, 1, "tea");
    world_run(w, w->now + USEC_PER_S, NULL, NULL);
    world_seek(w, 1, 1, "tea");
    world_run(w, w->now + 20 * USEC_PER_MS, NULL, NULL);
    w->hook = NULL;
    if (all)
        world_run(w, w->now + USEC_PER_S, NULL, NULL);
    for (unsigned rounds = 0; rounds < 32 && r.left > 0 && kept.n > 0; rounds++) {
        uint8_t what = rd_u8(&r), at = rd_u8(&r), len = rd_u8(&r);
        const uint8_t *bytes = rd_bytes(&r, len);
        if (bytes == NULL)
            break;
        unsigned i = what % kept.n;
        struct world_mail *m =
            world_post(w, kept.node[i], 1, kept.ev[i].kind, kept.ev[i].id, kept.ev[i].user);
        uint8_t blob[WIRE_OFFER_BYTES] = {0};
        size_t n = kept.ev[i].blob_len;
        if ((what & 0x80) == 0) {
            memcpy(blob, kept.data[i], n);
            for (size_t k = 0; k < len && at + k < n; k++)
                blob[at + k] ^= bytes[k];
        } else {
            n = len < sizeof blob ? len : sizeof blob;
            memcpy(blob, bytes, n);
        }
        world_blob(m, kept.ev[i].link, blob, n);
        world_run(w, w->now + at * USEC_PER_MS, NULL, NULL);
    }
    world_run(w, w->now + 15 * USEC_PER_S, NULL, NULL);
    world_end(w);
    free(w);
    return 0;
}
