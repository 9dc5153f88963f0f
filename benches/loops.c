/*
 * What a loop costs beside a thread for each source, as `make bench` shows it:
 *
 *     loops COUNT
 *
 * COUNT sources are idle, and then reconnect at once; sources among them are
 * closed and freed; one source is flooded while 99 others get 100 events a
 * second; one connects while 100 wait for servers that say nothing. Each with
 * a thread for each source, with a loop that has a thread, and with one that
 * this program drives, in a process of its own. The server is another one.
 */
#define _GNU_SOURCE

#include <eventsource.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "loops.c:%d: not %s\n", __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

enum { CLOSES = 200, TRICKLES = 99, MUTE = 100, SECONDS = 3, SAMPLES = 100000 };

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The server */

static void serve(int listener)
{
    static const char head[] =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    static char request[4096], flood[64 << 10], event[64];
    static int trickles[1000];
    struct itimerspec every = {.it_interval = {0, 10000000},
                               .it_value = {0, 10000000}};
    struct epoll_event events[64], entry = {.events = EPOLLIN};
    int set = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, 0);
    int i, j, count, fd, size, trickle_count = 0;

    for (i = 0; i + 112 <= (int)sizeof flood; i += 112)
        sprintf(flood + i, "data: %0*d\n\n", 104, i);
    timerfd_settime(timer, 0, &every, NULL);
    entry.data.fd = listener;
    epoll_ctl(set, EPOLL_CTL_ADD, listener, &entry);
    entry.data.fd = timer;
    epoll_ctl(set, EPOLL_CTL_ADD, timer, &entry);
    for (;;) {
        count = epoll_wait(set, events, 64, -1);
        for (i = 0; i < count; i++) {
            fd = events[i].data.fd;
            if (fd == timer) {
                if (read(timer, request, 8) != 8)
                    continue;
                for (j = 0; j < trickle_count; j++) {
                    size = sprintf(event, "data: %.9f\n\n", now());
                    if (write(trickles[j], event, (size_t)size) < 0)
                        trickles[j--] = trickles[--trickle_count];
                }
            } else if (fd == listener) {
                fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                entry.events = EPOLLIN;
                entry.data.fd = fd;
                if (fd >= 0)
                    epoll_ctl(set, EPOLL_CTL_ADD, fd, &entry);
            } else if (events[i].events & EPOLLIN) {
                size = (int)read(fd, request, sizeof request - 1);
                if (size <= 0) {
                    for (j = 0; j < trickle_count; j++)
                        if (trickles[j] == fd)
                            trickles[j--] = trickles[--trickle_count];
                    close(fd);
                    continue;
                }
                if (request[5] == 'm') /* mute */
                    continue;
                CHECK(write(fd, head, sizeof head - 1) > 0);
                CHECK(write(fd, "data: 0\n\n", 9) == 9);
                if (request[5] == 't')
                    trickles[trickle_count++] = fd;
                if (request[5] == 'f') {
                    entry.events = EPOLLIN | EPOLLOUT;
                    entry.data.fd = fd;
                    epoll_ctl(set, EPOLL_CTL_MOD, fd, &entry);
                }
            } else if (write(fd, flood, sizeof flood / 112 * 112) < 0) {
                /* Where a write is cut short, so is an event: all the same. */
                continue;
            }
        }
    }
}

/* The sources */

static char server[64];
static eventsource_loop *loop;
static atomic_int told;
static atomic_ulong flooded;
static double latencies[SAMPLES];
static atomic_int latency_count;
static double closed_at;

static void on_event(eventsource *source, const eventsource_event *event,
                     void *user_data)
{
    (void)source, (void)event, (void)user_data;
    told++;
}

static void on_flood(eventsource *source, const eventsource_event *event,
                     void *user_data)
{
    (void)source, (void)event, (void)user_data;
    flooded++;
}

static void on_trickle(eventsource *source, const eventsource_event *event,
                       void *user_data)
{
    double sent = atof(event->data);
    int index;

    (void)source, (void)user_data;
    if (sent > 0 && flooded > 0 && (index = latency_count++) < SAMPLES)
        latencies[index] = now() - sent;
}

static void on_close(eventsource *source, eventsource_error reason,
                     void *user_data)
{
    (void)source, (void)reason, (void)user_data;
    closed_at = now();
    told++;
}

static eventsource *connected(const char *path,
                              eventsource_event_callback callback)
{
    eventsource *source;
    char url[128];

    snprintf(url, sizeof url, "%s%s", server, path);
    CHECK(!eventsource_new(url, &source));
    CHECK(!eventsource_set_loop(source, loop));
    CHECK(!eventsource_on_event(source, callback, NULL));
    CHECK(!eventsource_on_close(source, on_close, NULL));
    CHECK(!eventsource_connect(source));
    return source;
}

static void wait_for(int count)
{
    while (told < count)
        usleep(100);
}

static void *drive(void *unused)
{
    for (;;)
        eventsource_loop_dispatch(loop, -1);
    return unused;
}

