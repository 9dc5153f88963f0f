/*
 * eventsource URL: follows a stream of server-sent events through lost
 * connections, and prints the data of each event. See eventsource(1).
 *
 * The program has one thread of its own, and takes events out of the source's
 * queue. Where the reader of its output is slow, the queue fills, and the
 * server is slowed down.
 *
 *     options.c   the command line
 *     settings.c  what it says, as settings of the source
 *     status.c    exit statuses
 *     ending.c    signals, and the time limit
 *     output.c    standard output: events
 *     report.c    standard error: messages, and the live line
 *     harmless.c  text of others on a terminal
 *     id_file.c   the last event ID, kept for the next run
 */
#define _GNU_SOURCE

#include "ending.h"
#include "id_file.h"
#include "options.h"
#include "output.h"
#include "report.h"
#include "settings.h"
#include "status.h"

#include <eventsource.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    /* How many items wait in the queue at most. */
    QUEUE = 1024,
    /* After how many items at the latest they are written out. */
    SETTLE = 1024,
    /* How often the live line is written anew, in milliseconds. */
    TICK_MS = 250,
};

/* A program that follows a stream. */
struct follower {
    struct options options;
    eventsource *source;
    struct output output;
    /* The last event ID as it was last looked at, and as it is in the file. */
    char *id, *saved_id;
    size_t id_size;
    /* What the source reported last. */
    enum report_colour colour;
    const char *state;
    int http_status;
    /* Whether it has closed, and why. */
    int is_closed;
    eventsource_error reason;
    /* How many items were taken and perhaps not written out. */
    int unsettled;
};

/* Standard error is the program's own: this is called on other threads. */
static void on_log(eventsource_log_level level, const char *message,
                   void *user_data)
{
    (void)level, (void)user_data;
    report_text("* ", message, strlen(message));
}

/* The last event ID */

/* Looks at the source's, which is that of the item taken last. */
static int look_at_id(struct follower *follower)
{
    for (;;) {
        const size_t len = eventsource_last_event_id(
            follower->source, follower->id, follower->id_size);
        char *id;

        if (len < follower->id_size)
            return 1;
        id = realloc(follower->id, len + 1);
        if (id == NULL)
            return 0;
        follower->id = id;
        follower->id_size = len + 1;
    }
}

/* Keeps the ID in the file. All events up to it have been written out. */
static enum status save_id(struct follower *follower)
{
    const char *const path = follower->options.id_file;
    char *id;

    if (path == NULL)
        return STATUS_OK;
    if (follower->saved_id != NULL
        && strcmp(follower->saved_id, follower->id) == 0)
        return STATUS_OK;
    if (id_file_write(path, follower->id) != 0)
        return status_fail(STATUS_WRITE, path, strerror(errno));
    id = strdup(follower->id);
    if (id == NULL)
        return status_fail(STATUS_SYSTEM, path, strerror(errno));
    free(follower->saved_id);
    follower->saved_id = id;
    return STATUS_OK;
}

/* Begins where an earlier run has stopped, or else where the command line
 * says. A file that cannot be written is found out now, and not after the
 * first event. */
static enum status set_id(struct follower *follower)
{
    const struct options *const options = &follower->options;
    eventsource *const source = follower->source;
    enum status status = STATUS_OK;
    char *id;

    if (options->last_event_id != NULL)
        status = status_check(
            eventsource_set_last_event_id(source, options->last_event_id),
            "--last-event-id");
    if (status != STATUS_OK || options->id_file == NULL)
        return status;
    id = id_file_read(options->id_file);
    if (id == NULL)
        return status_fail(STATUS_READ, options->id_file, strerror(errno));
    if (*id != '\0')
        status = status_check(eventsource_set_last_event_id(source, id),
                              "--id-file");
    free(id);
    if (status == STATUS_OK && !look_at_id(follower))
        status = status_fail(STATUS_SYSTEM, options->id_file, strerror(errno));
    return status == STATUS_OK ? save_id(follower) : status;
}

/* What happens to the source */

