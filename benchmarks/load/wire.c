#define _GNU_SOURCE
#include "wire.h"

#include <stdio.h>
#include <string.h>

/* The key of RFC 6455, section 1.3, and what every server must make of it. */
static const char KEY[] = "dGhlIHNhbXBsZSBub25jZQ==";
static const char ACCEPT[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

int dialect_named(const char *name) {
    static const char *names[] = {"plain", "v1", "socketio"};
    for (int each = PLAIN; each <= SOCKETIO; each++)
        if (!strcmp(name, names[each])) return each;
    return -1;
}

size_t write_upgrade(char *out, size_t room, Dialect dialect, const char *path, int port, const char *token) {
    int size = snprintf(out, room,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n%s%s%s%s\r\n",
                        path, port, KEY, *token ? "Authorization: Bearer " : "", token, *token ? "\r\n" : "",
                        dialect == V1 ? "Sec-WebSocket-Protocol: holdfast.v1\r\n" : "");
    return size < 0 || (size_t)size >= room ? 0 : (size_t)size;
}

long upgrade_answered(const char *data, size_t size) {
    const char *end = memmem(data, size, "\r\n\r\n", 4);
    if (!end) return size > 8192 ? -1 : 0;
    size_t head = (size_t)(end - data) + 4;
    if (head < 12 || memcmp(data, "HTTP/1.1 101", 12)) return -1;
    return memmem(data, head, ACCEPT, sizeof ACCEPT - 1) ? (long)head : -1;
}

size_t write_frame(char *out, int opcode, const char *payload, size_t size) {
    size_t at = 0;
    out[at++] = (char)(0x80 | opcode);
    if (size < 126) {
        out[at++] = (char)(0x80 | size);
    } else if (size < 65536) {
        out[at++] = (char)(0x80 | 126);
        out[at++] = (char)(size >> 8);
        out[at++] = (char)size;
    } else {
        out[at++] = (char)(0x80 | 127);
        for (int shift = 56; shift >= 0; shift -= 8) out[at++] = (char)(size >> shift);
    }
    memset(out + at, 0, 4); /* a mask of zeros, which every server must take and which costs nothing here */
    memmove(out + at + 4, payload, size);
    return at + 4 + size;
}

size_t read_head(const unsigned char *data, size_t have, size_t *size) {
    if (have < 2) return 0;
    size_t head = 2, length = data[1] & 127;
    if (length == 126) {
        if (have < 4) return 0;
        length = (size_t)data[2] << 8 | data[3], head = 4;
    } else if (length == 127) {
        if (have < 10) return 0;
        length = 0, head = 10;
        for (int i = 2; i < 10; i++) length = length << 8 | data[i];
    }
    *size = length;
    return have - head >= length ? head : 0;
}

static size_t write_text(char *out, uint32_t n, size_t size) {
    size_t at = (size_t)sprintf(out, "{\"n\":%u,\"pad\":\"", FIRST + n);
    if (at + 2 < size) memset(out + at, 'x', size - at - 2), at = size - 2;
    out[at++] = '"', out[at++] = '}';
    return at;
}

size_t write_message(char *out, Dialect dialect, Purpose purpose, const char *channel, uint32_t n, size_t size) {
    static char text[1 << 20];
    size_t at = 0;
    if (dialect == SOCKETIO)
        at = (size_t)sprintf(text, "42[\"%s\",", purpose == PUBLISH ? "publish" : "echo");
    else if (dialect == V1 && purpose == PUBLISH)
        at = (size_t)sprintf(text, "{\"type\":\"publish\",\"id\":%u,\"channel\":\"%s\",\"data\":", FIRST + n, channel);
    size_t envelope = at;
    at += write_text(text + at, n, size);
    if (envelope) text[at++] = dialect == SOCKETIO ? ']' : '}';
    return write_frame(out, TEXT, text, at);
}

long number_in(const char *payload, size_t size) {
    static size_t place; /* where it was in the last message: nearly always where it is in this one */
    static const char mark[] = "\"n\":";
    if (place + 14 > size || memcmp(payload + place, mark, 4)) {
        const char *found = memmem(payload, size, mark, 4);
        if (!found) return -1;
        place = (size_t)(found - payload);
    }
    const char *at = payload + place + 4, *end = payload + size;
    if (at < end && *at == ' ') at++;
    if (end - at < 10) return -1;
    long number = 0;
    for (int digit = 0; digit < 10; digit++) {
        if (at[digit] < '0' || at[digit] > '9') return -1;
        number = number * 10 + (at[digit] - '0');
    }
    return number >= FIRST ? number - FIRST : -1;
}
