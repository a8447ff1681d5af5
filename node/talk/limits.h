// Limits of node/talk/, with their reasons.
#ifndef BAUTA_NODE_TALK_LIMITS_H
#define BAUTA_NODE_TALK_LIMITS_H

#define TALK_TEXT_BYTES_MAX 16384u // a long letter; what is longer is a file
#define TALK_QUEUE_MESSAGES_MAX                                                                    \
    256u // own messages not yet delivered; more: BAUTA_ELIMIT, the person waits
#define TALK_QUEUE_BYTES_MAX                                                                       \
    524288u                       // own frames that the stream has not taken yet: 32 of the longest
#define TALK_MAP_BYTES_MAX 18432u // the longest text and 2 KiB of keys that are newer than we are
#define TALK_AT_BYTES_MAX 114u    // six addresses with family and port
#define TALK_DEPTH_MAX 4u         // nesting inside a value that we skip
#define TALK_INPUT_BYTES_MAX 1048576u // taken by one call, so that the count fits its result

#endif
