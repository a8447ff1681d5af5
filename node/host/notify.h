// Tells the system's service manager how far the process is (sd_notify(3): a datagram to the socket that NOTIFY_SOCKET
// names). Without one nothing happens.
#ifndef BAUTA_NODE_HOST_NOTIFY_H
#define BAUTA_NODE_HOST_NOTIFY_H

void notify_manager(const char *state); // "READY=1", "STOPPING=1"

#endif
