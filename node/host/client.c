#include "node/host/client.h"

#include "node/host/control.h"
#include "node/host/process.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int client_connect(const struct config *c, char path[static HOST_PATH_BYTES],
                   char error[static HOST_ERROR_BYTES])
{
    if (c->control[0] != 0) {
        snprintf(path, HOST_PATH_BYTES, "%s", c->control);
    } else {
        control_default_path(path);
        if (control_own_dir(path, error) != 0)
            return CLIENT_FAILED;
    }
    int fd = control_connect(path);
    if (fd >= 0)
        return fd;
    if (fd == -ENOENT || fd == -ECONNREFUSED)
        return CLIENT_NO_NODE;
    snprintf(error, HOST_ERROR_BYTES, "can't reach the node at %.160s: %s", path, strerror(-fd));
    return CLIENT_FAILED;
}

// The answers that we read are our own node's: bounded by what it holds, not by a stranger.
#define ANSWER_BYTES_MAX (8u << 20)

struct link {
    int fd;
    char *buf;
    size_t len, cap;
};

static void link_close(struct link *l)
{
    if (l->buf != NULL)
        sodium_memzero(l->buf, l->cap);
    free(l->buf);
    if (l->fd >= 0)
        close(l->fd);
}

static bool send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

// The next line without its end, to be freed; NULL at the end.
static char *next_line(struct link *l)
{
    for (;;) {
        char *newline = l->len > 0 ? memchr(l->buf, '\n', l->len) : NULL;
        if (newline != NULL) {
            size_t len = (size_t)(newline - l->buf);
            char *line = malloc(len + 1);
            if (line == NULL)
                return NULL;
            memcpy(line, l->buf, len);
            line[len] = 0;
            l->len -= len + 1;
            memmove(l->buf, newline + 1, l->len);
            return line;
        }
        if (l->len == l->cap) {
            size_t cap = l->cap == 0 ? 4096 : l->cap * 2;
            char *grown = cap <= ANSWER_BYTES_MAX ? realloc(l->buf, cap) : NULL;
            if (grown == NULL)
                return NULL;
            l->buf = grown;
            l->cap = cap;
        }
        ssize_t n = read(l->fd, l->buf + l->len, l->cap - l->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return NULL;
        l->len += (size_t)n;
    }
}

// Calls and waits for the answer. Takes `params`. Returns the result, or NULL after its line on stderr.
static json_t *call(struct link *l, const char *method, json_t *params)
{
    json_t *request = json_pack("{s:s, s:i, s:s, s:o}", "jsonrpc", "2.0", "id", 1, "method", method,
                                "params", params);
    char *text = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    if (text == NULL) {
        (void)process_fail(EXIT_FAILED, "%s: that is not UTF-8", method);
        return NULL;
    }
    bool sent = send_all(l->fd, text, strlen(text)) && send_all(l->fd, "\n", 1);
    json_free_t json_free;
    json_get_alloc_funcs(NULL, &json_free);
    json_free(text);
    char *line = sent ? next_line(l) : NULL;
    json_error_t error;
    json_t *answer = line != NULL ? json_loads(line, JSON_ALLOW_NUL, &error) : NULL;
    free(line);
    json_t *result = json_incref(json_object_get(answer, "result"));
    json_t *refused = json_object_get(answer, "error");
    if (refused != NULL) {
        const char *message = json_string_value(json_object_get(refused, "message"));
        (void)process_fail(EXIT_FAILED, "%s: %s (%lld)", method,
                           message != NULL ? message : "refused",
                           (long long)json_integer_value(json_object_get(refused, "code")));
    } else if (result == NULL) {
        (void)process_fail(EXIT_FAILED, "%s: the node went away without an answer", method);
    }
    json_decref(answer);
    return result;
}

static int link_open(struct link *l, const struct config *c)
{
    char path[HOST_PATH_BYTES], error[HOST_ERROR_BYTES];
    *l = (struct link){.fd = client_connect(c, path, error)};
    if (l->fd >= 0)
        return EXIT_OK;
    if (l->fd == CLIENT_NO_NODE)
        return process_fail(EXIT_FAILED, "no node is running here (%s); start one with: bauta run",
                            path);
    return process_fail(EXIT_FAILED, "%s", error);
}

// ---- ctl --------------------------------------------------------------------------------------------

// The parameters as given; NULL after a line on stderr.
static json_t *read_params(const struct config *c)
{
    json_error_t error;
    json_t *params;
    if (c->words < 2)
        return json_object();
    if (strcmp(c->word[1], "-") == 0)
        params = json_loadf(stdin, JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    else
        params = json_loads(c->word[1], JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    if (params == NULL)
        (void)process_fail(EXIT_FAILED, "%s: the parameters are not JSON: %s", c->word[0],
                           error.text);
    return params;
}

static bool print_json(json_t *j)
{
    bool ok =
        json_dumpf(j, stdout, JSON_COMPACT | JSON_ENCODE_ANY) == 0 && fputc('\n', stdout) != EOF;
    return fflush(stdout) == 0 && ok;
}

// An interrupt is how one ends a subscription: that is no failure.
static void on_interrupt(int number)
{
    (void)number;
    _exit(EXIT_OK);
}

int client_ctl(const struct config *c)
{
    struct link l;
    json_t *params = read_params(c);
    if (params == NULL)
        return EXIT_FAILED;
    if (link_open(&l, c) != EXIT_OK) {
        json_decref(params);
        return EXIT_FAILED;
    }
    json_t *result = call(&l, c->word[0], params);
    int status = result != NULL && print_json(result) ? EXIT_OK : EXIT_FAILED;
    json_decref(result);
    if (status == EXIT_OK && strcmp(c->word[0], "subscribe") == 0) {
        char *line;
        signal(SIGINT, on_interrupt);
        signal(SIGTERM, on_interrupt);
        while ((line = next_line(&l)) != NULL) {
            bool ok = puts(line) != EOF && fflush(stdout) == 0;
            sodium_memzero(line, strlen(line));
            free(line);
            if (!ok)
                break;
        }
    }
    link_close(&l);
    return status;
}

// ---- status -----------------------------------------------------------------------------------------

static const char *text_of(json_t *o, const char *key, const char *missing)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s != NULL ? s : missing;
}

static long long number_of(json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

static void print_encounters(json_t *list)
{
    json_t *e, *topic;
    size_t i, t;
    if (json_array_size(list) == 0)
        puts("encounters  none");
    json_array_foreach (list, i, e) {
        printf("encounter %lld  %s", number_of(e, "encounter"), text_of(e, "state", "?"));
        const char *alias = text_of(e, "alias", "");
        if (alias[0] != 0)
            printf(", with %s", alias);
        const char *cover = text_of(e, "cover", "off");
        if (strcmp(cover, "off") != 0)
            printf(", cover %s", cover);
        json_array_foreach (json_object_get(e, "topics"), t, topic)
            printf("%s%s", t == 0 ? ", about " : ", ", json_string_value(topic));
        putchar('\n');
    }
}

// What translates the own addresses, and whether a port can be foretold.
static void print_nat(json_t *nat)
{
    static const char *const families[] = {"v4", "v6"};
    printf("translation ");
    for (size_t i = 0; i < 2; i++) {
        json_t *f = json_object_get(nat, families[i]);
        const char *mapping = text_of(f, "mapping", "unknown");
        long long step = number_of(f, "port_step");
        printf("%sIP%s: ", i == 0 ? "" : "; ", families[i]);
        if (strcmp(mapping, "none") == 0)
            printf("none");
        else if (strcmp(mapping, "independent") == 0)
            printf("one port for all%s",
                   json_is_true(json_object_get(f, "port_preserving")) ? ", the own one" : "");
        else if (strcmp(mapping, "dependent") == 0 && step != 0)
            printf("a port for each, by steps of %lld", step);
        else if (strcmp(mapping, "dependent") == 0)
            printf("a port for each");
        else
            printf("not known");
    }
    putchar('\n');
}

static void print_status(json_t *s)
{
    json_t *dht = json_object_get(s, "dht"), *traffic = json_object_get(s, "traffic");
    json_t *dropped = json_object_get(s, "dropped"), *value;
    const char *key, *privacy = text_of(s, "privacy", "unchosen");
    long long drops = 0, up = number_of(s, "uptime_s");
    json_object_foreach (dropped, key, value)
        drops += (long long)json_integer_value(value);
    bool server = json_is_true(json_object_get(dht, "server"));
    printf("bauta %s, network %s, up %lld h %02lld min %02lld s\n", text_of(s, "version", "?"),
           text_of(s, "network", "?"), up / 3600, up / 60 % 60, up % 60);
    printf("privacy     %s\n",
           strcmp(privacy, "direct") == 0    ? "direct: the stranger can see your address"
           : strcmp(privacy, "relayed") == 0 ? "relayed: hidden; without relays nobody is found"
                                             : "not chosen yet");
    printf("contact     %s\n", text_of(s, "contact", "-"));
    json_t *mapping = json_object_get(json_object_get(s, "reach"), "mapping");
    printf("router      %s\n", text_of(mapping, "external", "keeps no port open"));
    printf("seen as     %s\n", text_of(json_object_get(s, "reach"), "seen", "not known yet"));
    print_nat(json_object_get(json_object_get(s, "reach"), "nat"));
    printf("role        %s\n", server ? "server: stores for others and introduces them"
                                      : "client: asks, and serves nobody");
    printf("network     knows %lld servers, estimates %lld in all\n", number_of(dht, "contacts"),
           number_of(dht, "size_estimate"));
    printf("traffic     %lld datagrams in, %lld out; %lld bytes in, %lld out; %lld dropped\n",
           number_of(traffic, "datagrams_in"), number_of(traffic, "datagrams_out"),
           number_of(traffic, "bytes_in"), number_of(traffic, "bytes_out"), drops);
    print_encounters(json_object_get(s, "encounters"));
}

int client_status(const struct config *c)
{
    struct link l;
    if (link_open(&l, c) != EXIT_OK)
        return EXIT_FAILED;
    json_t *result = call(&l, "status", json_object());
    link_close(&l);
    if (result == NULL)
        return EXIT_FAILED;
    print_status(result);
    json_decref(result);
    return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}
