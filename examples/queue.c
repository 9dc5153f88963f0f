/*
 * Follows any number of event streams on one thread, which takes their events
 * from queues:
 *
 *     queue URL...
 *
 * Each source has a thread of the library's beside. A program whose thread is
 * to do everything gives the sources to a loop, as epoll.c does.
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

/* Prints the items that wait in the queue. Returns 0 once the source has
 * closed. */
static int take(eventsource *source)
{
    const eventsource_item *item;

    while (eventsource_next(source, 0, &item) == EVENTSOURCE_ERROR_NONE) {
        printf("%s ", eventsource_url(source));
        switch (item->type) {
        case EVENTSOURCE_ITEM_TYPE_OPEN:
            printf("open %d\n", eventsource_response_status(item->response));
            break;
        case EVENTSOURCE_ITEM_TYPE_EVENT:
            printf("%s %s\n", item->event->type, item->event->data);
            break;
        case EVENTSOURCE_ITEM_TYPE_COMMENT:
            puts(item->comment);
            break;
        case EVENTSOURCE_ITEM_TYPE_ERROR:
            printf("error %s\n", item->failure->message);
            break;
        case EVENTSOURCE_ITEM_TYPE_CLOSE:
            printf("close %s\n", eventsource_strerror(item->reason));
            return 0;
        }
    }
    return 1;
}

/* Lets the loop watch a descriptor that belongs to `source`. */
static int watch(int loop, int fd, eventsource *source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};

    return epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
}

/* Runs until all sources have closed. Returns whether a signal came. */
static int run(int loop, int signals, eventsource **sources, int count)
{
    struct epoll_event ready;
    int open = count, told = 0, i;

    while (open > 0) {
        if (epoll_wait(loop, &ready, 1, -1) != 1)
            continue;
        if (ready.data.ptr == NULL) {
            /* The loop goes on: each source's close comes as an item. */
            told = 1;
            epoll_ctl(loop, EPOLL_CTL_DEL, signals, NULL);
            for (i = 0; i < count; i++)
                eventsource_close(sources[i]);
        } else if (!take(ready.data.ptr)) {
            open--;
        }
    }
    return told;
}

int main(int argc, char **argv)
{
    int count = argc - 1, told = 0, loop, signals, i;
    eventsource_error error = EVENTSOURCE_ERROR_NONE;
    eventsource **sources;
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
        || (loop = epoll_create1(EPOLL_CLOEXEC)) < 0
        || watch(loop, signals, NULL) != 0
        || setvbuf(stdout, NULL, _IOLBF, BUFSIZ) != 0) {
        perror(argv[0]);
        return 2;
    }

    for (i = 0; i < count && !error; i++) {
        error = eventsource_new(argv[i + 1], &sources[i]);
        eventsource_set_queue(sources[i], 256);
        if (!error)
            error = eventsource_connect(sources[i]);
        if (!error && watch(loop, eventsource_fd(sources[i]), sources[i]) != 0)
            error = EVENTSOURCE_ERROR_SYSTEM;
    }
    if (error)
        fprintf(stderr, "%s: %s: %s\n", argv[0], argv[i],
                eventsource_strerror(error));
    else
        told = run(loop, signals, sources, count);

    for (i = 0; i < count; i++)
        eventsource_free(sources[i]);
    free(sources);
    close(signals);
    close(loop);
    return error ? 2 : told ? 0 : 1;
}
