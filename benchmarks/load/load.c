/* The load generator: WebSocket connections on one core, led by commands on stdin.
 *
 *     load --port 8000 --pid 4242 --wire plain --path /ws --tokens FILE --publisher-token FILE
 *
 * `--wire` is plain, v1 or socketio, of all connections; `--publisher-wire` after it, of the one that publishes.
 *
 * Each command answers one line of JSON:
 *
 *     connect COUNT AT_ONCE SECONDS           more subscribers, until they are proven or the time is over
 *     join                                    subscribe those that are not (holdfast.v1; elsewhere nothing to do)
 *     publisher                               open the connection that publishes
 *     fanout BURST SECONDS                    publish so many in one write, wait until all have all, again
 *     rate PER_SECOND SECONDS BYTES STALLED   publish at a fixed rate while the last so many do not read
 *     echo CONNECTIONS SECONDS                each sends again as soon as it is answered
 *     rest SECONDS                            only answer what must be answered
 *     quit
 *
 * Only loopback addresses are ever contacted. Every message has a number, and every connection checks that the next
 * one is the next one. The error of a command that cannot go on is its answer, and the program ends.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "connections.h"
#include "gauge.h"

enum { JOINING_AT_ONCE = 64, MESSAGE_BYTES = 128, TIMER = 1 };
static const uint64_t SECOND = 1000000000u;
static const uint64_t PATIENCE = 5000000000u; /* so long nothing comes, and a scene has failed */

static pid_t server;

static uint64_t from_seconds(double seconds) { return (uint64_t)(seconds * 1e9); }

static void print_counts(void) {
    printf(",\"ready\":%d,\"joined\":%d,\"failed\":%d,\"closed_slow\":%d,\"closed_else\":%d", ready, joined, failed,
           closed_slow, closed_else);
    if (*first_failure) printf(",\"first_failure\":\"%s\"", first_failure);
}

/* `stuck` says that deliveries stopped before all had come. */
static void print_deliveries(const Mark *start, bool stuck) {
    printf("{");
    print_since(stdout, start, server, spun_ns);
    printf(",\"delivered\":%llu,\"missing\":%llu,\"disordered\":%llu,\"stuck\":%s", (unsigned long long)tally.delivered,
           (unsigned long long)tally.missing, (unsigned long long)tally.disordered, stuck ? "true" : "false");
    latency_print(stdout);
    print_counts();
    printf("}\n");
}

/* While it spins, the server's sends find nobody to wake, which in a virtual machine costs them as much again. */
static Mark begin_slice(bool spin) {
    spinning = spin;
    spun_ns = 0;
    return mark_now(server);
}

/* Whether so many deliveries have come, in the end; not when none comes for a while. */
static bool wait_for(uint64_t deliveries) {
    uint64_t before = tally.delivered, patient_until = now_ns() + PATIENCE;
    while (tally.delivered + tally.missing < deliveries) {
        pump(100);
        if (tally.delivered != before) {
            before = tally.delivered;
            patient_until = now_ns() + PATIENCE;
        } else if (now_ns() > patient_until) {
            return false;
        }
    }
    return true;
}

static void do_connect(int count, int at_once, double seconds) {
    int first = opened ? opened : 1, last = first + count, next = first, before = ready;
    if (last > MAX_CONNECTIONS) fatal("more than %d connections", MAX_CONNECTIONS - 1);
    if (!opened) opened = 1; /* the publisher's place */
    Mark start = begin_slice(true);
    uint64_t until = start.at + from_seconds(seconds);
    while (next < last || pending) {
        while (next < last && pending < at_once && now_ns() < until) begin(next++);
        if (now_ns() >= until) next = last;
        if (pending) pump(100);
        if (now_ns() > until + PATIENCE) break;
    }
    printf("{");
    print_since(stdout, &start, server, spun_ns);
    printf(",\"done\":%d", ready - before);
    print_counts();
    printf("}\n");
}

static void do_join(void) {
    Mark start = begin_slice(true);
    uint64_t patient_until = start.at + 12 * PATIENCE;
    int before = joined;
    for (int next = 1; next < opened || pending;) {
        for (; next < opened && pending < JOINING_AT_ONCE; next++)
            if (connections[next].state == READY) subscribe(next);
        if (pending) pump(100);
        if (now_ns() > patient_until) fatal("subscribing takes longer than a minute");
    }
    printf("{");
    print_since(stdout, &start, server, spun_ns);
    printf(",\"done\":%d", joined - before);
    print_counts();
    printf("}\n");
}

static void do_publisher(void) {
    int before = opened;
    begin(PUBLISHER);
    opened = before ? before : 1;
    uint64_t patient_until = now_ns() + PATIENCE;
    while (connections[PUBLISHER].state < READY) {
        if (connections[PUBLISHER].fd < 0) fatal("the publisher was refused: %s", first_failure);
        if (now_ns() > patient_until) fatal("the publisher is not answered");
        pump(100);
    }
    printf("{\"done\":1}\n");
}

static void do_fanout(int burst, double seconds) {
    if (burst < 1 || burst > 64) fatal("bursts are of 1 to 64 messages");
    tally_reset();
    latency_reset();
    Mark start = begin_slice(true);
    uint64_t until = start.at + from_seconds(seconds), due = 0;
    bool going = joined > 0;
    while (going && now_ns() < until) {
        publish(burst, MESSAGE_BYTES, 0);
        due += (uint64_t)burst * (uint64_t)joined;
        going = wait_for(due);
    }
    print_deliveries(&start, !going);
}

