// build/bauta-lab-link: a link between two network namespaces, in user space (README.md).
#include "tools/lab/model.h"
#include "tools/lab/option.h"
#include "tools/lab/packet.h"
#include "tools/lab/store.h"
#include "tools/lab/tun.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define NETNS_BYTES 256u
#define MTU_MIN 576u
#define MTU_MAX 9000u
#define STORE_PACKETS 65536u // on their way in one direction: 100 MB of full packets
#define TURN_PACKETS 64u     // of one kind in one turn, so that the other direction is not late
#define DEVICE_PACKETS 2000u // a burst that comes while this process does not run
#define SLEEP_NS_MAX (100 * LAB_MS)
#define LATE_BUCKET_NS (10 * LAB_US)
#define LATE_BUCKETS 2000u // the last one: 20 ms and more

struct counts {
    uint64_t packets_in, bytes_in, packets_out, bytes_out;
    uint64_t queue_full, lost, too_long, no_room, refused;
    uint64_t reordered, duplicated, marked;
    uint64_t late_max_ns, late[LATE_BUCKETS]; // delivered after they should have been
};

struct direction { // from one end to the other
    struct lab_lane lane;
    struct lab_store store;
    struct counts n;
};

struct link {
    struct tun tun[2];
    struct direction from[2]; // [0]: what comes out of end a
    uint8_t packet[MTU_MAX];
    uint64_t turn_max_ns; // the longest time in which nothing was read
};

struct settings {
    char netns[2][NETNS_BYTES];
    struct tun_config tun[2];
    struct lab_lane_config lane[2];
    uint64_t run_ns; // 0: until a signal
    bool until_eof, realtime;
};

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
    (void)sig;
    stopped = 1;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * LAB_S + (uint64_t)t.tv_nsec;
}

// ---- carrying -------------------------------------------------------------------------------------

static void offer(struct direction *d, uint8_t *packet, uint32_t len, uint64_t now)
{
    struct lab_verdict v = lab_lane_offer(&d->lane, now, len);
    d->n.packets_in++;
    d->n.bytes_in += len;
    d->n.queue_full += v.fate == LAB_QUEUE_FULL;
    d->n.lost += v.fate == LAB_LOST;
    d->n.too_long += v.fate == LAB_TOO_LONG;
    if (v.fate != LAB_CARRIED)
        return;
    if (v.mark)
        d->n.marked += lab_packet_mark(packet, len);
    d->n.reordered += v.reordered;
    d->n.duplicated += v.copies - 1;
    for (unsigned i = 0; i < v.copies; i++)
        d->n.no_room += lab_store_put(&d->store, v.at_ns, packet, len) != 0;
}

static unsigned take_in(struct link *k, int end)
{
    unsigned i = 0;
    for (; i < TURN_PACKETS; i++) {
        ssize_t n = read(k->tun[end].fd, k->packet, sizeof k->packet);
        if (n <= 0)
            break;
        offer(&k->from[end], k->packet, (uint32_t)n, now_ns());
    }
    return i;
}

static unsigned hand_out(struct link *k, int end)
{
    struct direction *d = &k->from[end];
    unsigned i = 0;
    for (; i < TURN_PACKETS; i++) {
        uint64_t at = lab_store_next(&d->store), now = now_ns();
        if (at > now)
            break;
        uint32_t len;
        const uint8_t *packet = lab_store_take(&d->store, &len);
        uint64_t late = now - at;
        if (late > d->n.late_max_ns)
            d->n.late_max_ns = late;
        size_t bucket = late / LATE_BUCKET_NS;
        d->n.late[bucket < LATE_BUCKETS ? bucket : LATE_BUCKETS - 1]++;
        if (write(k->tun[end ^ 1].fd, packet, len) != (ssize_t)len) {
            d->n.refused++;
        } else {
            d->n.packets_out++;
            d->n.bytes_out += len;
        }
    }
    return i;
}

