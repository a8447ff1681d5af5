// What a relay gives up before it hears a stranger: with libseccomp on Linux, every system call that it does not need. No
// other program can be started, no process made, traced or signalled, no memory made executable, no kind of socket opened
// but IP, local ones and news of the own addresses.
#ifndef BAUTA_NODE_HOST_SANDBOX_H
#define BAUTA_NODE_HOST_SANDBOX_H

// For all threads, those to come included. 1: done. 0: this build or this system has no such thing. -1: it was refused.
int sandbox_enter(void);

#endif
