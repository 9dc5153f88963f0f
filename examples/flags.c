/*
 * Keeps feature flags as a service has them, and prints what changes:
 *
 *     flags URL KEY
 *
 * The service sends all flags in an event `put`, and each change in an event
 * `patch` or `delete`, as the one of LaunchDarkly does for its clients:
 *
 *     {"dark-mode": {"version": 3, "value": true}, ...}
 *     {"key": "dark-mode", "version": 4, "value": false}
 *
 * While the connection is lost, the program goes on with the flags that it has.
 * It runs until SIGINT. The exit status is 0 then, 1 when the service refuses
 * the key, 2 when the program could not begin. Linked with -lcjson.
 */
#define _POSIX_C_SOURCE 200809L

#include <cjson/cJSON.h>
#include <eventsource.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Changed on the source's thread, read by all threads of the program. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static cJSON *flags;

static eventsource *source;

static void stop(int number)
{
    (void)number;
    eventsource_close(source);
}

/* What the program asks, on any thread. An unknown flag is off. */
static int is_on(const char *key)
{
    int on;

    pthread_mutex_lock(&lock);
    on = cJSON_IsTrue(
        cJSON_GetObjectItem(cJSON_GetObjectItem(flags, key), "value"));
    pthread_mutex_unlock(&lock);
    return on;
}

static int version_of(const cJSON *flag)
{
    const cJSON *version = cJSON_GetObjectItem(flag, "version");

    return cJSON_IsNumber(version) ? version->valueint : -1;
}

/* A change, unless the program knows a later one. Returns whether it was. What
 * is deleted stays, with its version and without a value. */
static int change(const char *key, cJSON *flag)
{
    int is_new;

    pthread_mutex_lock(&lock);
    is_new = version_of(cJSON_GetObjectItem(flags, key)) < version_of(flag);
    if (is_new) {
        cJSON_DeleteItemFromObject(flags, key);
        cJSON_AddItemToObject(flags, key, cJSON_Duplicate(flag, 1));
    }
    pthread_mutex_unlock(&lock);
    return is_new;
}

/* All flags, at the beginning of each connection. */
static void replace(cJSON *all)
{
    pthread_mutex_lock(&lock);
    cJSON_Delete(flags);
    flags = all;
    pthread_mutex_unlock(&lock);
}

static void on_event(eventsource *from, const eventsource_event *event,
                     void *user_data)
{
    cJSON *json = cJSON_ParseWithLength(event->data, event->data_len);
    const char *key = cJSON_GetStringValue(cJSON_GetObjectItem(json, "key"));

    (void)from, (void)user_data;
    if (cJSON_IsObject(json) && strcmp(event->type, "put") == 0) {
        printf("%d flags\n", cJSON_GetArraySize(json));
        replace(json);
        return;
    }
    if (key != NULL && change(key, json))
        printf("%s %s\n", key, is_on(key) ? "on" : "off");
    cJSON_Delete(json);
}

static void on_error(eventsource *from, const eventsource_failure *failure,
                     void *user_data)
{
    (void)from, (void)user_data;
    fprintf(stderr, "%s\n", failure->message);
}

static void on_close(eventsource *from, eventsource_error reason,
                     void *user_data)
{
    (void)from;
    *(eventsource_error *)user_data = reason;
}

int main(int argc, char **argv)
{
    eventsource_error error, reason = EVENTSOURCE_ERROR_NONE;

    if (argc != 3) {
        fprintf(stderr, "usage: %s URL KEY\n", argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    flags = cJSON_CreateObject();
    error = eventsource_new(argv[1], &source);
    eventsource_set_header(source, "Authorization", argv[2]);
    /* A service that is overloaded is asked again, a key refused is not. */
    eventsource_set_retry(source, EVENTSOURCE_RETRY_PERSISTENT);
    /* It sends a comment every three minutes, at most. */
    eventsource_set_idle_timeout(source, 5 * 60 * 1000);
    eventsource_on_event(source, on_event, NULL);
    eventsource_on_error(source, on_error, NULL);
    eventsource_on_close(source, on_close, &reason);
    signal(SIGINT, stop);
    if (!error)
        error = eventsource_connect(source);
    if (!error)
        error = eventsource_wait(source, -1);
    if (error)
        fprintf(stderr, "%s: %s\n", argv[1], eventsource_strerror(error));
    signal(SIGINT, SIG_DFL); /* soon there is nothing to close */
    eventsource_free(source);
    cJSON_Delete(flags);
    return error ? 2 : reason ? 1 : 0;
}