static void carry(struct link *k, const struct settings *s)
{
    uint64_t start = now_ns(), turn = start;
    struct pollfd fds[3] = {{.fd = k->tun[0].fd, .events = POLLIN},
                            {.fd = k->tun[1].fd, .events = POLLIN},
                            {.fd = s->until_eof ? STDIN_FILENO : -1, .events = POLLIN}};
    while (!stopped) {
        unsigned done = 0;
        for (int end = 0; end < 2; end++)
            done += take_in(k, end) + hand_out(k, end);
        uint64_t now = now_ns(), next = now + SLEEP_NS_MAX;
        if (now - turn > k->turn_max_ns)
            k->turn_max_ns = now - turn;
        turn = now;
        if (s->run_ns > 0 && now - start >= s->run_ns)
            return;
        if (s->run_ns > 0 && start + s->run_ns < next)
            next = start + s->run_ns;
        for (int end = 0; end < 2; end++)
            if (lab_store_next(&k->from[end].store) < next)
                next = lab_store_next(&k->from[end].store);
        uint64_t sleep = done > 0 || next <= now ? 0 : next - now;
        struct timespec t = {(time_t)(sleep / LAB_S), (long)(sleep % LAB_S)};
        int ready = ppoll(fds, 3, &t, NULL);
        if (ready > 0 && fds[2].revents != 0 && read(STDIN_FILENO, k->packet, 1) <= 0)
            return;
        if (ready == 0 && sleep > 0)
            turn = now_ns() < next ? now_ns() : next; // it was meant to sleep until then
        else if (ready > 0)
            turn = now_ns();
    }
}

// ---- at the end -------------------------------------------------------------------------------------

// The q-quantile of the lateness, in microseconds.
static uint64_t late_us(const struct counts *n, double q)
{
    uint64_t all = 0, below = 0;
    for (size_t i = 0; i < LATE_BUCKETS; i++)
        all += n->late[i];
    for (size_t i = 0; i < LATE_BUCKETS; i++)
        if ((double)(below += n->late[i]) >= q * (double)all && all > 0)
            return (i + 1) * LATE_BUCKET_NS / LAB_US;
    return 0;
}

static void report_direction(const struct link *k, int end)
{
    const struct direction *d = &k->from[end];
    const struct counts *n = &d->n;
    printf("\"%s\": {\"packets_in\": %" PRIu64 ", \"bytes_in\": %" PRIu64
           ", \"packets_out\": %" PRIu64 ", \"bytes_out\": %" PRIu64 ", \"queue_full\": %" PRIu64
           ", \"lost\": %" PRIu64 ", \"too_long\": %" PRIu64 ", \"no_room\": %" PRIu64
           ", \"refused\": %" PRIu64 ", \"device_dropped\": %" PRId64 ", \"on_the_way\": %" PRIu32
           ", \"reordered\": %" PRIu64 ", \"duplicated\": %" PRIu64 ", \"marked\": %" PRIu64
           ", \"queue_bytes_max\": %" PRIu64 ", \"late_us_p50\": %" PRIu64
           ", \"late_us_p99\": %" PRIu64 ", \"late_us_max\": %" PRIu64 "}",
           end == 0 ? "from_a" : "from_b", n->packets_in, n->bytes_in, n->packets_out, n->bytes_out,
           n->queue_full, n->lost, n->too_long, n->no_room, n->refused, tun_dropped(&k->tun[end]),
           d->store.count, n->reordered, n->duplicated, n->marked, d->lane.queue_bytes_max,
           late_us(n, 0.5), late_us(n, 0.99), n->late_max_ns / LAB_US);
}

