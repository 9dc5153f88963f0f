/*
 * Prints what changes in the rooms of a Philips Hue bridge:
 *
 *     hue ADDRESS APPLICATION_KEY [sha256//KEY]
 *
 * A bridge is asked by its IP address, and its certificate is self-signed and
 * names no host. So the connection is trusted by the bridge's public key: run
 * without one, the program prints the key that the bridge shows, and ends. It
 * runs until the source gives up; the exit status is then 1, and 2 when it
 * could not begin. Linked with -lcjson.
 */
#include <cjson/cJSON.h>
#include <eventsource.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A key that no bridge has. */
#define NOBODY "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

/* The text at `object.name`, or "?". */
static const char *text(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsString(item) ? item->valuestring : "?";
}

/* Prints a member of a change that says how something is now. */
static void print_state(const cJSON *member)
{
    char *json;

    if (member->string == NULL || strcmp(member->string, "id") == 0
        || strcmp(member->string, "id_v1") == 0
        || strcmp(member->string, "type") == 0
        || strcmp(member->string, "owner") == 0)
        return;
    json = cJSON_PrintUnformatted(member);
    if (json != NULL)
        printf(" %s=%s", member->string, json);
    free(json);
}

/* An event of the bridge is a list of updates, each a list of changes. */
static void on_event(eventsource *source, const eventsource_event *event,
                     void *user_data)
{
    cJSON *updates = cJSON_ParseWithLength(event->data, event->data_len);
    const cJSON *update, *change, *member;

    (void)source, (void)user_data;
    if (!cJSON_IsArray(updates))
        fprintf(stderr, "not understood: %s\n", event->data);
    cJSON_ArrayForEach(update, updates)
    {
        cJSON_ArrayForEach(change, cJSON_GetObjectItem(update, "data"))
        {
            printf("%s %s %s:", text(update, "type"), text(change, "type"),
                   text(change, "id"));
            cJSON_ArrayForEach(member, change)
            {
                print_state(member);
            }
            putchar('\n');
        }
    }
    cJSON_Delete(updates);
}

static void on_open(eventsource *source, const eventsource_response *response,
                    void *user_data)
{
    (void)source, (void)response, (void)user_data;
    fputs("connected\n", stderr);
}

static void on_error(eventsource *source, const eventsource_failure *failure,
                     void *user_data)
{
    (void)source, (void)user_data;
    fprintf(stderr, "%s\n", failure->message);
}

int main(int argc, char **argv)
{
    eventsource_error error;
    eventsource *source;
    char url[256];

    if (argc < 3 || argc > 4 || strlen(argv[1]) > 200
        || setvbuf(stdout, NULL, _IOLBF, BUFSIZ) != 0) {
        fprintf(stderr, "usage: %s ADDRESS APPLICATION_KEY [sha256//KEY]\n",
                argv[0]);
        return 2;
    }
    snprintf(url, sizeof url, "https://%s/eventstream/clip/v2", argv[1]);

    error = eventsource_new(url, &source);
    eventsource_set_header(source, "hue-application-key", argv[2]);
    eventsource_set_verify_peer(source, 0); /* for the pinned key does */
    eventsource_set_pinned_key(source, argc == 4 ? argv[3] : NOBODY);
    eventsource_set_max_attempts(source, argc == 4 ? 0 : 1);
    eventsource_on_open(source, on_open, NULL);
    eventsource_on_event(source, on_event, NULL);
    eventsource_on_error(source, on_error, NULL);
    if (!error)
        error = eventsource_connect(source);
    if (error)
        fprintf(stderr, "%s: %s\n", argv[0], eventsource_strerror(error));
    else
        eventsource_wait(source, -1);
    eventsource_free(source);
    return error ? 2 : 1;
}
