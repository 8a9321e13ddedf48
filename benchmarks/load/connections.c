#define _GNU_SOURCE
#include "connections.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gauge.h"

enum { RING = 65536, EVENTS = 512, BUFFER = 1 << 20, STDIN_INDEX = MAX_CONNECTIONS, ECHO_BYTES = 128 };

Setup setup;
Connection connections[MAX_CONNECTIONS];
int opened, pending, ready, joined, failed, closed_slow, closed_else;
char first_failure[200];
Tally tally;
bool timing, echoing, asked, spinning;
uint64_t spun_ns;

static int poller;
static uint64_t due_at[RING]; /* when each message was to be published */
static uint64_t arrival;
static uint32_t published; /* so many messages, ever */
static char buffer[BUFFER];

void fatal(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf("{\"error\":\"");
    vprintf(format, arguments);
    printf("\"}\n");
    va_end(arguments);
    exit(1);
}

void connections_init(void) {
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0) fatal("no epoll: %s", strerror(errno));
    for (int i = 0; i < MAX_CONNECTIONS; i++) connections[i].fd = -1;
}

/* Edge-triggered: the kernel need not look at each socket again to find that all has been read. */
static void arm(Connection *c, int operation, uint32_t events) {
    struct epoll_event event = {.events = events | EPOLLET | EPOLLRDHUP, .data.u32 = (uint32_t)(c - connections)};
    if (epoll_ctl(poller, operation, c->fd, &event)) fatal("epoll_ctl: %s", strerror(errno));
}

void watch(int fd, uint32_t index) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = STDIN_INDEX + index};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) fatal("epoll_ctl: %s", strerror(errno));
}

/* Counts the end of a connection for what it was: refused at the door, or ended later. */
static void end(Connection *c, int code, const char *why, const char *text, size_t size) {
    if (c->fd < 0) return;
    bool publisher = c == &connections[PUBLISHER];
    bool at_door = c->state < READY;
    if (at_door || c->state == JOINING) pending--;
    if (at_door) failed++;
    else if (code == 4008) closed_slow++;
    else closed_else++;
    if (!at_door && !publisher) ready--;
    if (c->state == JOINED && !c->left_out && !publisher) joined--;
    if (code != 4008 && !*first_failure) {
        int at = snprintf(first_failure, sizeof first_failure, "%s%s ", publisher ? "publisher: " : "", why);
        for (size_t i = 0; i < size && at < (int)sizeof first_failure - 1; i++)
            first_failure[at++] = text[i] < ' ' || text[i] == '"' || text[i] == '\\' ? '.' : text[i];
        first_failure[at] = 0;
    }
    close(c->fd);
    free(c->kept), free(c->unsent);
    c->kept = c->unsent = NULL, c->kept_size = c->unsent_size = 0;
    c->fd = -1, c->state = GONE;
}

static void append(char **to, size_t *to_size, const char *data, size_t size) {
    *to = realloc(*to, *to_size + size);
    if (!*to) fatal("out of memory");
    memcpy(*to + *to_size, data, size);
    *to_size += size;
}

static void say(Connection *c, const char *data, size_t size) {
    if (c->fd < 0) return;
    if (!c->unsent_size) {
        ssize_t sent = send(c->fd, data, size, MSG_NOSIGNAL);
        if (sent == (ssize_t)size) return;
        if (sent < 0 && errno != EAGAIN) {
            end(c, 1006, strerror(errno), "", 0);
            return;
        }
        if (sent > 0) data += sent, size -= (size_t)sent;
        arm(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    }
    append(&c->unsent, &c->unsent_size, data, size);
}

static void flush(Connection *c) {
    ssize_t sent = send(c->fd, c->unsent, c->unsent_size, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN) end(c, 1006, strerror(errno), "", 0);
        return;
    }
    c->unsent_size -= (size_t)sent;
    memmove(c->unsent, c->unsent + sent, c->unsent_size);
    if (!c->unsent_size) arm(c, EPOLL_CTL_MOD, c->stalled ? 0 : EPOLLIN);
}

static Dialect dialect_of(const Connection *c) {
    return c == &connections[PUBLISHER] ? setup.publisher_dialect : setup.dialect;
}

static void say_text(Connection *c, int opcode, const char *text, size_t size) {
    char frame[512];
    if (size > sizeof frame - 16) return;
    say(c, frame, write_frame(frame, opcode, text, size));
}

