// Bounded cursors over bytes, and the error codes of the whole project. Everything that comes from
// the network is read with `struct rd`: a read past the end sets `bad` and yields zeroes, so a parser
// reads all its fields and checks once.
#ifndef BAUTA_CRYPTO_BYTES_H
#define BAUTA_CRYPTO_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum bauta_error {
    BAUTA_OK = 0,
    BAUTA_EFORMAT = -1, // malformed input: drop it
    BAUTA_EAUTH = -2,   // does not authenticate: drop it
    BAUTA_ESPACE = -3,  // the caller's buffer is too small, or an arena is at its cap
    BAUTA_ESTATE = -4,  // not allowed in this state
    BAUTA_ELIMIT = -5,  // a limit with a name was reached
    BAUTA_EREPLAY = -6, // seen before: drop it
    BAUTA_EUNKNOWN = -7 // no such thing (id, name, stream, ...)
};

struct rd {
    const uint8_t *p;
    size_t left;
    bool bad;
};

static inline struct rd rd_init(const uint8_t *p, size_t len)
{
    return (struct rd){p, len, false};
}

// The next n bytes in place, or NULL and `bad`.
static inline const uint8_t *rd_bytes(struct rd *r, size_t n)
{
    if (r->bad || r->left < n) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *at = r->p;
    r->p += n;
    r->left -= n;
    return at;
}

// Copies n bytes; zeroes dst where they are missing.
static inline void rd_copy(struct rd *r, void *dst, size_t n)
{
    const uint8_t *at = rd_bytes(r, n);
    if (at == NULL)
        memset(dst, 0, n);
    else
        memcpy(dst, at, n);
}

// Passes over zeroes, eight at a time: packets are padded with hundreds.
static inline void rd_zeroes(struct rd *r)
{
    for (uint64_t w = 0; r->left >= sizeof w && !r->bad; (void)rd_bytes(r, sizeof w)) {
        memcpy(&w, r->p, sizeof w);
        if (w != 0)
            break;
    }
    while (r->left > 0 && !r->bad && *r->p == 0)
        (void)rd_bytes(r, 1);
}

static inline uint64_t rd_le(struct rd *r, size_t n)
{
    const uint8_t *at = rd_bytes(r, n);
    uint64_t v = 0;
    for (size_t i = 0; at != NULL && i < n; i++)
        v |= (uint64_t)at[i] << (8 * i);
    return v;
}

static inline uint8_t rd_u8(struct rd *r)
{
    return (uint8_t)rd_le(r, 1);
}
static inline uint16_t rd_le16(struct rd *r)
{
    return (uint16_t)rd_le(r, 2);
}
static inline uint32_t rd_le32(struct rd *r)
{
    return (uint32_t)rd_le(r, 4);
}
static inline uint64_t rd_le64(struct rd *r)
{
    return rd_le(r, 8);
}

struct wr {
    uint8_t *start;
    uint8_t *p;
    size_t left;
    bool bad;
};

static inline struct wr wr_init(uint8_t *p, size_t cap)
{
    return (struct wr){p, p, cap, false};
}

// Room for n bytes to be filled by the caller, or NULL and `bad`.
static inline uint8_t *wr_room(struct wr *w, size_t n)
{
    if (w->bad || w->left < n) {
        w->bad = true;
        return NULL;
    }
    uint8_t *at = w->p;
    w->p += n;
    w->left -= n;
    return at;
}

static inline void wr_bytes(struct wr *w, const void *src, size_t n)
{
    uint8_t *at = wr_room(w, n);
    if (at != NULL && n > 0)
        memcpy(at, src, n);
}

static inline void wr_zero(struct wr *w, size_t n)
{
    uint8_t *at = wr_room(w, n);
    if (at != NULL && n > 0)
        memset(at, 0, n);
}

static inline void wr_le(struct wr *w, uint64_t v, size_t n)
{
    uint8_t *at = wr_room(w, n);
    for (size_t i = 0; at != NULL && i < n; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

static inline void wr_u8(struct wr *w, uint8_t v)
{
    wr_le(w, v, 1);
}
static inline void wr_le16(struct wr *w, uint16_t v)
{
    wr_le(w, v, 2);
}
static inline void wr_le32(struct wr *w, uint32_t v)
{
    wr_le(w, v, 4);
}
static inline void wr_le64(struct wr *w, uint64_t v)
{
    wr_le(w, v, 8);
}
static inline size_t wr_len(const struct wr *w)
{
    return (size_t)(w->p - w->start);
}

#endif
