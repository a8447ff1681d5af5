// Lines from standard input on a libuv loop, whatever it is: a terminal, a pipe, a file. Lines are taken
// when the reader wants them; until then reading stops, so that a script can't fill the memory.
#ifndef BAUTA_NODE_UI_TERMINAL_INPUT_H
#define BAUTA_NODE_UI_TERMINAL_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#define INPUT_LINE_BYTES_MAX 16384u // as a message
// Of what is typed: Linux keeps 4095 bytes of a line and drops the rest without a word.
#define INPUT_TYPED_BYTES_MAX 4094u

enum input_line {
    INPUT_NONE,     // nothing yet: `wake` is called when there is
    INPUT_LINE,     // *line, *len: valid until the next call
    INPUT_TOO_LONG, // a line was longer than input_line_max and has been thrown away
    INPUT_END       // no more will come
};

struct input;

int input_open(struct input **, uv_loop_t *, int fd, void (*wake)(void *ctx),
               void *ctx); // 0 or UV_ code
// The next line, left in place until input_take: a reader that can't use it now asks again later.
enum input_line input_peek(struct input *, const char **line, size_t *len);
void input_take(struct input *);
bool input_terminal(const struct input *);
unsigned input_line_max(const struct input *); // bytes
void input_close(struct input *);              // frees it once libuv has let go
// Is the first word of a line this one?
bool input_is(const char *line, size_t len, const char *word);

#endif