/* The handshake */

static void send_upgrade(Connection *c) {
    size_t index = (size_t)(c - connections);
    bool publisher = index == PUBLISHER;
    const char *token = publisher ? setup.publisher_token : setup.tokens[(index - 1) % setup.token_count];
    char request[16384];
    size_t size = write_upgrade(request, sizeof request, dialect_of(c),
                                publisher ? setup.publisher_path : setup.path, setup.port, token);
    if (!size) fatal("a token is too long");
    c->state = UPGRADING;
    say(c, request, size);
}

void begin(int index) {
    Connection *c = &connections[index];
    int yes = 1, no = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) fatal("socket: %s", strerror(errno));
    opened++, pending++;
    c->state = CONNECTING, c->next = published;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    /* A reset at the end leaves no TIME_WAIT behind, of which there would be tens of thousands. */
    struct linger at_once = {1, 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(index % setup.sources));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK), to.sin_port = htons((uint16_t)setup.port);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from)) fatal("bind: %s", strerror(errno));
    bool through = !connect(c->fd, (struct sockaddr *)&to, sizeof to);
    if (!through && errno != EINPROGRESS) {
        end(c, 1006, strerror(errno), "", 0);
        return;
    }
    /* An ACK for each message would be half of all work here, and says nothing about the server. */
    setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &no, sizeof no);
    arm(c, EPOLL_CTL_ADD, through ? EPOLLIN : EPOLLIN | EPOLLOUT);
    if (through) send_upgrade(c);
}

static void proven(Connection *c) {
    pending--;
    c->state = READY;
    if (c == &connections[PUBLISHER]) return;
    ready++;
    if (setup.dialect != V1) c->state = JOINED, joined++;
}

void subscribe(int index) {
    Connection *c = &connections[index];
    char text[400];
    int size = snprintf(text, sizeof text, "{\"type\":\"subscribe\",\"id\":1,\"channel\":\"%s\"}", setup.channel);
    c->state = JOINING;
    pending++;
    say_text(c, TEXT, text, (size_t)size);
}

/* Messages */

static bool has(const char *text, size_t size, const char *word) { return memmem(text, size, word, strlen(word)); }

static void take_proof(Connection *c, const char *text, size_t size) {
    if (dialect_of(c) == V1) {
        if (has(text, size, "\"welcome\"")) proven(c);
        return;
    }
    if (size && text[0] == '0' && !c->told) {
        c->told = true;
        say_text(c, TEXT, "40", 2);
    } else if (size > 1 && text[0] == '4' && text[1] == '0') {
        proven(c);
    } else {
        end(c, 1006, "refused:", text, size);
    }
}

static void take_message(Connection *c, const char *text, size_t size) {
    if (c->left_out) return;
    long number = number_in(text, size);
    if (number < 0) {
        if (dialect_of(c) == SOCKETIO && size == 1 && *text == '2') say_text(c, TEXT, "3", 1);
        else if (dialect_of(c) == V1 && has(text, size, "\"ping\"")) say_text(c, TEXT, "{\"type\":\"pong\"}", 15);
        else if (has(text, size, "\"error\"")) end(c, 1006, "error:", text, size);
        return;
    }
    if (c == &connections[PUBLISHER]) return;
    uint32_t n = (uint32_t)number;
    if (n == c->next) c->next++;
    else if (n > c->next) tally.missing += n - c->next, c->next = n + 1;
    else tally.disordered++;
    tally.delivered++;
    if (timing) latency_add(arrival - due_at[n % RING]);
    if (echoing) send_echo((int)(c - connections));
}

static void take_frame(Connection *c, int opcode, const char *payload, size_t size) {
    if (opcode == PING) say_text(c, PONG, payload, size);
    if (opcode == CLOSE) {
        const unsigned char *code = (const unsigned char *)payload;
        end(c, size < 2 ? 1005 : code[0] << 8 | code[1], "closed:", payload + 2, size < 2 ? 0 : size - 2);
    }
    if (opcode != TEXT) return;
    if (c->state == PROVING) {
        take_proof(c, payload, size);
    } else if (c->state == JOINING) {
        if (has(payload, size, "\"subscribed\"")) c->state = JOINED, joined++, pending--;
        else if (has(payload, size, "\"error\"")) end(c, 1006, "not subscribed:", payload, size);
    } else {
        take_message(c, payload, size);
    }
}