static void do_rate(double per_second, double seconds, int bytes, int stalled) {
    if (bytes < 32 || bytes > MAX_MESSAGE) fatal("messages are of 32 to %d bytes", MAX_MESSAGE);
    for (int i = opened - 1; i > 0 && stalled > 0; i--, stalled--) stall(i);
    tally_reset();
    latency_reset();
    uint64_t period = (uint64_t)((double)SECOND / per_second), expired, due = 0;
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct itimerspec every = {{(time_t)(period / SECOND), (long)(period % SECOND)}, {0, 1}};
    watch(timer, TIMER);
    Mark start = begin_slice(false); /* at a rate that leaves it time, waking it is part of what a client sees */
    uint64_t next = start.at, until = start.at + from_seconds(seconds);
    timing = true;
    timerfd_settime(timer, 0, &every, NULL);
    while (next < until) {
        pump(100);
        if (read(timer, &expired, sizeof expired) != sizeof expired) continue;
        for (; expired && next < until; expired--, next += period, due += (uint64_t)joined)
            publish(1, (size_t)bytes, now_ns());
    }
    bool all = wait_for(due);
    timing = false;
    close(timer);
    print_deliveries(&start, !all);
}

static void do_echo(int count, double seconds) {
    tally_reset();
    latency_reset();
    if (count > opened - 1) count = opened - 1;
    Mark start = begin_slice(true);
    uint64_t until = start.at + from_seconds(seconds), before = 0;
    echoing = true;
    for (int i = 1; i <= count; i++) send_echo(i);
    while (now_ns() < until) pump(50);
    before = tally.delivered;
    print_deliveries(&start, !before);
    echoing = false;
    wait_for(before + (uint64_t)count); /* what is still on its way */
    tally_reset();
}

static void do_rest(double seconds) {
    for (int i = 1; i < opened; i++)
        if (connections[i].stalled) unstall(i);
    uint64_t until = now_ns() + from_seconds(seconds);
    while (now_ns() < until) pump(20);
    printf("{\"done\":1");
    print_counts();
    printf("}\n");
}

static void obey(char *line) {
    int count, other, stalled;
    double seconds, rate;
    if (sscanf(line, "connect %d %d %lf", &count, &other, &seconds) == 3) do_connect(count, other, seconds);
    else if (!strcmp(line, "join")) do_join();
    else if (!strcmp(line, "publisher")) do_publisher();
    else if (sscanf(line, "fanout %d %lf", &count, &seconds) == 2) do_fanout(count, seconds);
    else if (sscanf(line, "rate %lf %lf %d %d", &rate, &seconds, &count, &stalled) == 4)
        do_rate(rate, seconds, count, stalled);
    else if (sscanf(line, "echo %d %lf", &count, &seconds) == 2) do_echo(count, seconds);
    else if (sscanf(line, "rest %lf", &seconds) == 1) do_rest(seconds);
    else if (!strcmp(line, "quit")) exit(0);
    else fatal("no such command");
    spinning = false;
    fflush(stdout);
}

/* Commands are short and come one at a time, so one read is one command; the end of stdin ends the program. */
static void serve_commands(void) {
    char line[200];
    watch(STDIN_FILENO, 0);
    for (;;) {
        asked = false;
        while (!asked) pump(-1);
        ssize_t size = read(STDIN_FILENO, line, sizeof line - 1);
        if (size <= 0) exit(0);
        while (size && (line[size - 1] == '\n' || line[size - 1] == ' ')) size--;
        line[size] = 0;
        obey(line);
    }
}

/* One token a line. */
static size_t read_tokens(const char *path, char ***tokens) {
    FILE *file = fopen(path, "r");
    if (!file) fatal("no file of tokens");
    size_t count = 0, room = 0;
    char *line = NULL;
    *tokens = NULL;
    while (getline(&line, &room, file) > 0) {
        line[strcspn(line, "\r\n")] = 0;
        *tokens = realloc(*tokens, (count + 1) * sizeof **tokens);
        if (!*tokens) fatal("out of memory");
        (*tokens)[count++] = strdup(line);
    }
    free(line);
    fclose(file);
    if (!count) fatal("a file without a token");
    return count;
}

static void take_option(const char *name, const char *value) {
    if (!strcmp(name, "--port")) setup.port = atoi(value);
    else if (!strcmp(name, "--pid")) server = atoi(value);
    else if (!strcmp(name, "--path")) setup.path = value;
    else if (!strcmp(name, "--publisher-path")) setup.publisher_path = value;
    else if (!strcmp(name, "--channel")) setup.channel = value;
    else if (!strcmp(name, "--sources")) setup.sources = atoi(value);
    else if (!strcmp(name, "--tokens")) setup.token_count = read_tokens(value, &setup.tokens);
    else if (!strcmp(name, "--publisher-token")) {
        char **one;
        read_tokens(value, &one);
        setup.publisher_token = one[0];
    } else if (!strcmp(name, "--wire") || !strcmp(name, "--publisher-wire")) {
        int dialect = dialect_named(value);
        if (dialect < 0) fatal("no such wire: %s", value);
        if (name[2] == 'w') setup.dialect = (Dialect)dialect;
        setup.publisher_dialect = (Dialect)dialect;
    } else fatal("no such option: %s", name);
}

int main(int count, char **given) {
    setup = (Setup){.sources = 16, .path = "/", .channel = "public:bench", .publisher_token = ""};
    for (int i = 1; i + 1 < count; i += 2) take_option(given[i], given[i + 1]);
    if (!setup.publisher_path) setup.publisher_path = setup.path;
    if (setup.port <= 0 || setup.sources < 1 || setup.sources > 200 || !setup.token_count)
        fatal("needs --port, --tokens, and 1 to 200 --sources");
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    connections_init();
    serve_commands();
}