static void on_open(struct follower *follower,
                    const eventsource_response *response)
{
    const char *name;
    size_t i;

    follower->colour = REPORT_GREEN;
    follower->state = "open";
    report(REPORT_GREEN, "open", "%d %s", eventsource_response_status(response),
           eventsource_response_url(response));
    for (i = 0; follower->options.verbose
                && (name = eventsource_response_header_name(response, i));
         i++)
        report_header(name, eventsource_response_header_value(response, i));
}

/* Whether the event's type is one of those that the command line lists. */
static int is_wanted(const char *types, const eventsource_event *event)
{
    while (types != NULL) {
        const size_t len = strcspn(types, ",");

        if (len == event->type_len && memcmp(types, event->type, len) == 0)
            return 1;
        if (types[len] == '\0')
            return 0;
        types += len + 1;
    }
    return 1;
}

static void on_event(struct follower *follower, const eventsource_event *event)
{
    if (!is_wanted(follower->options.types, event))
        return;
    if (follower->options.json)
        output_json(&follower->output, event);
    else
        output_data(&follower->output, event);
}

static void on_error(struct follower *follower,
                     const eventsource_failure *failure)
{
    if (failure->error == EVENTSOURCE_ERROR_TOO_LARGE) {
        report(REPORT_YELLOW, "dropped", "%s", failure->message);
        return;
    }
    follower->http_status = failure->http_status;
    if (failure->will_retry) {
        follower->colour = REPORT_YELLOW;
        follower->state = "lost";
        report(REPORT_YELLOW, "lost", "%s; again in %.1f s", failure->message,
               (double)failure->delay_ms / 1000);
    } else {
        report(failure->http_status == 204 ? REPORT_PLAIN : REPORT_RED,
               "closed", "%s", failure->message);
        report_text("| ", failure->body, failure->body_len);
    }
}

static void on_item(struct follower *follower, const eventsource_item *item)
{
    switch (item->type) {
    case EVENTSOURCE_ITEM_TYPE_OPEN:
        on_open(follower, item->response);
        break;
    case EVENTSOURCE_ITEM_TYPE_EVENT:
        on_event(follower, item->event);
        break;
    case EVENTSOURCE_ITEM_TYPE_COMMENT:
        report_text(":", item->comment, item->comment_len);
        break;
    case EVENTSOURCE_ITEM_TYPE_ERROR:
        on_error(follower, item->failure);
        break;
    case EVENTSOURCE_ITEM_TYPE_CLOSE:
        follower->is_closed = 1;
        follower->reason = item->reason;
        break;
    }
}

static void show_live(struct follower *follower)
{
    struct report_state state;

    if (!report_is_live() || !look_at_id(follower))
        return;
    memset(&state, 0, sizeof state);
    state.colour = follower->colour;
    state.name = follower->state;
    state.last_event_id = follower->id;
    eventsource_get_stats(follower->source, &state.stats, sizeof state.stats);
    report_live(&state);
}

/* Writes out what was taken, and only then keeps its ID. */
static enum status settle(struct follower *follower)
{
    enum status status = STATUS_OK;

    follower->unsettled = 0;
    if (!output_flush(&follower->output))
        return STATUS_WRITE;
    if (follower->options.id_file != NULL) {
        if (!look_at_id(follower))
            return status_fail(STATUS_SYSTEM, "last event ID", strerror(errno));
        status = save_id(follower);
    }
    show_live(follower);
    return status;
}

/* Waits for the next item, or until nobody reads the output any more. */
static void wait_for_items(struct follower *follower)
{
    struct pollfd files[] = {
        {eventsource_fd(follower->source), POLLIN, 0},
        /* Only that it has broken. */
        {STDOUT_FILENO, 0, 0},
    };

    ending_poll(files, 2, report_is_live() ? TICK_MS : -1);
    if (files[1].revents & (POLLERR | POLLHUP))
        follower->output.error = EPIPE;
}

/* Takes the next item. What was taken before is written out before the program
 * waits for one, and now and then where they never end. */
