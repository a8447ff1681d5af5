// A host's further UDP sockets (VIA_SOCKET | n). Each has a port of its own, which follows from n and the
// port of the main socket, so all that is kept is which are open.
#ifndef BAUTA_SIM_SOCKETS_H
#define BAUTA_SIM_SOCKETS_H

#include "dht/machine.h"

struct sim_sockets;

#define SIM_SOCKETS_MAX 64511u // every port but the main one's and those below SIM_PORT_MIN
#define SIM_SOCKET_NONE UINT32_MAX

// The port of the socket n, which is open from now on; 0: n is too large. *sockets is made with the first one.
uint16_t sim_socket_open(struct sim_sockets **, uint16_t own_port, uint32_t n);
void sim_socket_close(struct sim_sockets *, uint32_t n); // NULL is fine
// The open socket at this port, or SIM_SOCKET_NONE.
uint32_t sim_socket_at(const struct sim_sockets *, uint16_t own_port, uint16_t port);
void sim_sockets_free(struct sim_sockets **); // all are closed

#endif
