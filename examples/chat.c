/*
 * Sends a question to a language model, and prints the answer as it comes:
 *
 *     chat https://api.openai.com/v1/chat/completions '{"model": "gpt-4o",
 *         "stream": true, "messages": [{"role": "user", "content": "Hi!"}]}'
 *
 * The key is in the environment variable OPENAI_API_KEY. The exit status is 0
 * when the answer is complete, 1 when it is not, 2 when the program could not
 * begin.
 */
#include <eventsource.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Prints the token in a chunk. A larger program uses a JSON library. */
static void print_token(const char *json)
{
    const char *delta = strstr(json, "\"delta\":");
    const char *token = delta ? strstr(delta, "\"content\":\"") : NULL;

    if (token == NULL)
        return;
    for (token += strlen("\"content\":\""); *token && *token != '"'; token++)
        if (*token == '\\' && *++token == 'n')
            putchar('\n');
        else
            putchar(*token);
    fflush(stdout);
}

static void on_event(eventsource *source, const eventsource_event *event,
                     void *user_data)
{
    int *complete = user_data;

    *complete = strcmp(event->data, "[DONE]") == 0;
    if (*complete)
        eventsource_close(source);
    else
        print_token(event->data);
}

static void on_error(eventsource *source, const eventsource_failure *failure,
                     void *user_data)
{
    (void)source, (void)user_data;
    fprintf(stderr, "%s\n%s\n", failure->message, failure->body);
}

/* Some servers end the stream without [DONE]: the answer is complete, too. */
static void on_close(eventsource *source, eventsource_error reason,
                     void *user_data)
{
    (void)source;
    if (reason == EVENTSOURCE_ERROR_ENDED)
        *(int *)user_data = 1;
}

int main(int argc, char **argv)
{
    const char *key = getenv("OPENAI_API_KEY");
    char bearer[1024];
    eventsource *source;
    eventsource_error error;
    int complete = 0;

    if (argc != 3 || key == NULL || strlen(key) > sizeof bearer - 8) {
        fprintf(stderr, "usage: OPENAI_API_KEY=KEY %s URL JSON\n", argv[0]);
        return 2;
    }
    sprintf(bearer, "Bearer %s", key);

    /* A source with a body makes one attempt, so that nobody pays twice. */
    error = eventsource_new(argv[1], &source);
    eventsource_set_header(source, "Authorization", bearer);
    eventsource_set_header(source, "Content-Type", "application/json");
    eventsource_set_body(source, argv[2], strlen(argv[2]));
    eventsource_on_event(source, on_event, &complete);
    eventsource_on_error(source, on_error, NULL);
    eventsource_on_close(source, on_close, &complete);
    if (!error)
        error = eventsource_connect(source);
    if (!error)
        error = eventsource_wait(source, -1);
    if (error)
        fprintf(stderr, "%s\n", eventsource_strerror(error));
    eventsource_free(source);
    return error ? 2 : !complete;
}
