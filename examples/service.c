/*
 * Follows a stream as a service of systemd(1):
 *
 *     service URL STATE
 *
 * The service is started once the stream is open. Whatever the server sends,
 * comments too, feeds the watchdog: a service whose stream is dead is started
 * anew. The file STATE has the last event ID, so that the next start goes on
 * where this one ended. It ends on SIGTERM. The exit status is 0 then, 1 when
 * the source gave up, 2 when the program could not begin.
 */
#define _GNU_SOURCE

#include <eventsource.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* sd_notify(3), without libsystemd. Does nothing outside a service. */
static void notify(const char *message)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    socklen_t len;
    int fd;

    if (path == NULL || strlen(path) >= sizeof address.sun_path)
        return;
    strcpy(address.sun_path, path);
    len = (socklen_t)(sizeof address - sizeof address.sun_path + strlen(path));
    if (address.sun_path[0] == '@') /* has no file */
        address.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    sendto(fd, message, strlen(message), MSG_NOSIGNAL,
           (struct sockaddr *)&address, len);
    close(fd);
}

/* Writes the whole ID or leaves the file as it was. */
static void keep(const char *path, const char *id)
{
    char new[4096];
    FILE *file;

    if (snprintf(new, sizeof new, "%s.new", path) >= (int)sizeof new
        || (file = fopen(new, "w")) == NULL)
        return;
    fputs(id, file);
    if (fclose(file) == 0)
        rename(new, path);
}

static void load(const char *path, char *id, size_t size)
{
    FILE *file = fopen(path, "r");
    size_t len = file ? fread(id, 1, size - 1, file) : 0;

    id[len] = '\0';
    if (file)
        fclose(file);
}

static void on_open(eventsource *source, const eventsource_response *response,
                    void *user_data)
{
    (void)source, (void)response, (void)user_data;
    notify("READY=1\nSTATUS=following the stream");
}

static void on_event(eventsource *source, const eventsource_event *event,
                     void *state)
{
    (void)source;
    printf("%s %s\n", event->type, event->data);
    keep(state, event->last_event_id);
    notify("WATCHDOG=1");
}

static void on_comment(eventsource *source, const char *comment, size_t len,
                       void *user_data)
{
    (void)source, (void)comment, (void)len, (void)user_data;
    notify("WATCHDOG=1");
}

static void on_error(eventsource *source, const eventsource_failure *failure,
                     void *user_data)
{
    char status[512];

    (void)source, (void)user_data;
    fprintf(stderr, "%s\n", failure->message);
    snprintf(status, sizeof status, "STATUS=%s", failure->message);
    notify(status);
}

/* main() waits for a signal alone, so a close sends one. */
static void on_close(eventsource *source, eventsource_error reason,
                     void *user_data)
{
    (void)source;
    *(eventsource_error *)user_data = reason;
    kill(getpid(), SIGTERM);
}

int main(int argc, char **argv)
{
    eventsource_error error, reason = EVENTSOURCE_ERROR_NONE;
    eventsource *source;
    char id[4096];
    sigset_t mask;
    int number;

    if (argc != 3) {
        fprintf(stderr, "usage: %s URL STATE\n", argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_BLOCK, &mask, NULL);

    load(argv[2], id, sizeof id);
    error = eventsource_new(argv[1], &source);
    eventsource_set_last_event_id(source, id);
    /* A server that is being deployed answers 503: that is no end. */
    eventsource_set_retry(source, EVENTSOURCE_RETRY_PERSISTENT);
    eventsource_on_open(source, on_open, NULL);
    eventsource_on_event(source, on_event, argv[2]);
    eventsource_on_comment(source, on_comment, NULL);
    eventsource_on_error(source, on_error, NULL);
    eventsource_on_close(source, on_close, &reason);
    if (!error)
        error = eventsource_connect(source);
    if (error) {
        fprintf(stderr, "%s: %s\n", argv[1], eventsource_strerror(error));
        eventsource_free(source);
        return 2;
    }
    sigwait(&mask, &number);
    notify("STOPPING=1");
    eventsource_free(source);
    return reason ? 1 : 0;
}
