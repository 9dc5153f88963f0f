/*
 * Follows any number of event streams in a loop of epoll(7), on one thread:
 *
 *     epoll URL...
 *
 * It runs until SIGINT or SIGTERM, or until every source has closed. The exit
 * status is 0 after a signal, 1 when all sources gave up, 2 when the program
 * could not begin.
 */
#define _GNU_SOURCE

#include <eventsource.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Callbacks come on this thread: no lock is needed. */
static int open_sources;

static void on_open(eventsource *source, const eventsource_response *response,
                    void *user_data)
{
    (void)user_data;
    printf("%s open %d\n", eventsource_url(source),
           eventsource_response_status(response));
}

static void on_event(eventsource *source, const eventsource_event *event,
                     void *user_data)
{
    (void)user_data;
    printf("%s %s %s\n", eventsource_url(source), event->type, event->data);
}

static void on_error(eventsource *source, const eventsource_failure *failure,
                     void *user_data)
{
    (void)user_data;
    printf("%s error %s\n", eventsource_url(source), failure->message);
}

static void on_close(eventsource *source, eventsource_error reason,
                     void *user_data)
{
    (void)user_data;
    printf("%s close %s\n", eventsource_url(source),
           eventsource_strerror(reason));
    open_sources--;
}

/* Makes a source that `loop` drives. */
static eventsource_error add(eventsource_loop *loop, const char *url,
                             eventsource **source)
{
    eventsource_error error = eventsource_new(url, source);

    if (error)
        return error;
    eventsource_on_open(*source, on_open, NULL);
    eventsource_on_event(*source, on_event, NULL);
    eventsource_on_error(*source, on_error, NULL);
    eventsource_on_close(*source, on_close, NULL);
    eventsource_set_loop(*source, loop);
    error = eventsource_connect(*source);
    open_sources += !error;
    return error;
}

/* Has epoll watch a descriptor, and report it by its number. */
static int watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Runs until all sources have closed. Returns whether a signal came. */
static int run(int epoll, int signals, eventsource_loop *loop,
               eventsource **sources, int count)
{
    struct epoll_event ready;
    int told = 0, i;

    while (open_sources > 0) {
        /* The library needs no time limit: its descriptor knows the times. */
        if (epoll_wait(epoll, &ready, 1, -1) != 1)
            continue;
        if (ready.data.fd == signals) {
            told = 1;
            epoll_ctl(epoll, EPOLL_CTL_DEL, signals, NULL);
            for (i = 0; i < count; i++)
                eventsource_close(sources[i]);
        } else {
            eventsource_loop_dispatch(loop, 0);
        }
    }
    return told;
}

int main(int argc, char **argv)
{
    int count = argc - 1, told = 0, epoll, signals, i;
    eventsource_error error = EVENTSOURCE_ERROR_NONE;
    eventsource **sources;
    eventsource_loop *loop;
    sigset_t mask;

    if (count == 0) {
        fprintf(stderr, "usage: %s URL...\n", argv[0]);
        return 2;
    }
    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sources = calloc((size_t)count, sizeof *sources);
    if (sources == NULL || sigprocmask(SIG_BLOCK, &mask, NULL) != 0
        || (signals = signalfd(-1, &mask, SFD_CLOEXEC)) < 0
        || (epoll = epoll_create1(EPOLL_CLOEXEC)) < 0
        || eventsource_loop_new(&loop) != EVENTSOURCE_ERROR_NONE
        || watch(epoll, eventsource_loop_fd(loop)) != 0
        || watch(epoll, signals) != 0
        || setvbuf(stdout, NULL, _IOLBF, BUFSIZ) != 0) {
        perror(argv[0]);
        return 2;
    }

    for (i = 0; i < count && !error; i++)
        error = add(loop, argv[i + 1], &sources[i]);
    if (error)
        fprintf(stderr, "%s: %s: %s\n", argv[0], argv[i],
                eventsource_strerror(error));
    else
        told = run(epoll, signals, loop, sources, count);

    close(epoll);
    for (i = 0; i < count; i++)
        eventsource_free(sources[i]);
    eventsource_loop_free(loop);
    free(sources);
    close(signals);
    return error ? 2 : told ? 0 : 1;
}
