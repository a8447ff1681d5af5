// A client's side of SOCKS5 (RFC 1928) with a user name and password where the proxy wants one (RFC 1929): bytes in, bytes
// out, no sockets. CONNECT only.
#ifndef BAUTA_NODE_HOST_SOCKS_H
#define BAUTA_NODE_HOST_SOCKS_H

#include "dht/machine.h"

#define SOCKS_TEXT_BYTES_MAX                                                                       \
    255u                         // user name, password and host name have one byte for their length
#define SOCKS_OUT_BYTES_MAX 513u // the longest message: user name and password
#define SOCKS_IN_BYTES_MAX 262u  // the longest answer: its bound address is a name

struct socks_proxy {
    struct path path; // of the proxy, via 0
    // Both or none. Random ones tell Tor to keep a run's circuits apart from others' (IsolateSOCKSAuth), and are sent
    // only where the proxy chooses to ask.
    char user[SOCKS_TEXT_BYTES_MAX + 1], pass[SOCKS_TEXT_BYTES_MAX + 1];
    bool random;
};

// "socks5://[USER:PASS@]HOST:PORT"; HOST is a numeric address or localhost, since a name would have to be asked of
// somebody outside of the proxy. %XX in USER and PASS is a byte. 0 or BAUTA_EFORMAT. Without USER and PASS: socks_isolate.
int socks_parse(struct socks_proxy *, const char *text);
void socks_isolate(struct socks_proxy *,
                   const struct rng *); // draws a random user name and password

enum socks_error {
    SOCKS_OK,
    SOCKS_NOT_SOCKS,       // what came is no SOCKS5
    SOCKS_METHOD,          // it takes none of the ways to log in that we have
    SOCKS_AUTH,            // wrong user name or password
    SOCKS_REFUSED,         // its rules forbid the connection: reply 2
    SOCKS_UNREACHABLE,     // it could not reach the target: replies 1, 3, 4, 5, 6
    SOCKS_CAN_NOT_CONNECT, // it knows no CONNECT or no such address: replies 7, 8 and others
    SOCKS_DOWN             // for drivers: it does not answer, or went away
};
const char *socks_error_text(enum socks_error); // a line for a person

enum socks_step { SOCKS_GREETING, SOCKS_LOGIN, SOCKS_REQUEST, SOCKS_CONNECTED, SOCKS_FAILED };

struct socks {
    const struct socks_proxy *proxy;
    enum socks_step step; // what an answer is awaited to
    enum socks_error error;
    uint16_t have; // bytes of that answer
    uint8_t in[SOCKS_IN_BYTES_MAX];
    uint16_t out_len; // to be sent now
    uint8_t out[SOCKS_OUT_BYTES_MAX];
};

// The greeting is in `out`. `proxy` outlives it.
void socks_start(struct socks *, const struct socks_proxy *);
// Takes what came; *used says how much. When an answer is whole, the next message is in `out`: to `target`, or to the host
// `name` where that is not NULL. At SOCKS_CONNECTED the bytes behind *used are the target's. False: SOCKS_FAILED, `error`.
bool socks_take(struct socks *, const struct path *target, const char *name, const uint8_t *data,
                size_t len, size_t *used);

#endif
