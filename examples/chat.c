/*
 * Sends a question to a language model, and prints the answer as it comes:
 *
 *     chat https://api.openai.com/v1/chat/completions '{"model": "gpt-4o",
 *         "stream": true, "messages": [{"role": "user", "content": "Hi!"}]}'
 *
 * The key is in the environment variable OPENAI_API_KEY. SIGINT stops the
 * answer. The exit status is 0 when the answer is complete, 1 when it is not, 2
 * when the program could not begin. Linked with -lcjson.
 */
#include <cjson/cJSON.h>
#include <eventsource.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static eventsource *asked;

static void stop(int number)
{
    (void)number;
    eventsource_close(asked);
}

/* The message of {"error": {"message": "..."}}; NULL if there is none. */
static const char *error_in(const cJSON *json)
{
    const cJSON *error = cJSON_GetObjectItem(json, "error");

    return cJSON_GetStringValue(cJSON_GetObjectItem(error, "message"));
}

/* A chunk of the answer has the next token, or says what went wrong. */
static void on_event(eventsource *source, const eventsource_event *event,
                     void *user_data)
{
    cJSON *chunk = cJSON_ParseWithLength(event->data, event->data_len);
    const cJSON *choice =
        cJSON_GetArrayItem(cJSON_GetObjectItem(chunk, "choices"), 0);
    const cJSON *delta = cJSON_GetObjectItem(choice, "delta");
    const char *token =
        cJSON_GetStringValue(cJSON_GetObjectItem(delta, "content"));

    fputs(token ? token : "", stdout);
    fflush(stdout);
    if (error_in(chunk) != NULL)
        fprintf(stderr, "%s\n", error_in(chunk));
    *(int *)user_data = strcmp(event->data, "[DONE]") == 0;
    if (*(int *)user_data || error_in(chunk) != NULL)
        eventsource_close(source);
    cJSON_Delete(chunk);
}

/* A server that refuses says why, and maybe when to come back. */
static void on_error(eventsource *source, const eventsource_failure *failure,
                     void *user_data)
{
    cJSON *body = cJSON_ParseWithLength(failure->body, failure->body_len);

    (void)source, (void)user_data;
    fprintf(stderr, "%s: %s\n", failure->message,
            error_in(body) ? error_in(body) : failure->body);
    if (failure->will_retry)
        fprintf(stderr, "again in %.1f s\n", failure->delay_ms / 1000.0);
    cJSON_Delete(body);
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
    int complete = 0;
    eventsource_error error;

    if (argc != 3 || key == NULL || strlen(key) > sizeof bearer - 8) {
        fprintf(stderr, "usage: OPENAI_API_KEY=KEY %s URL JSON\n", argv[0]);
        return 2;
    }
    sprintf(bearer, "Bearer %s", key);

    error = eventsource_new(argv[1], &asked);
    eventsource_set_header(asked, "Authorization", bearer);
    eventsource_set_header(asked, "Content-Type", "application/json");
    eventsource_set_body(asked, argv[2], strlen(argv[2]));
    /* Not again once the model answers: an answer is paid for. */
    eventsource_set_retry(asked, EVENTSOURCE_RETRY_UNTIL_OPEN);
    eventsource_set_max_attempts(asked, 5);
    eventsource_on_event(asked, on_event, &complete);
    eventsource_on_error(asked, on_error, NULL);
    eventsource_on_close(asked, on_close, &complete);
    signal(SIGINT, stop);
    if (!error)
        error = eventsource_connect(asked);
    if (!error)
        error = eventsource_wait(asked, -1);
    if (error)
        fprintf(stderr, "%s\n", eventsource_strerror(error));
    signal(SIGINT, SIG_DFL); /* soon there is nothing to close */
    eventsource_free(asked);
    return error ? 2 : !complete;
}