static int run(struct link *k, const struct settings *s)
{
    for (int end = 0; end < 2; end++)
        k->tun[end] = (struct tun){.fd = -1, .netns = -1};
    for (int end = 0; end < 2; end++) {
        lab_lane_init(&k->from[end].lane, &s->lane[end]);
        if (lab_store_init(&k->from[end].store, STORE_PACKETS, s->tun[0].mtu) != 0) {
            fprintf(stderr, "bauta-lab-link: no memory\n");
            return 1;
        }
        if (tun_open(&k->tun[end], &s->tun[end]) != 0)
            return 1;
    }
    struct sched_param first = {.sched_priority = 1};
    if (s->realtime && sched_setscheduler(0, SCHED_FIFO, &first) != 0)
        perror("bauta-lab-link: --realtime");
    (void)prctl(PR_SET_TIMERSLACK, 1UL); // nanoseconds
    printf("{\"event\": \"ready\"}\n");
    fflush(stdout);
    uint64_t start = now_ns();
    carry(k, s);
    printf("{\"event\": \"end\", \"seconds\": %.3f, \"turn_us_max\": %" PRIu64 ", ",
           (double)(now_ns() - start) / (double)LAB_S, k->turn_max_ns / LAB_US);
    report_direction(k, 0);
    printf(", ");
    report_direction(k, 1);
    printf("}\n");
    return fflush(stdout) != 0;
}

// ---- the command line -------------------------------------------------------------------------------

static const char help_text[] =
    "bauta-lab-link --a NETNS --b NETNS [options]: a link between two network namespaces\n"
    "NETNS: a name of `ip netns`, or a file such as /proc/PID/ns/net\n"
    "\n"
    "The ends\n"
    "  --device NAME         name of the device at both ends (lab0)\n"
    "  --address-a IP/LEN    (10.77.0.1/24)       --address-b IP/LEN   (10.77.0.2/24), or none\n"
    "  --address6-a IP/LEN   (none)               --address6-b IP/LEN  (none)\n"
    "  --mtu BYTES           of both devices (1500)\n"
    "The way: for both directions, or after `--only a` (or b) for packets that come from there\n"
    "  --only a|b|both\n"
    "  --rate BITS           a second, of whole IP packets: 200M, 1.5G (no limit)\n"
    "  --queue BYTES         before the bottleneck, drop-tail: 1M, 64k (1M)\n"
    "  --mark BYTES          ECN: marks what finds that many bytes waiting (never)\n"
    "  --delay TIME          one way: 20ms, 500us (0)\n"
    "  --jitter TIME         more delay, from 0 to TIME, in order (0)\n"
    "  --jitter-period TIME  from one random point to the next (10ms)\n"
    "  --jitter-free         each packet has a jitter of its own and overtakes others\n"
    "  --loss PERCENT        0.1% (0%)\n"
    "  --reorder PERCENT     held back by             --reorder-by TIME (2ms)\n"
    "  --duplicate PERCENT\n"
    "  --path-mtu BYTES      longer ones vanish\n"
    "  --seed N              (1)\n"
    "Its own life: ends at SIGINT or SIGTERM, with counters as JSON on the last line\n"
    "  --seconds TIME        ends after that time: 10s\n"
    "  --until-eof           ends when standard input ends\n"
    "  --realtime            runs before all ordinary processes (needs the right to)\n";

enum option_id {
    OPT_A = 1000,
    OPT_B,
    OPT_DEVICE,
    OPT_ADDRESS_A,
    OPT_ADDRESS_B,
    OPT_ADDRESS6_A,
    OPT_ADDRESS6_B,
    OPT_MTU,
    OPT_ONLY,
    OPT_RATE,
    OPT_QUEUE,
    OPT_MARK,
    OPT_DELAY,
    OPT_JITTER,
    OPT_JITTER_PERIOD,
    OPT_JITTER_FREE,
    OPT_LOSS,
    OPT_REORDER,
    OPT_REORDER_BY,
    OPT_DUPLICATE,
    OPT_PATH_MTU,
    OPT_SEED,
    OPT_SECONDS,
    OPT_UNTIL_EOF,
    OPT_REALTIME,
    OPT_HELP
};

