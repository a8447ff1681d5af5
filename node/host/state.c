#include "node/host/state.h"

#include "crypto/bytes.h"
#include "node/host/api.h"
#include "node/host/contacts.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX 64u // a key and its nonce are 40, with a time 48
#define RELAY_KEY_BYTES (32u + PUZZLE_NONCE_BYTES + 8u)
#define NO_FILE (-2)

static int explain(char *error, const char *what, const char *path)
{
    snprintf(error, HOST_ERROR_BYTES, "can't %s %.160s: %s", what, path, strerror(errno));
    return -1;
}

int state_open(const char *dir, char error[static HOST_ERROR_BYTES])
{
    struct stat st;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return explain(error, "make the state folder", dir);
    if (stat(dir, &st) != 0)
        return explain(error, "use the state folder", dir);
    if (!S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        return explain(error, "use the state folder", dir);
    }
    if (access(dir, R_OK | W_OK | X_OK) != 0)
        return explain(error, "use the state folder", dir);
    return 0;
}

static int path_of(char path[static HOST_PATH_BYTES], const char *dir, const char *name,
                   char *error)
{
    int n = snprintf(path, HOST_PATH_BYTES, "%s/%s", dir, name);
    if (n > 0 && (size_t)n < HOST_PATH_BYTES)
        return 0;
    snprintf(error, HOST_ERROR_BYTES, "the name of the state folder is too long");
    return -1;
}

// Returns the length, NO_FILE, or -1 with a line.
static int read_file(const char *dir, const char *name, void *out, size_t cap, char *error)
{
    char path[HOST_PATH_BYTES];
    if (path_of(path, dir, name, error) != 0)
        return -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? NO_FILE : explain(error, "read", path);
    ssize_t n = read(fd, out, cap);
    int failed = errno;
    close(fd);
    errno = failed;
    if (n < 0)
        return explain(error, "read", path);
    return (int)n;
}

static int write_file(const char *dir, const char *name, const void *data, size_t len, char *error)
{
    char path[HOST_PATH_BYTES], fresh[HOST_PATH_BYTES];
    char fresh_name[64];
    snprintf(fresh_name, sizeof fresh_name, "%s.new", name);
    if (path_of(path, dir, name, error) != 0 || path_of(fresh, dir, fresh_name, error) != 0)
        return -1;
    (void)unlink(fresh);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return explain(error, "write", fresh);
    bool ok = write(fd, data, len) == (ssize_t)len && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    if (!ok || rename(fresh, path) != 0) {
        int rc = explain(error, "write", path);
        (void)unlink(fresh);
        return rc;
    }
    return 0;
}

int state_privacy(const char *dir, enum node_privacy *p, char error[static HOST_ERROR_BYTES])
{
    uint8_t data[FILE_BYTES_MAX];
    char word[FILE_BYTES_MAX + 1];
    int n = read_file(dir, "privacy", data, sizeof data, error);
    if (n < 0)
        return n == NO_FILE ? 0 : n;
    memcpy(word, data, (size_t)n);
    word[n] = 0;
    word[strcspn(word, "\n")] = 0;
    if (api_privacy_of(word, p))
        return 1;
    snprintf(error, HOST_ERROR_BYTES, "%.160s/privacy is damaged; remove it", dir);
    return -1;
}

int state_privacy_keep(const char *dir, enum node_privacy p, char error[static HOST_ERROR_BYTES])
{
    char line[32];
    int n = snprintf(line, sizeof line, "%s\n", api_privacy_name(p));
    return write_file(dir, "privacy", line, (size_t)n, error);
}

int state_key(const char *dir, uint8_t secret[static 32],
              uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES], char error[static HOST_ERROR_BYTES])
{
    uint8_t data[FILE_BYTES_MAX];
    int n = read_file(dir, "server.key", data, sizeof data, error);
    if (n == 32 + (int)PUZZLE_NONCE_BYTES) {
        memcpy(secret, data, 32);
        memcpy(puzzle_nonce, data + 32, PUZZLE_NONCE_BYTES);
        n = 1;
    } else if (n == NO_FILE) {
        n = 0;
    } else if (n >= 0) {
        snprintf(error, HOST_ERROR_BYTES, "%.160s/server.key is damaged; remove it", dir);
        n = -1;
    }
    sodium_memzero(data, sizeof data);
    return n;
}

