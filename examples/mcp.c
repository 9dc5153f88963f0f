/*
 * Sends messages to an MCP server, and prints what it answers, as JSON:
 *
 *     mcp https://example.com/mcp '{"jsonrpc": "2.0", "id": 1,
 *         "method": "initialize", "params": {...}}' '{"jsonrpc": "2.0",
 *         "method": "notifications/initialized"}' '{"jsonrpc": "2.0", "id": 2,
 *         "method": "tools/call", "params": {"name": "get_time"}}'
 *
 * The Model Context Protocol over "Streamable HTTP": each message is a POST,
 * which the server answers with JSON or with a stream, as it likes. A stream
 * that is lost is resumed by GET. The exit status is 0 when every request has
 * its answer, 1 when one has none, 2 when the program could not begin. Linked
 * with -lcjson.
 */
#include <cjson/cJSON.h>
#include <eventsource.h>
#include <stdio.h>
#include <string.h>

struct client {
    char session[256]; /* empty if the server keeps none */
    int is_done;       /* the last message has its answer, or needs none */
};

/* After the first attempt there is only a stream to resume. */
static void on_request(eventsource *source, eventsource_request *request,
                       void *client)
{
    (void)source, (void)client;
    if (eventsource_request_attempt(request) > 1)
        eventsource_request_set_method(request, "GET");
}

static int on_response(eventsource *source,
                       const eventsource_response *response, void *user_data)
{
    struct client *client = user_data;
    const char *id = eventsource_response_header(response, "Mcp-Session-Id");

    (void)source;
    if (id != NULL && strlen(id) < sizeof client->session)
        strcpy(client->session, id);
    /* To what has no answer the server says 202, and nothing more. */
    if (eventsource_response_status(response) == 202)
        return EVENTSOURCE_VERDICT_ACCEPT;
    return EVENTSOURCE_VERDICT_STANDARD;
}

/* A stream is resumed if it has ids, and if the server does not answer 405. */
static int64_t on_retry(eventsource *source, const eventsource_failure *failure,
                        void *client)
{
    (void)source, (void)client;
    if (failure->response == NULL && failure->last_event_id[0] != '\0')
        return (int64_t)failure->delay_ms;
    return -1;
}

/* A message of the server is an event, or the body of what is no stream. */
static void take(struct client *client, const eventsource_item *item)
{
    const eventsource_failure *failure = item->failure;
    const int is_json = failure != NULL && failure->http_status == 200;
    const char *json = item->event ? item->event->data : NULL;
    cJSON *message = cJSON_Parse(is_json ? failure->body : json);
    char *text = cJSON_PrintUnformatted(message);

    if (text != NULL)
        puts(text);
    else if (failure != NULL)
        fprintf(stderr, "%s %s\n", failure->message, failure->body);
    client->is_done |= eventsource_response_status(item->response) == 202
                       || cJSON_HasObjectItem(message, "result")
                       || cJSON_HasObjectItem(message, "error");
    cJSON_free(text);
    cJSON_Delete(message);
}

/* Sends a message, and takes what the server says until it has answered. */
static eventsource_error say(struct client *client, const char *url,
                             const char *json)
{
    eventsource *source;
    const eventsource_item *item;
    eventsource_error error = eventsource_new(url, &source);

    client->is_done = 0;
    eventsource_set_body(source, json, strlen(json));
    eventsource_set_header(source, "Content-Type", "application/json");
    eventsource_set_header(source, "Accept",
                           "application/json, text/event-stream");
    if (client->session[0] != '\0')
        eventsource_set_header(source, "Mcp-Session-Id", client->session);
    eventsource_set_max_body_size(source, 16 << 20);
    eventsource_on_request(source, on_request, client);
    eventsource_on_response(source, on_response, client);
    eventsource_on_retry(source, on_retry, client);
    eventsource_set_queue(source, 16);
    if (!error)
        error = eventsource_connect(source);
    while (!error && !client->is_done && !eventsource_next(source, -1, &item))
        take(client, item);
    eventsource_free(source);
    return error;
}

int main(int argc, char **argv)
{
    struct client client = {"", 1};
    eventsource_error error = EVENTSOURCE_ERROR_NONE;
    int i;

    for (i = 2; i < argc && !error && client.is_done; i++)
        error = say(&client, argv[1], argv[i]);
    if (argc < 3 || error)
        fprintf(stderr, "%s: %s\n", argv[0],
                error ? eventsource_strerror(error) : "URL MESSAGE...");
    return argc < 3 || error ? 2 : !client.is_done;
}
