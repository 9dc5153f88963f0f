/*
 * Follows an event stream, and prints what happens to it:
 *
 *     listen [-v] URL [LAST_EVENT_ID]
 *
 * It runs until SIGINT or SIGTERM, or until the source gives up. -v prints
 * comments, too, and the library's log to standard error. The exit status is
 * 0 after a signal, 1 when the source gave up, 2 when the program could not
 * begin.
 */
#define _POSIX_C_SOURCE 200809L

#include <eventsource.h>

#include <errno.h>
#include <inttypes.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Posted by a signal handler, and when the source has closed. */
static sem_t over;

static void on_signal(int number)
{
    (void)number;
    sem_post(&over);
}

/* Prints text that may have several lines, the later ones indented. */
static void print(const char *text, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        putchar(text[i]);
        if (text[i] == '\n')
            fputs("       ", stdout);
    }
    putchar('\n');
}

static void on_open(eventsource *source, const eventsource_response *response,
                    void *user_data)
{
    (void)source, (void)user_data;
    printf("open   %d %s\n", eventsource_response_status(response),
           eventsource_response_url(response));
}

static void on_event(eventsource *source, const eventsource_event *event,
                     void *user_data)
{
    (void)source, (void)user_data;
    printf("event  %s [%s] ", event->type, event->last_event_id);
    print(event->data, event->data_len);
}

static void on_comment(eventsource *source, const char *comment, size_t len,
                       void *user_data)
{
    (void)source, (void)user_data;
    fputs("comment", stdout);
    print(comment, len);
}

static void on_error(eventsource *source, const eventsource_failure *failure,
                     void *user_data)
{
    (void)source, (void)user_data;
    if (failure->will_retry)
        printf("lost   %s; again in %" PRIu64 " ms\n", failure->message,
               failure->delay_ms);
    else
        printf("error  %s\n", failure->message);
}

static void on_close(eventsource *source, eventsource_error reason,
                     void *user_data)
{
    (void)source;
    printf("close  %s\n", reason == EVENTSOURCE_ERROR_NONE
                              ? "told to end"
                              : eventsource_strerror(reason));
    *(eventsource_error *)user_data = reason;
    sem_post(&over);
}

static void on_log(eventsource_log_level level, const char *message,
                   void *user_data)
{
    (void)level, (void)user_data;
    fprintf(stderr, "%s\n", message);
}

int main(int argc, char **argv)
{
    struct sigaction action;
    int verbose = 0, option;
    eventsource *source;
    eventsource_error error, reason = EVENTSOURCE_ERROR_NONE;

    while ((option = getopt(argc, argv, "v")) == 'v')
        verbose = 1;
    if (option != -1 || argc - optind < 1 || argc - optind > 2) {
        fprintf(stderr, "usage: %s [-v] URL [LAST_EVENT_ID]\n", argv[0]);
        return 2;
    }

    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    if (sem_init(&over, 0, 0) != 0 || sigaction(SIGINT, &action, NULL) != 0
        || sigaction(SIGTERM, &action, NULL) != 0
        || setvbuf(stdout, NULL, _IOLBF, BUFSIZ) != 0) {
        perror(argv[0]);
        return 2;
    }
    if (verbose)
        eventsource_set_log(EVENTSOURCE_LOG_LEVEL_DEBUG, on_log, NULL);

    error = eventsource_new(argv[optind], &source);
    eventsource_on_open(source, on_open, NULL);
    eventsource_on_event(source, on_event, NULL);
    eventsource_on_error(source, on_error, NULL);
    eventsource_on_close(source, on_close, &reason);
    if (verbose)
        eventsource_on_comment(source, on_comment, NULL);
    if (argc - optind == 2)
        eventsource_set_last_event_id(source, argv[optind + 1]);
    if (!error)
        error = eventsource_connect(source);
    if (error) {
        fprintf(stderr, "%s: %s: %s\n", argv[0], argv[optind],
                eventsource_strerror(error));
        eventsource_free(source);
        return 2;
    }

    while (sem_wait(&over) != 0 && errno == EINTR)
        continue;
    eventsource_free(source);
    if (fclose(stdout) != 0) {
        perror(argv[0]);
        return 2;
    }
    return reason == EVENTSOURCE_ERROR_NONE ? 0 : 1;
}