/* The number behind a word in a file of /proc. */
static double number(const char *file, const char *word)
{
    char line[512];
    double result = 0;
    FILE *stream = fopen(file, "r");

    while (stream != NULL && fgets(line, sizeof line, stream) != NULL)
        if (strncmp(line, word, strlen(word)) == 0)
            result = atof(line + strlen(word));
    if (stream != NULL)
        fclose(stream);
    return result;
}

static int by_size(const void *one, const void *other)
{
    double difference = *(const double *)one - *(const double *)other;

    return (difference > 0) - (difference < 0);
}

static double part(double *values, int count, double share)
{
    qsort(values, (size_t)count, sizeof *values, by_size);
    return values[(int)((count - 1) * share)];
}

static void measure(const char *driver, int count)
{
    static const char status[] = "/proc/self/status";
    static double closes[CLOSES], frees[CLOSES];
    eventsource **sources = calloc((size_t)count, sizeof *sources), *other;
    eventsource *others[TRICKLES + MUTE];
    double start, resident, stacks;
    pthread_t thread;
    FILE *refs;
    int i;

    if (strcmp(driver, "thread") != 0) {
        CHECK(!eventsource_loop_new(&loop));
        if (strcmp(driver, "driven") == 0)
            CHECK(!pthread_create(&thread, NULL, drive, NULL));
        else
            CHECK(!eventsource_loop_start(loop));
    }
    other = connected("idle", on_event);
    wait_for(1);
    resident = number(status, "VmRSS:");
    stacks = number("/proc/meminfo", "KernelStack:");
    for (i = 0; i < count; i++)
        sources[i] = connected("idle", on_event);
    wait_for(1 + count);
    sleep(3);
    printf("%-7s %d idle: %.2f KiB each, %.0f threads, %.1f KiB of kernel "
           "stack each\n",
           driver, count, (number(status, "VmRSS:") - resident) / count,
           number(status, "Threads:"),
           (number("/proc/meminfo", "KernelStack:") - stacks) / count);

    refs = fopen("/proc/self/clear_refs", "w");
    CHECK(refs != NULL && fputs("5", refs) >= 0 && fclose(refs) == 0);
    told = 0;
    start = now();
    for (i = 0; i < count; i++)
        eventsource_reconnect(sources[i]);
    wait_for(count);
    printf("%-7s %d reconnect: %.2f s, %.1f MiB at their peak\n", driver, count,
           now() - start, number(status, "VmHWM:") / 1024);

    for (i = 0; i < CLOSES && i < count / 2; i++) {
        told = 0;
        start = now();
        eventsource_close(sources[i]);
        while (told == 0)
            continue;
        closes[i] = closed_at - start;
        start = now();
        eventsource_free(sources[count - 1 - i]);
        frees[i] = now() - start;
    }
    printf("%-7s close to on_close: %.0f us, p90 %.0f; free: %.0f us, "
           "p90 %.0f\n",
           driver, 1e6 * part(closes, i, 0.5), 1e6 * part(closes, i, 0.9),
           1e6 * part(frees, i, 0.5), 1e6 * part(frees, i, 0.9));
    while (i < count - i)
        eventsource_free(sources[i++]);

    for (i = 0; i < TRICKLES; i++)
        others[i] = connected("trickle", on_trickle);
    sleep(1);
    eventsource_free(other);
    other = connected("flood", on_flood);
    sleep(SECONDS);
    i = latency_count < SAMPLES ? latency_count : SAMPLES;
    printf("%-7s %d beside a flood: p50 %.2f ms, p99 %.2f; flood %.1f M/s\n",
           driver, TRICKLES, 1e3 * part(latencies, i, 0.5),
           1e3 * part(latencies, i, 0.99), (double)flooded / SECONDS / 1e6);
    eventsource_free(other);
    for (i = 0; i < TRICKLES; i++)
        eventsource_free(others[i]);

    for (i = 0; i < MUTE; i++)
        others[i] = connected("mute", on_event);
    told = 0;
    start = now();
    other = connected("idle", on_event);
    wait_for(1);
    printf("%-7s beside %d mute servers: %.3f s to the first event\n", driver,
           MUTE, now() - start);
    fflush(stdout);
    _exit(0);
}

int main(int argc, char **argv)
{
    static const char *const drivers[] = {"thread", "loop", "driven"};
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), i;
    struct rlimit limit;
    pid_t process;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
    /* What is not set is shared by all sources. */
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(listener, (struct sockaddr *)&address, len) == 0);
    CHECK(listen(listener, 4096) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &len) == 0);
    snprintf(server, sizeof server, "http://127.0.0.1:%d/",
             ntohs(address.sin_port));
    process = fork();
    CHECK(process >= 0);
    if (process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(listener);
    }
    close(listener);
    for (i = 0; i < 3; i++) {
        if (fork() == 0)
            measure(drivers[i], argc > 1 ? atoi(argv[1]) : 1000);
        wait(NULL);
    }
    kill(process, SIGKILL);
    return 0;
}
