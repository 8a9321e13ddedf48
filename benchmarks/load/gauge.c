#define _GNU_SOURCE
#include "gauge.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* /proc/PID/stat counts in ticks of 10 ms and misses what is shorter; schedstat counts in nanoseconds. */
static Usage usage_of(pid_t pid) {
    Usage sum = {0, 0};
    char path[300];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    if (!tasks) return sum;
    for (struct dirent *task; (task = readdir(tasks));) {
        if (task->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)pid, task->d_name);
        FILE *file = fopen(path, "r");
        unsigned long long ran, waited;
        if (!file) continue;
        if (fscanf(file, "%llu %llu", &ran, &waited) == 2) {
            sum.ran += ran;
            /* Helpers that share the core with the main thread wait for it, which is nobody else's doing. */
            if (atoi(task->d_name) == (int)pid) sum.waited = waited;
        }
        fclose(file);
    }
    closedir(tasks);
    return sum;
}

Mark mark_now(pid_t server) {
    Mark mark = {0, usage_of(server), usage_of(getpid())};
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* schedstat lags up to a tick behind for who is running */
    mark.own.ran = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    mark.at = now_ns();
    return mark;
}

void print_since(FILE *out, const Mark *start, pid_t server, uint64_t spun) {
    Mark end = mark_now(server);
    double seconds = (double)(end.at - start->at) / 1e9;
    double own = (double)(end.own.ran - start->own.ran) / 1e9;
    double own_waited = (double)(end.own.waited - start->own.waited) / 1e9;
    fprintf(out, "\"seconds\":%.6f,\"server_cpu\":%.6f,\"server_waited\":%.6f,", seconds,
            (double)(end.server.ran - start->server.ran) / 1e9,
            (double)(end.server.waited - start->server.waited) / 1e9);
    /* Idle is what it had to spare: neither running nor kept from running. */
    double idle = spun ? (double)spun / 1e9 : seconds - own - own_waited;
    fprintf(out, "\"load_idle\":%.4f,\"load_waited\":%.6f", idle > 0 && seconds > 0 ? idle / seconds : 0, own_waited);
}

enum { MOST = 1 << 23 };
static uint32_t taken[MOST]; /* in tenths of a microsecond */
static size_t count;

void latency_reset(void) { count = 0; }

void latency_add(uint64_t ns) {
    uint64_t tenths = ns / 100;
    if (count < MOST) taken[count++] = tenths > UINT32_MAX ? UINT32_MAX : (uint32_t)tenths;
}

static int by_size(const void *a, const void *b) {
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static double at_share(double share) {
    size_t index = (size_t)(share * (double)count);
    return taken[index < count ? index : count - 1] / 1e4;
}

void latency_print(FILE *out) {
    if (!count) return;
    qsort(taken, count, sizeof *taken, by_size);
    fprintf(out, ",\"p50_ms\":%.4f,\"p90_ms\":%.4f,\"p99_ms\":%.4f,\"max_ms\":%.4f", at_share(0.5), at_share(0.9),
            at_share(0.99), at_share(1));
}