static const struct option options[] = {{"a", 1, NULL, OPT_A},
                                        {"b", 1, NULL, OPT_B},
                                        {"device", 1, NULL, OPT_DEVICE},
                                        {"address-a", 1, NULL, OPT_ADDRESS_A},
                                        {"address-b", 1, NULL, OPT_ADDRESS_B},
                                        {"address6-a", 1, NULL, OPT_ADDRESS6_A},
                                        {"address6-b", 1, NULL, OPT_ADDRESS6_B},
                                        {"mtu", 1, NULL, OPT_MTU},
                                        {"only", 1, NULL, OPT_ONLY},
                                        {"rate", 1, NULL, OPT_RATE},
                                        {"queue", 1, NULL, OPT_QUEUE},
                                        {"mark", 1, NULL, OPT_MARK},
                                        {"delay", 1, NULL, OPT_DELAY},
                                        {"jitter", 1, NULL, OPT_JITTER},
                                        {"jitter-period", 1, NULL, OPT_JITTER_PERIOD},
                                        {"jitter-free", 0, NULL, OPT_JITTER_FREE},
                                        {"loss", 1, NULL, OPT_LOSS},
                                        {"reorder", 1, NULL, OPT_REORDER},
                                        {"reorder-by", 1, NULL, OPT_REORDER_BY},
                                        {"duplicate", 1, NULL, OPT_DUPLICATE},
                                        {"path-mtu", 1, NULL, OPT_PATH_MTU},
                                        {"seed", 1, NULL, OPT_SEED},
                                        {"seconds", 1, NULL, OPT_SECONDS},
                                        {"until-eof", 0, NULL, OPT_UNTIL_EOF},
                                        {"realtime", 0, NULL, OPT_REALTIME},
                                        {"help", 0, NULL, OPT_HELP},
                                        {NULL, 0, NULL, 0}};

// An option of one direction. 0, or -1 for a value that makes no sense.
static int set_lane(struct lab_lane_config *c, int opt, const char *text)
{
    uint64_t n = 0;
    switch (opt) {
    case OPT_RATE:
        if (lab_option_count(text, LAB_RATE_MAX, &n) != 0 || n < LAB_RATE_MIN)
            return -1;
        c->rate_bps = n;
        return 0;
    case OPT_QUEUE:
        return lab_option_count(text, LAB_QUEUE_BYTES_MAX, &c->queue_bytes);
    case OPT_MARK:
        return lab_option_count(text, LAB_QUEUE_BYTES_MAX, &c->mark_bytes);
    case OPT_DELAY:
        return lab_option_time(text, LAB_DELAY_MAX, &c->delay_ns);
    case OPT_JITTER:
        return lab_option_time(text, LAB_DELAY_MAX, &c->jitter_ns);
    case OPT_JITTER_PERIOD:
        return lab_option_time(text, LAB_S, &c->jitter_period_ns);
    case OPT_JITTER_FREE:
        c->jitter_free = true;
        return 0;
    case OPT_LOSS:
        return lab_option_share(text, &c->loss_ppm);
    case OPT_REORDER:
        return lab_option_share(text, &c->reorder_ppm);
    case OPT_REORDER_BY:
        return lab_option_time(text, LAB_DELAY_MAX, &c->reorder_ns);
    case OPT_DUPLICATE:
        return lab_option_share(text, &c->duplicate_ppm);
    case OPT_PATH_MTU:
        if (lab_option_count(text, MTU_MAX, &n) != 0)
            return -1;
        c->path_mtu = (uint32_t)n;
        return 0;
    default: // OPT_SEED
        return lab_option_count(text, UINT32_MAX, &c->seed);
    }
}

static int set_both(struct settings *s, int opt, const char *text)
{
    uint64_t n = 0;
    if (opt == OPT_SECONDS)
        return lab_option_time(text, 86400 * LAB_S, &s->run_ns);
    if (opt == OPT_MTU && (lab_option_count(text, MTU_MAX, &n) != 0 || n < MTU_MIN))
        return -1;
    if (opt == OPT_DEVICE && (strlen(text) == 0 || strlen(text) >= TUN_NAME_BYTES))
        return -1;
    for (int i = 0; i < 2; i++)
        if (opt == OPT_MTU)
            s->tun[i].mtu = (uint32_t)n;
        else if (opt == OPT_DEVICE)
            s->tun[i].name = text;
    s->until_eof = s->until_eof || opt == OPT_UNTIL_EOF;
    s->realtime = s->realtime || opt == OPT_REALTIME;
    return 0;
}

