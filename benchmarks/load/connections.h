/* WebSocket connections of one process, one event loop, and the count of what came over them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire.h"

typedef enum { GONE, CONNECTING, UPGRADING, PROVING, READY, JOINING, JOINED } State;

typedef struct {
    int fd;
    uint8_t state;
    bool stalled;  /* it does not read */
    bool left_out; /* it did not once, so what it gets is not counted with the others' */
    bool told;     /* Socket.IO's second step was taken */
    uint32_t next; /* the number that comes next */
    char *kept, *unsent;
    size_t kept_size, unsent_size;
} Connection;

typedef struct {
    Dialect dialect, publisher_dialect;
    int port, sources;
    const char *path, *publisher_path, *channel, *publisher_token;
    char **tokens;
    size_t token_count;
} Setup;

/* What came since `tally_reset`, of connections that are not left out. */
typedef struct {
    uint64_t delivered, missing, disordered;
} Tally;

enum { PUBLISHER = 0, MAX_CONNECTIONS = 65536, MAX_MESSAGE = 60000 };

extern Setup setup;
extern Connection connections[MAX_CONNECTIONS]; /* the publisher is the first */
extern int opened;                              /* how many have been begun, with the publisher */
extern int pending;                             /* handshakes or subscriptions on their way */
extern int ready;                               /* subscribers that are proven */
extern int joined;                              /* subscribers that get messages, those left out not counted */
extern int failed, closed_slow, closed_else;    /* refused at the door; ended later with 4008; with anything else */
extern char first_failure[200];
extern Tally tally;
extern bool timing;     /* latencies are taken */
extern bool echoing;    /* what comes is answered with the next message */
extern bool asked;      /* a command waits on stdin */
extern bool spinning;   /* it asks without waiting, so that no send of the server has to wake it */
extern uint64_t spun_ns; /* the time of asking in vain */

void connections_init(void);
void begin(int index);
void subscribe(int index);
void stall(int index);
/* It reads again; that is not counted, except how it ended. */
void unstall(int index);
/* Send a message from the connection, with the number that it expects next. */
void send_echo(int index);
/* Publish `count` messages of `size` bytes in one write; they were due at `due`. */
void publish(int count, size_t size, uint64_t due);
/* From here on every connection expects what will be published next. */
void tally_reset(void);
/* Wait for the next events, at most so many milliseconds, and take them; -1 is without end. */
void pump(int timeout_ms);
void watch(int fd, uint32_t index);
void fatal(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
