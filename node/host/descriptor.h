// Sockets' descriptors: the process's limit is raised as they are needed, and the last few are left to others, so that
// no stranger's connections keep the person from the control socket.
#ifndef BAUTA_NODE_HOST_DESCRIPTOR_H
#define BAUTA_NODE_HOST_DESCRIPTOR_H

// socket(2), not blocking and closed on exec; a negative errno, EMFILE when only those to spare are left.
int descriptor_socket(int family, int type);
// accept(2) in the same way.
int descriptor_accept(int listener);

#endif