// A name becomes the file that `ip netns` keeps. -1: too long.
static int set_netns(struct settings *s, int end, const char *name)
{
    const char *folder = strchr(name, '/') == NULL ? "/run/netns/" : "";
    int n = snprintf(s->netns[end], sizeof s->netns[end], "%s%s", folder, name);
    s->tun[end].netns = s->netns[end];
    return n > 0 && (size_t)n < sizeof s->netns[end] ? 0 : -1;
}

static int set(struct settings *s, int opt, const char *text, unsigned *only)
{
    int rc = 0;
    switch (opt) {
    case OPT_A:
    case OPT_B:
        return set_netns(s, opt - OPT_A, text);
    case OPT_ADDRESS_A:
    case OPT_ADDRESS_B:
        s->tun[opt - OPT_ADDRESS_A].address = strcmp(text, "none") == 0 ? NULL : text;
        return 0;
    case OPT_ADDRESS6_A:
    case OPT_ADDRESS6_B:
        s->tun[opt - OPT_ADDRESS6_A].address6 = text;
        return 0;
    case OPT_ONLY:
        *only = strcmp(text, "a") == 0 ? 1u : strcmp(text, "b") == 0 ? 2u : 3u;
        return *only == 3 && strcmp(text, "both") != 0 ? -1 : 0;
    case OPT_DEVICE:
    case OPT_MTU:
    case OPT_SECONDS:
    case OPT_UNTIL_EOF:
    case OPT_REALTIME:
        return set_both(s, opt, text);
    default:
        for (unsigned i = 0; i < 2; i++)
            if (*only & (1u << i))
                rc |= set_lane(&s->lane[i], opt, text);
        return rc;
    }
}

// 0: go on; else the exit status plus 1.
static int read_options(struct settings *s, int argc, char **argv)
{
    unsigned only = 3;
    int opt, at = 0;
    while ((opt = getopt_long(argc, argv, "", options, &at)) != -1) {
        if (opt == OPT_HELP) {
            fputs(help_text, stdout);
            return 1;
        }
        if (opt == '?')
            return 3;
        if (set(s, opt, optarg, &only) != 0) {
            fprintf(stderr, "bauta-lab-link: --%s %s: no such value\n", options[at].name, optarg);
            return 3;
        }
    }
    if (optind != argc || s->tun[0].netns == NULL || s->tun[1].netns == NULL) {
        fprintf(stderr, "bauta-lab-link: %s\n",
                optind != argc ? "an argument that is no option" : "--a and --b are needed");
        return 3;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct settings s = {0};
    for (int i = 0; i < 2; i++) {
        s.tun[i] = (struct tun_config){.name = "lab0",
                                       .address = i == 0 ? "10.77.0.1/24" : "10.77.0.2/24",
                                       .mtu = 1500,
                                       .queue_packets = DEVICE_PACKETS};
        s.lane[i] = (struct lab_lane_config){.queue_bytes = 1000000,
                                             .jitter_period_ns = 10 * LAB_MS,
                                             .reorder_ns = 2 * LAB_MS,
                                             .seed = 1};
    }
    int stop = read_options(&s, argc, argv);
    if (stop != 0)
        return stop - 1;
    s.lane[1].seed ^= UINT64_C(1) << 32; // the directions draw apart
    struct sigaction act = {.sa_handler = on_signal};
    if (sigaction(SIGINT, &act, NULL) != 0 || sigaction(SIGTERM, &act, NULL) != 0)
        return 1;
    struct link *k = calloc(1, sizeof *k);
    if (k == NULL)
        return 1;
    int rc = run(k, &s);
    for (int end = 0; end < 2; end++) {
        tun_close(&k->tun[end]);
        lab_store_free(&k->from[end].store);
    }
    free(k);
    return rc;
}
