#include "tools/sim/sockets.h"

#include "tools/sim/limits.h"
#include "tools/sim/slab.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct sim_sockets {
    uint64_t open[(SIM_SOCKETS_MAX + 63) / 64];
};

// Ports of neighbouring numbers lie far apart, as those lie that a system chooses.
#define PORTS (65536u - SIM_PORT_MIN)
#define STEP 25579u
#define STEP_INVERSE 44227u
static_assert((uint64_t)STEP * STEP_INVERSE % PORTS == 1, "each port belongs to one number");
static_assert(SIM_SOCKETS_MAX == PORTS - 1, "all but the main one's");

uint16_t sim_socket_open(struct sim_sockets **s, uint16_t own_port, uint32_t n)
{
    if (n >= SIM_SOCKETS_MAX)
        return 0;
    if (*s == NULL) {
        *s = sim_grow(NULL, 1, sizeof **s);
        memset(*s, 0, sizeof **s);
    }
    (*s)->open[n / 64] |= UINT64_C(1) << n % 64;
    uint64_t at = (uint64_t)own_port + PORTS - SIM_PORT_MIN + (uint64_t)(n + 1) * STEP;
    return (uint16_t)(SIM_PORT_MIN + at % PORTS);
}

void sim_socket_close(struct sim_sockets *s, uint32_t n)
{
    if (s != NULL && n < SIM_SOCKETS_MAX)
        s->open[n / 64] &= ~(UINT64_C(1) << n % 64);
}

uint32_t sim_socket_at(const struct sim_sockets *s, uint16_t own_port, uint16_t port)
{
    if (s == NULL || port < SIM_PORT_MIN)
        return SIM_SOCKET_NONE;
    uint64_t number = ((uint64_t)port + PORTS - own_port) % PORTS * STEP_INVERSE % PORTS;
    if (number == 0)
        return SIM_SOCKET_NONE; // the main one's
    uint32_t n = (uint32_t)number - 1;
    return s->open[n / 64] >> n % 64 & 1 ? n : SIM_SOCKET_NONE;
}

void sim_sockets_free(struct sim_sockets **s)
{
    free(*s);
    *s = NULL;
}