int state_key_keep(const char *dir, const uint8_t secret[static 32],
                   const uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES],
                   char error[static HOST_ERROR_BYTES])
{
    uint8_t data[32 + PUZZLE_NONCE_BYTES];
    memcpy(data, secret, 32);
    memcpy(data + 32, puzzle_nonce, PUZZLE_NONCE_BYTES);
    int rc = write_file(dir, "server.key", data, sizeof data, error);
    sodium_memzero(data, sizeof data);
    return rc;
}

int state_relay_key(const char *dir, struct relay_key *k, char error[static HOST_ERROR_BYTES])
{
    uint8_t data[FILE_BYTES_MAX];
    int n = read_file(dir, "relay.key", data, sizeof data, error);
    if (n == (int)RELAY_KEY_BYTES) {
        struct rd r = rd_init(data, RELAY_KEY_BYTES);
        rd_copy(&r, k->seed, sizeof k->seed);
        rd_copy(&r, k->puzzle_nonce, sizeof k->puzzle_nonce);
        k->made_s = (int64_t)rd_le64(&r);
        n = 1;
    } else if (n == NO_FILE) {
        n = 0;
    } else if (n >= 0) {
        snprintf(error, HOST_ERROR_BYTES, "%.160s/relay.key is damaged; remove it", dir);
        n = -1;
    }
    sodium_memzero(data, sizeof data);
    return n;
}

int state_relay_key_keep(const char *dir, const struct relay_key *k,
                         char error[static HOST_ERROR_BYTES])
{
    uint8_t data[RELAY_KEY_BYTES];
    struct wr w = wr_init(data, sizeof data);
    wr_bytes(&w, k->seed, sizeof k->seed);
    wr_bytes(&w, k->puzzle_nonce, sizeof k->puzzle_nonce);
    wr_le64(&w, (uint64_t)k->made_s);
    int rc = write_file(dir, "relay.key", data, sizeof data, error);
    sodium_memzero(data, sizeof data);
    return rc;
}

// "202612 12345678\n"
int state_relay_month(const char *dir, struct relay_month *m, char error[static HOST_ERROR_BYTES])
{
    char text[FILE_BYTES_MAX + 1];
    int n = read_file(dir, "relay.volume", text, FILE_BYTES_MAX, error);
    if (n < 0)
        return n == NO_FILE ? 0 : n;
    text[n] = 0;
    uint64_t number[2] = {0, 0};
    const char *c = text;
    bool good = true;
    for (unsigned i = 0; i < 2 && good; i++) {
        const char *first = c;
        while (*c >= '0' && *c <= '9' && number[i] < UINT64_MAX / 100)
            number[i] = 10 * number[i] + (uint64_t)(*c++ - '0');
        good = c > first && *c++ == (i == 0 ? ' ' : '\n');
    }
    uint64_t month = number[0] % 100;
    if (!good || *c != 0 || number[0] > 999912 || month < 1 || month > 12) {
        snprintf(error, HOST_ERROR_BYTES, "%.160s/relay.volume is damaged; remove it", dir);
        return -1;
    }
    *m = (struct relay_month){.month = (uint32_t)number[0], .bytes = number[1]};
    return 1;
}

int state_relay_month_keep(const char *dir, const struct relay_month *m,
                           char error[static HOST_ERROR_BYTES])
{
    char line[FILE_BYTES_MAX];
    int n =
        snprintf(line, sizeof line, "%u %llu\n", (unsigned)m->month, (unsigned long long)m->bytes);
    return write_file(dir, "relay.volume", line, (size_t)n, error);
}

int state_contacts(const char *dir, struct contact out[static CONTACTS_KEPT_MAX],
                   char error[static HOST_ERROR_BYTES])
{
    char text[CONTACTS_TEXT_BYTES];
    int n = read_file(dir, "contacts", text, sizeof text, error);
    if (n < 0)
        return n == NO_FILE ? 0 : n;
    return (int)contacts_read(out, CONTACTS_KEPT_MAX, text, (size_t)n);
}

int state_contacts_keep(const char *dir, const struct contact *c, size_t n,
                        char error[static HOST_ERROR_BYTES])
{
    char text[CONTACTS_TEXT_BYTES];
    return write_file(dir, "contacts", text, contacts_write(text, c, n), error);
}
