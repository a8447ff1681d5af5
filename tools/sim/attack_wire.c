// Attackers' datagrams: opening what comes to their servers, sealing answers and requests of their own.
#include "tools/sim/attack_internal.h"

#include <string.h>

bool attack_open(struct attack_member *m, const uint8_t *data, size_t len, struct attack_request *r)
{
    uint8_t *body;
    size_t body_len;
    if (len < RPC_REQUEST_OVERHEAD || len > sizeof r->datagram)
        return false;
    memcpy(r->datagram, data, len);
    return rpc_request_unmask(&r->header, r->datagram, len, m->self.mask_key) == 0 &&
           rpc_keys_derive(&r->keys, m->sk, r->header.e, &m->attack->net, r->header.e,
                           m->self.contact.pk) == 0 &&
           rpc_request_open(r->datagram, len, &r->keys, &body, &body_len) == 0 &&
           wire_request_decode(&r->q, body, body_len) == 0;
}

void attack_answer_init(struct sim *s, const struct attack_request *r, const struct path *from,
                        struct wire_answer *a)
{
    memset(a, 0, sizeof *a);
    a->count = 1;
    a->kind = r->q.kind;
    a->seen = *from;
    a->ttl_s = r->q.ttl_s;
    a->minute = (uint32_t)((uint64_t)s->config.unix_start_s / 60 + s->now / (60 * USEC_PER_S));
}

static void send(struct sim *s, struct attack_member *m, uint32_t as, const struct path *to,
                 usec_t leaves_us, const uint8_t *datagram, size_t len)
{
    m->attack->count.sent++;
    m->attack->count.sent_bytes += len + SIM_HEADER_BYTES;
    sim_actor_send(s, m->self.host, as, to, leaves_us, datagram, len);
}

void attack_answer(struct sim *s, struct attack_member *m, const struct path *from,
                   const struct attack_request *r, const struct wire_answer *a)
{
    uint8_t datagram[CLASS_FULL] = {0}, id[8], nonce[RPC_NONCE_BYTES];
    size_t body_len;
    struct wire_answer mine = *a;
    memcpy(mine.puzzle_nonce, m->self.contact.puzzle_nonce, PUZZLE_NONCE_BYTES);
    sim_stream_fill(&m->stream, mine.token, sizeof mine.token); // any will do: it takes all
    if (wire_answer_encode(&mine, datagram + ANSWER_BODY_AT, WIRE_BODY_MAX, &body_len) != 0)
        return;
    size_t len = class_of((uint32_t)(body_len + ANSWER_OVERHEAD));
    rpc_answer_id(id, &r->keys, r->q.reply, a->index);
    sim_stream_fill(&m->stream, nonce, sizeof nonce);
    rpc_answer_seal(datagram, len - ANSWER_OVERHEAD, id, &r->keys, nonce);
    send(s, m, m->self.host, from, s->now, datagram, len);
}

void attack_request(struct sim *s, struct attack_member *m, const struct attack_server *to,
                    uint32_t as, const uint8_t e_pk[static 32], const struct rpc_keys *keys,
                    const uint8_t token[static RPC_TOKEN_BYTES], struct wire_request *q,
                    uint16_t class_min)
{
    uint8_t datagram[CLASS_FULL] = {0}, nonce[RPC_NONCE_BYTES];
    struct rpc_header header;
    size_t body_len;
    if (wire_request_encode(q, datagram + RPC_BODY_AT, CLASS_FULL - RPC_REQUEST_OVERHEAD,
                            &body_len) != 0)
        return;
    uint16_t len = class_of((uint32_t)(body_len + RPC_REQUEST_OVERHEAD));
    if (len < class_min)
        len = class_min;
    memcpy(header.token, token, sizeof header.token);
    memcpy(header.e, e_pk, sizeof header.e);
    sim_stream_fill(&m->stream, nonce, sizeof nonce);
    rpc_request_seal(datagram, len - RPC_REQUEST_OVERHEAD, &header, to->mask_key, keys, nonce);
    send(s, m, as, &to->contact.path, s->now, datagram, len);
}

void attack_garbage(struct sim *s, struct attack_member *m, const struct attack_server *to,
                    uint32_t as, usec_t leaves_us, const struct rpc_header *header, uint16_t len)
{
    uint8_t datagram[CLASS_FULL];
    sim_stream_fill(&m->stream, datagram, len);
    hash_pieces(datagram, RPC_ID_BYTES, to->mask_key, 32, (struct piece[]){{"rpc", 3}}, 1);
    if (header != NULL) {
        memcpy(datagram + RPC_ID_BYTES, header->token, RPC_TOKEN_BYTES);
        memcpy(datagram + RPC_ID_BYTES + RPC_TOKEN_BYTES, header->e, sizeof header->e);
    }
    mask_request(datagram, len, to->mask_key);
    send(s, m, as, &to->contact.path, leaves_us, datagram, len);
}

void attack_server_init(const struct attack *a, struct attack_server *v, uint32_t host,
                        const uint8_t pk[static 32],
                        const uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES],
                        const struct path *path)
{
    memset(v, 0, sizeof *v);
    v->host = host;
    v->contact.path = *path;
    memcpy(v->contact.pk, pk, 32);
    memcpy(v->contact.puzzle_nonce, puzzle_nonce, PUZZLE_NONCE_BYTES);
    node_mask_key(v->mask_key, &a->net, pk);
    node_id(v->id, &a->net, pk, puzzle_nonce, path->family, path_id_prefix(path));
}
