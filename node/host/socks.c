#include "node/host/socks.h"

#include "crypto/bytes.h"
#include "dht/path.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define VERSION 5u
#define LOGIN_VERSION 1u
#define METHOD_NONE 0u
#define METHOD_LOGIN 2u
#define COMMAND_CONNECT 1u
#define ADDRESS_V4 1u
#define ADDRESS_NAME 3u
#define ADDRESS_V6 4u
#define RANDOM_BYTES 16u // of a random user name, and of its password

// ---- --proxy ------------------------------------------------------------------------------------------

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// 1 to 255 bytes, none of them zero.
static bool unescape(char out[static SOCKS_TEXT_BYTES_MAX + 1], const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%') {
            int high = len - i > 2 ? hex_digit(text[i + 1]) : -1;
            int low = len - i > 2 ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (c == 0 || n == SOCKS_TEXT_BYTES_MAX)
            return false;
        out[n++] = c;
    }
    out[n] = 0;
    return n > 0;
}

int socks_parse(struct socks_proxy *p, const char *text)
{
    static const char scheme[] = "socks5://", local[] = "localhost:";
    memset(p, 0, sizeof *p);
    if (strncmp(text, scheme, sizeof scheme - 1) != 0)
        return BAUTA_EFORMAT;
    text += sizeof scheme - 1;
    const char *at = strrchr(text, '@');
    if (at != NULL) {
        const char *colon = memchr(text, ':', (size_t)(at - text));
        if (colon == NULL || !unescape(p->user, text, (size_t)(colon - text)) ||
            !unescape(p->pass, colon + 1, (size_t)(at - colon - 1)))
            return BAUTA_EFORMAT;
        text = at + 1;
    }
    char numeric[PATH_TEXT_BYTES];
    if (strncmp(text, local, sizeof local - 1) == 0) {
        int n = snprintf(numeric, sizeof numeric, "127.0.0.1:%s", text + sizeof local - 1);
        if (n < 0 || (size_t)n >= sizeof numeric)
            return BAUTA_EFORMAT;
        text = numeric;
    }
    if (path_parse(&p->path, text, strlen(text)) != BAUTA_OK || p->path.port == 0)
        return BAUTA_EFORMAT;
    return BAUTA_OK;
}

void socks_isolate(struct socks_proxy *p, const struct rng *rng)
{
    uint8_t bytes[RANDOM_BYTES];
    p->random = true;
    rng_fill(rng, bytes, sizeof bytes);
    sodium_bin2hex(p->user, sizeof p->user, bytes, sizeof bytes);
    rng_fill(rng, bytes, sizeof bytes);
    sodium_bin2hex(p->pass, sizeof p->pass, bytes, sizeof bytes);
    sodium_memzero(bytes, sizeof bytes);
}

const char *socks_error_text(enum socks_error error)
{
    switch (error) {
    case SOCKS_OK:
        break;
    case SOCKS_NOT_SOCKS:
        return "What answers as the proxy does not speak SOCKS5.";
    case SOCKS_METHOD:
        return "The proxy wants another way to log in than it was given.";
    case SOCKS_AUTH:
        return "The proxy does not accept the user name and password.";
    case SOCKS_REFUSED:
        return "The proxy's rules forbid connections to this network.";
    case SOCKS_UNREACHABLE:
        return "The proxy works, but reaches none of the servers yet.";
    case SOCKS_CAN_NOT_CONNECT:
        return "The proxy can't make the connections that are needed.";
    case SOCKS_DOWN:
        return "The proxy does not answer.";
    }
    return "The proxy works.";
}

// ---- messages -----------------------------------------------------------------------------------------

static void put(struct socks *s, const void *bytes, size_t len)
{
    assert(s->out_len + len <= sizeof s->out);
    memcpy(s->out + s->out_len, bytes, len);
    s->out_len = (uint16_t)(s->out_len + len);
}

static void put_byte(struct socks *s, size_t value)
{
    uint8_t byte = (uint8_t)value;
    put(s, &byte, 1);
}

static void put_text(struct socks *s, const char *text)
{
    size_t len = strlen(text);
    assert(len >= 1 && len <= SOCKS_TEXT_BYTES_MAX);
    put_byte(s, len);
    put(s, text, len);
}