/* Answers how much of the data was used. */
static size_t consume(Connection *c, const char *data, size_t size) {
    size_t at = 0;
    if (c->state == UPGRADING) {
        long head = upgrade_answered(data, size);
        if (head < 0) end(c, 1006, "no upgrade:", data, size < 150 ? size : 150);
        if (head <= 0) return 0;
        at = (size_t)head;
        c->state = PROVING;
        if (dialect_of(c) == PLAIN) proven(c);
    }
    while (c->fd >= 0) {
        size_t length, head = read_head((const unsigned char *)data + at, size - at, &length);
        if (!head) break;
        unsigned char first = (unsigned char)data[at];
        if (!(first & 0x80) || first & 0x70) fatal("a frame that is split or compressed: nothing asked for that");
        take_frame(c, first & 15, data + at + head, length);
        at += head + length;
    }
    return at;
}

/* Whether there may be more. */
static bool read_some(Connection *c) {
    size_t have = c->kept_size;
    if (have) memcpy(buffer, c->kept, have);
    ssize_t got = recv(c->fd, buffer + have, BUFFER - have, 0);
    if (got <= 0) {
        if (got < 0 && errno == EAGAIN) return false;
        end(c, 1006, got ? strerror(errno) : "closed without a word", "", 0);
        return false;
    }
    bool more = have + (size_t)got == BUFFER;
    if (timing) arrival = now_ns();
    have += (size_t)got;
    size_t used = consume(c, buffer, have);
    if (c->fd < 0) return false;
    if (have - used == BUFFER) fatal("a message is too large");
    c->kept_size = 0;
    if (have > used) append(&c->kept, &c->kept_size, buffer + used, have - used);
    return more;
}

static void on_event(Connection *c, uint32_t events) {
    if (c->fd < 0) return;
    if (c->state == CONNECTING) {
        int problem = 0;
        socklen_t size = sizeof problem;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &problem, &size);
        if (problem) {
            end(c, 1006, strerror(problem), "", 0);
            return;
        }
        arm(c, EPOLL_CTL_MOD, EPOLLIN);
        send_upgrade(c);
        return;
    }
    if (events & EPOLLOUT && c->unsent_size) flush(c);
    bool ending = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    if (ending && c->stalled) return; /* it does not even read that; `unstall` will */
    if (events & ~(uint32_t)EPOLLOUT)
        while (c->fd >= 0 && (read_some(c) || ending)) {}
}

void pump(int timeout_ms) {
    static struct epoll_event events[EVENTS];
    uint64_t before = spinning ? now_ns() : 0;
    int count = epoll_wait(poller, events, EVENTS, spinning ? 0 : timeout_ms);
    if (spinning && count <= 0) spun_ns += now_ns() - before;
    for (int i = 0; i < count; i++) {
        uint32_t index = events[i].data.u32;
        if (index == STDIN_INDEX) asked = true;
        else if (index < STDIN_INDEX) on_event(&connections[index], events[i].events);
    }
}

/* What the scenes do */

void stall(int index) {
    Connection *c = &connections[index];
    if (c->fd < 0 || c->stalled) return;
    if (!c->left_out) joined--;
    c->stalled = c->left_out = true;
    arm(c, EPOLL_CTL_MOD, 0);
}

void unstall(int index) {
    Connection *c = &connections[index];
    if (c->fd < 0 || !c->stalled) return;
    c->stalled = false;
    arm(c, EPOLL_CTL_MOD, EPOLLIN);
}

void send_echo(int index) {
    char frame[1024];
    Connection *c = &connections[index];
    say(c, frame, write_message(frame, setup.dialect, ECHO, setup.channel, c->next, ECHO_BYTES));
}

void publish(int count, size_t size, uint64_t due) {
    static char frames[64 * (MAX_MESSAGE + 512)];
    size_t at = 0;
    for (int i = 0; i < count; i++, published++) {
        due_at[published % RING] = due;
        at += write_message(frames + at, setup.publisher_dialect, PUBLISH, setup.channel, published, size);
    }
    if (connections[PUBLISHER].fd < 0) fatal("the publisher is gone: %s", first_failure);
    say(&connections[PUBLISHER], frames, at);
}

void tally_reset(void) {
    tally = (Tally){0, 0, 0};
    for (int i = 1; i < opened; i++) connections[i].next = published;
}
