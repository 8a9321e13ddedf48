/* What time and CPU a measured slice took, of the server and of this program itself. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

uint64_t now_ns(void);

typedef struct {
    uint64_t ran;    /* all threads, on a CPU */
    uint64_t waited; /* the main thread, ready to run while something else had the CPU */
} Usage;

typedef struct {
    uint64_t at;
    Usage server, own;
} Mark;

Mark mark_now(pid_t server);

/* `"seconds":…` and what both sides used since, as JSON members without braces. `spun` is the time that this program
 * spent asking in vain, or 0 when it slept instead. */
void print_since(FILE *out, const Mark *start, pid_t server, uint64_t spun);

void latency_reset(void);
void latency_add(uint64_t ns);
/* Percentiles in milliseconds as JSON members; prints nothing when nothing was added. */
void latency_print(FILE *out);