static enum status take_item(struct follower *follower)
{
    const eventsource_item *item;
    const eventsource_error error =
        eventsource_next(follower->source, 0, &item);

    if (error == EVENTSOURCE_ERROR_TIMEOUT) {
        const enum status status = settle(follower);

        if (status == STATUS_OK)
            wait_for_items(follower);
        return status;
    }
    if (error)
        return status_check(error, "stream");
    on_item(follower, item);
    if (++follower->unsettled == SETTLE)
        return settle(follower);
    return follower->output.error == 0 ? STATUS_OK : STATUS_WRITE;
}

/* Follows the stream until the source has closed, or something else ends the
 * program. What was taken is still written, if that takes no wait. */
static enum status follow(struct follower *follower)
{
    enum status status = STATUS_OK;

    while (status == STATUS_OK && !follower->is_closed
           && ending() == ENDING_NONE)
        status = take_item(follower);
    if (status == STATUS_OK)
        status = settle(follower);
    if (status != STATUS_OK && follower->output.error != EINTR)
        return status;
    if (follower->is_closed || ending() != ENDING_BY_TIME)
        return status_of(follower->reason, follower->http_status);
    report(REPORT_RED, "closed", "the time limit has passed");
    return STATUS_TIMEOUT;
}

/* As curl does, a URL without a scheme is taken for one of http. */
static enum status make_source(struct follower *follower)
{
    const char *const url = follower->options.url;
    enum status status;
    char *whole;

    if (asprintf(&whole, "%s%s", strstr(url, "://") ? "" : "http://", url) < 0)
        return status_fail(STATUS_SYSTEM, url, strerror(errno));
    status = status_check(eventsource_new(whole, &follower->source), url);
    free(whole);
    return status;
}

/* Gives the source its settings. */
static enum status prepare(struct follower *follower)
{
    const struct options *const options = &follower->options;
    enum status status = settings_apply(follower->source, options);

    if (status == STATUS_OK)
        status = set_id(follower);
    if (status == STATUS_OK)
        status = status_check(eventsource_set_queue(follower->source, QUEUE),
                              "queue");
    if (status == STATUS_OK && options->verbose)
        status = status_check(eventsource_set_comments(follower->source, 1),
                              "comments");
    return status;
}

static enum status run(struct follower *follower)
{
    const int64_t max_time_ms = follower->options.max_time_ms;
    enum status status = make_source(follower);

    if (status == STATUS_OK)
        status = prepare(follower);
    if (status != STATUS_OK)
        return status;
    ending_watch(follower->source);
    if (max_time_ms > 0)
        ending_set_limit(max_time_ms);
    status = status_check(eventsource_connect(follower->source), "connect");
    return status == STATUS_OK ? follow(follower) : status;
}

/* Says what went wrong with standard output, if anything did. */
static enum status check_output(struct follower *follower, enum status status)
{
    const int error = follower->output.error;

    report_hide();
    if (error == EPIPE)
        ending_by_sigpipe();
    if (error != 0 && error != EINTR)
        return status_fail(STATUS_WRITE, "standard output", strerror(error));
    return status;
}

/* A standard file that is closed would be replaced by the next that is opened,
 * such as a socket. Writing to this one fails. */
static void fill_standard_files(void)
{
    int file;

    for (file = STDIN_FILENO; file <= STDERR_FILENO; file++)
        if (fcntl(file, F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0)
            abort();
}

int main(int argc, char **argv)
{
    static struct follower follower;
    int status;

    fill_standard_files();
    status = options_read(&follower.options, argc, argv);
    if (status < 0) {
        follower.state = "connecting";
        report_begin(follower.options.silent);
        output_begin(&follower.output);
        if (follower.options.verbose)
            eventsource_set_log(EVENTSOURCE_LOG_LEVEL_DEBUG, on_log, NULL);
        status = (int)run(&follower);
        ending_forget_source();
        eventsource_free(follower.source);
        status = (int)check_output(&follower, (enum status)status);
        ending_by_signal();
    }
    free(follower.id);
    free(follower.saved_id);
    options_free(&follower.options);
    return status;
}