static void begin(struct socks *s, enum socks_step step, size_t version)
{
    s->step = step;
    s->have = s->out_len = 0;
    put_byte(s, version);
}

// Who was given a user name uses it; a random one need not be taken.
void socks_start(struct socks *s, const struct socks_proxy *proxy)
{
    memset(s, 0, sizeof *s);
    s->proxy = proxy;
    begin(s, SOCKS_GREETING, VERSION);
    if (proxy->user[0] == 0) {
        put_byte(s, 1);
        put_byte(s, METHOD_NONE);
        return;
    }
    put_byte(s, proxy->random ? 2 : 1);
    put_byte(s, METHOD_LOGIN);
    if (proxy->random)
        put_byte(s, METHOD_NONE);
}

static void put_login(struct socks *s)
{
    begin(s, SOCKS_LOGIN, LOGIN_VERSION);
    put_text(s, s->proxy->user);
    put_text(s, s->proxy->pass);
}

static void put_request(struct socks *s, const struct path *target, const char *name)
{
    begin(s, SOCKS_REQUEST, VERSION);
    put_byte(s, COMMAND_CONNECT);
    put_byte(s, 0);
    if (name != NULL) {
        put_byte(s, ADDRESS_NAME);
        put_text(s, name);
    } else {
        put_byte(s, target->family == 4 ? ADDRESS_V4 : ADDRESS_V6);
        put(s, target->ip, target->family == 4 ? 4 : 16);
    }
    put_byte(s, target->port >> 8);
    put_byte(s, target->port & 0xff);
}

// ---- answers ------------------------------------------------------------------------------------------

static bool failed(struct socks *s, enum socks_error error)
{
    s->step = SOCKS_FAILED;
    s->error = error;
    s->out_len = 0;
    return false;
}

// How many bytes the awaited answer has, as far as those that came tell. 0: it is none.
static size_t wanted(const struct socks *s)
{
    if (s->step != SOCKS_REQUEST || s->have < 5)
        return s->step == SOCKS_REQUEST ? 5 : 2;
    switch (s->in[3]) {
    case ADDRESS_V4:
        return 10;
    case ADDRESS_V6:
        return 22;
    case ADDRESS_NAME:
        return 7u + s->in[4];
    default:
        return 0;
    }
}

static enum socks_error reply_error(uint8_t reply)
{
    if (reply == 2)
        return SOCKS_REFUSED;
    return reply >= 1 && reply <= 6 ? SOCKS_UNREACHABLE : SOCKS_CAN_NOT_CONNECT;
}

// A greeting's answer, a login's, or the head of a request's: all that is decided by its first two bytes.
static bool answered(struct socks *s, const struct path *target, const char *name)
{
    bool login = s->step == SOCKS_LOGIN;
    if (s->in[0] != VERSION && !(login && s->in[0] == LOGIN_VERSION))
        return failed(s, SOCKS_NOT_SOCKS); // some answer a login with 5
    if (login) {
        if (s->in[1] != 0)
            return failed(s, SOCKS_AUTH);
        put_request(s, target, name);
        return true;
    }
    bool offered = s->proxy->user[0] == 0 || s->proxy->random;
    if (s->in[1] == METHOD_LOGIN && s->proxy->user[0] != 0)
        put_login(s);
    else if (s->in[1] == METHOD_NONE && offered)
        put_request(s, target, name);
    else
        return failed(s, SOCKS_METHOD);
    return true;
}

bool socks_take(struct socks *s, const struct path *target, const char *name, const uint8_t *data,
                size_t len, size_t *used)
{
    *used = 0;
    while (s->step < SOCKS_CONNECTED && *used < len) {
        s->in[s->have++] = data[(*used)++];
        // A request's answer that is no success may end after its second byte.
        if (s->step == SOCKS_REQUEST && s->have == 2) {
            if (s->in[0] != VERSION)
                return failed(s, SOCKS_NOT_SOCKS);
            if (s->in[1] != 0)
                return failed(s, reply_error(s->in[1]));
        }
        size_t want = wanted(s);
        if (want == 0)
            return failed(s, SOCKS_NOT_SOCKS);
        if (s->have < want)
            continue;
        if (s->step == SOCKS_REQUEST)
            s->step = SOCKS_CONNECTED;
        else if (!answered(s, target, name))
            return false;
    }
    return s->step != SOCKS_FAILED;
}
