/*
 * Follows a stream that wants a token, whose tokens end:
 *
 *     token URL COMMAND
 *
 * COMMAND prints a token on one line, such as "gcloud auth print-access-token".
 * Each attempt asks for one. A server that answers 401 all the same gets two
 * more attempts. The exit status is 0 when the server wants no more (204), 1
 * when the source gave up, 2 when the program could not begin.
 */
#define _POSIX_C_SOURCE 200809L

#include <eventsource.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Stores the token that a command prints. Returns 0 if there is none. */
static int fetch(const char *command, char *token, size_t size)
{
    FILE *output = popen(command, "r");
    int found = output != NULL && fgets(token, (int)size, output) != NULL;

    if (output == NULL || pclose(output) != 0 || !found)
        return 0;
    token[strcspn(token, "\r\n")] = '\0';
    return token[0] != '\0';
}

/* Before each attempt, the first included. */
static void on_request(eventsource *source, eventsource_request *request,
                       void *user_data)
{
    char header[4096] = "Bearer ";
    const size_t begun = strlen(header);

    (void)source;
    /* Without a token nothing is sent, and the source tries again later. */
    if (!fetch(user_data, header + begun, sizeof header - begun))
        eventsource_request_abort(request, "the command printed no token");
    else
        eventsource_request_set_header(request, "Authorization", header);
}

/* 401 ends a source, as the standard has it. Here the next token may do. */
static int64_t on_retry(eventsource *source, const eventsource_failure *failure,
                        void *user_data)
{
    (void)source, (void)user_data;
    if (failure->http_status == 401 && failure->attempt < 3)
        return (int64_t)failure->delay_ms;
    return failure->will_retry ? (int64_t)failure->delay_ms : -1;
}

static void on_event(eventsource *source, const eventsource_event *event,
                     void *user_data)
{
    (void)source, (void)user_data;
    printf("%s %s\n", event->type, event->data);
}

static void on_error(eventsource *source, const eventsource_failure *failure,
                     void *user_data)
{
    (void)source;
    fprintf(stderr, "%s", failure->message);
    if (failure->will_retry)
        fprintf(stderr, "; again in %" PRIu64 " ms", failure->delay_ms);
    fprintf(stderr, "\n");
    *(int *)user_data = failure->http_status;
}

int main(int argc, char **argv)
{
    eventsource_error error;
    eventsource *source;
    int status = 0;

    if (argc != 3) {
        fprintf(stderr, "usage: %s URL COMMAND\n", argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    error = eventsource_new(argv[1], &source);
    eventsource_on_request(source, on_request, argv[2]);
    eventsource_on_retry(source, on_retry, NULL);
    eventsource_on_event(source, on_event, NULL);
    eventsource_on_error(source, on_error, &status);
    if (!error)
        error = eventsource_connect(source);
    if (!error)
        error = eventsource_wait(source, -1);
    if (error)
        fprintf(stderr, "%s: %s\n", argv[1], eventsource_strerror(error));
    eventsource_free(source);
    return error ? 2 : status == 204 ? 0 : 1;
}
