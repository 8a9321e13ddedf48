/* What is said on the wire: the handshake, RFC 6455 frames, and the three dialects in them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef enum { PLAIN, V1, SOCKETIO } Dialect;

enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };
enum { FIRST = 1000000000 }; /* numbers of messages start here, so that all have ten digits */

/* -1 when there is no such dialect. */
int dialect_named(const char *name);

size_t write_upgrade(char *out, size_t room, Dialect dialect, const char *path, int port, const char *token);

/* Bytes of the answer's head once it is whole, 0 before that, -1 when it is no good upgrade. */
long upgrade_answered(const char *data, size_t size);

/* A masked frame around `size` bytes at `payload`; answers its whole size. */
size_t write_frame(char *out, int opcode, const char *payload, size_t size);

/* One frame: the head's size, or 0 when there is not enough yet; `size` is the payload's. */
size_t read_head(const unsigned char *data, size_t have, size_t *size);

typedef enum { PUBLISH, ECHO } Purpose;

/* A framed message whose own text has `size` bytes and the number `n` (from 0); answers the bytes written. */
size_t write_message(char *out, Dialect dialect, Purpose purpose, const char *channel, uint32_t n, size_t size);

/* The number of the message inside, from 0, or -1 when there is none. */
long number_in(const char *payload, size_t size);
