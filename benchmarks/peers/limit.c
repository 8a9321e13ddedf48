/* The physical limit: a loop of send(2), and nothing else. No token is checked, nothing is counted or kept.
 *
 *     limit --port 8000            every message is sent to every connection by itself
 *     limit --port 8000 --join     what was read at once goes to every connection in one send
 *
 * Whoever opens /publish is not sent to: what it says goes to all others. What the others say is sent back to them.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 1 << 16, BUFFER = 1 << 20, EVENTS = 512 };

/* The answer to the one key that the load generator sends. */
static const char ANSWER[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

typedef struct {
    bool open, upgraded, publishes;
    int place; /* in `receivers` */
    char *kept;
    size_t kept_size;
} Peer;

static Peer peers[MOST]; /* by file descriptor */
static int receivers[MOST], receiver_count;
static int poller, listener;
static bool join;
static char incoming[BUFFER], outgoing[BUFFER];
static size_t outgoing_size;

static void leave(int fd) {
    Peer *peer = &peers[fd];
    if (peer->upgraded && !peer->publishes) {
        receivers[peer->place] = receivers[--receiver_count];
        peers[receivers[peer->place]].place = peer->place;
    }
    free(peer->kept);
    *peer = (Peer){0};
    close(fd);
}

/* Who is not ready to take it all is sent away: this is the limit for those that are. */
static void send_all(const char *data, size_t size) {
    for (int i = receiver_count - 1; i >= 0; i--)
        if (send(receivers[i], data, size, MSG_NOSIGNAL) != (ssize_t)size) leave(receivers[i]);
}

static size_t upgrade(int fd, const char *data, size_t size) {
    const char *end = memmem(data, size, "\r\n\r\n", 4);
    if (!end) return 0;
    Peer *peer = &peers[fd];
    peer->upgraded = true;
    peer->publishes = !strncmp(data, "GET /publish", 12);
    if (!peer->publishes) peer->place = receiver_count, receivers[receiver_count++] = fd;
    if (send(fd, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL) < 0) return size;
    return (size_t)(end - data) + 4;
}

/* A client's frame at `data`: written as a server's to `outgoing`; answers the bytes read, 0 when there are too few. */
static size_t turn_frame(const unsigned char *data, size_t have) {
    if (have < 6) return 0;
    size_t head = 2, size = data[1] & 127;
    if (size == 126) head = 4, size = (size_t)data[2] << 8 | data[3];
    if (size == 127 || have < head + 4 + size) return 0;
    const unsigned char *mask = data + head, *payload = mask + 4;
    outgoing[outgoing_size] = (char)data[0];
    outgoing[outgoing_size + 1] = (char)(data[1] & 127);
    if (head == 4) memcpy(outgoing + outgoing_size + 2, data + 2, 2);
    char *to = outgoing + outgoing_size + head;
    for (size_t i = 0; i < size; i++) to[i] = (char)(payload[i] ^ mask[i & 3]);
    outgoing_size += head + size;
    return head + 4 + size;
}

static void take(int fd) {
    Peer *peer = &peers[fd];
    size_t have = peer->kept_size, at = 0;
    if (have) memcpy(incoming, peer->kept, have);
    ssize_t got = recv(fd, incoming + have, BUFFER - have, 0);
    if (got <= 0) {
        if (!got || errno != EAGAIN) leave(fd);
        return;
    }
    have += (size_t)got;
    outgoing_size = 0;
    if (!peer->upgraded) at = upgrade(fd, incoming, have);
    while (peer->upgraded && at < have) {
        size_t used = turn_frame((unsigned char *)incoming + at, have - at);
        if (!used) break;
        at += used;
        if (peer->publishes && !join) send_all(outgoing, outgoing_size), outgoing_size = 0;
    }
    if (outgoing_size && peer->publishes) send_all(outgoing, outgoing_size);
    else if (outgoing_size && send(fd, outgoing, outgoing_size, MSG_NOSIGNAL) < 0) at = have;
    peer->kept_size = have - at;
    if (peer->kept_size) {
        peer->kept = realloc(peer->kept, peer->kept_size);
        memcpy(peer->kept, incoming + at, peer->kept_size);
    }
}

static void welcome(void) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        int yes = 1;
        if (fd >= MOST) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        peers[fd] = (Peer){.open = true};
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int count, char **given) {
    int port = 0, yes = 1;
    for (int i = 1; i < count; i++) {
        if (!strcmp(given[i], "--join")) join = true;
        else if (!strcmp(given[i], "--port") && i + 1 < count) port = atoi(given[++i]);
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("cannot listen");
        return 1;
    }
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        static struct epoll_event events[EVENTS];
        int ready = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == listener) welcome();
            else if (peers[events[i].data.fd].open) take(events[i].data.fd);
        }
    }
}
