/*
 * Does everything with sources at once, from many threads:
 *
 *     stress SECONDS [URL...]
 *
 * Sources have a thread each, or one of two loops with a thread of the
 * library's, or one that threads of this program drive; callbacks or a queue.
 * They are made, connected, closed, waited for, reconnected and freed, inside
 * callbacks and outside of them, while a server of this program's, a process of
 * its own, breaks their connections. Some sources follow a URL, if there is
 * one. The last line printed is "well": each `on_close` has come once, and
 * nothing after it. What else there is to see, a sanitizer sees, or valgrind.
 */
#define _GNU_SOURCE

#include <eventsource.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "stress.c:%d: not %s\n", __LINE__, #condition); \
            abort(); \
        } \
    } while (0)

enum { SLOTS = 48, THREADS = 4, LOOPS = 3, LISTENERS = 4 };

static _Thread_local unsigned seed;

static unsigned one_of(unsigned n)
{
    return (unsigned)rand_r(&seed) % n;
}

/* The server */

static void say(int client, const char *text)
{
    if (write(client, text, strlen(text)) < 0)
        pthread_exit(NULL);
}

static void *answer(void *argument)
{
    static const char *const head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    int client = (int)(long)argument;
    struct linger at_once = {.l_onoff = 1};
    char request[4096], event[64];
    unsigned i, kind, count;

    seed = (unsigned)client + (unsigned)time(NULL);
    kind = one_of(20);
    if (kind > 0 && read(client, request, sizeof request) > 0) {
        count = one_of(kind == 1 ? 20000 : 20);
        switch (kind) {
        case 2:
            say(client, "HTTP/1.1 503 -\r\nContent-Length: 4\r\n\r\nlate");
            break;
        case 3:
            say(client, "HTTP/1.1 302 -\r\nLocation: /again\r\n\r\n");
            break;
        case 4:
            say(client, "no HTTP\r\n\r\n");
            break;
        case 5: /* the end for a source */
            say(client, "HTTP/1.1 204 -\r\n\r\n");
            break;
        case 6:
            usleep(200 * 1000);
            break;
        default:
            say(client, head);
            for (i = 0; i < count; i++) {
                snprintf(event, sizeof event, ": c\nid: %u\ndata: %u\n\n", i,
                         i);
                say(client, event);
                if (kind > 12)
                    usleep(one_of(5000));
            }
            if (kind > 16) /* until the client leaves */
                while (read(client, request, sizeof request) > 0)
                    continue;
        }
    }
    if (one_of(3) == 0)
        setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(client);
    return NULL;
}

/* Starts it, before there is any other thread; stores its URL. */
static pid_t serve(char *url, size_t size)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    int client, listener = socket(AF_INET, SOCK_STREAM, 0);
    pthread_t thread;
    pid_t process;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(listener, (struct sockaddr *)&address, len) == 0);
    CHECK(listen(listener, 1024) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &len) == 0);
    snprintf(url, size, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    process = fork();
    CHECK(process >= 0);
    if (process > 0) {
        close(listener);
        return process;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        client = accept(listener, NULL, NULL);
        if (client < 0)
            continue;
        if (pthread_create(&thread, NULL, answer, (void *)(long)client))
            close(client);
        else
            pthread_detach(thread);
    }
}

/* The sources */

/* What a source's callbacks have told. Given back with the source. */
struct witness {
    struct slot *slot;
    int plain; /* used by callbacks alone, one at a time */
    int closes;
    int freed; /* in its own callback */
};

/* A source that threads use while they hold the lock to read, and take away
 * while they hold it to write. */
struct slot {
    pthread_rwlock_t lock;
    pthread_mutex_t taker; /* an item is looked at */
    eventsource *source;
    struct witness *witness;
    int has_queue;
    uint64_t listeners[LISTENERS];
};

static struct slot slots[SLOTS];
static eventsource_loop *loops[LOOPS]; /* the last one has no thread */
static const char **urls;
static unsigned url_count;
static atomic_int over;
static atomic_ulong made, events, errors, closes, items;

static void use(struct witness *witness)
{
    CHECK(witness->closes == 0);
    witness->plain++;
}

static void let_go(struct witness *witness)
{
    CHECK(witness->closes == 1);
    free(witness);
}

/* Takes a source out of its slot, if nobody uses it. */
static eventsource *take_out(struct slot *slot, struct witness **witness)
{
    eventsource *source;

    if (pthread_rwlock_trywrlock(&slot->lock) != 0)
        return NULL;
    source = slot->source;
    *witness = slot->witness;
    slot->source = NULL;
    pthread_rwlock_unlock(&slot->lock);
    return source;
}

/* What callbacks do with their own source, and with one behind it: two that
 * free each other would wait for ever. */
static void act(eventsource *source, struct witness *witness)
{
    struct slot *slot = witness->slot, *other;
    struct witness *others;
    eventsource *taken;

    switch (one_of(200)) {
    case 0:
        eventsource_close(source);
        break;
    case 1:
        eventsource_reconnect(source);
        break;
    case 2:
        CHECK(eventsource_wait(source, -1) == EVENTSOURCE_ERROR_CALLBACK);
        break;
    case 3:
        /* Unless another thread frees it, or has. */
        if (pthread_rwlock_trywrlock(&slot->lock) == 0) {
            witness->freed = slot->source == source;
            if (witness->freed)
                slot->source = NULL;
            pthread_rwlock_unlock(&slot->lock);
            if (witness->freed)
                eventsource_free(source);
        }
        break;
    case 4:
        other = slot + 1 + one_of(SLOTS);
        if (other < slots + SLOTS
            && (taken = take_out(other, &others)) != NULL) {
            eventsource_free(taken);
            let_go(others);
        }
        break;
    }
}

/* At the end of a callback in which the source may have been freed. */
static void leave(struct witness *witness)
{
    if (witness->freed)
        let_go(witness);
}

static void on_open(eventsource *source, const eventsource_response *response,
                    void *user_data)
{
    CHECK(eventsource_response_status(response) == 200);
    use(user_data);
    act(source, user_data);
    leave(user_data);
}

static void on_event(eventsource *source, const eventsource_event *event,
                     void *user_data)
{
    CHECK(strlen(event->data) == event->data_len);
    events++;
    use(user_data);
    act(source, user_data);
    leave(user_data);
}

/* A listener: other callbacks of the same event may follow. */
static void on_message(eventsource *source, const eventsource_event *event,
                       void *user_data)
{
    (void)source, (void)event;
    use(user_data);
}

static void on_error(eventsource *source, const eventsource_failure *failure,
                     void *user_data)
{
    CHECK(failure->message[0] != '\0');
    errors++;
    use(user_data);
    act(source, user_data);
    leave(user_data);
}

static void on_close(eventsource *source, eventsource_error reason,
                     void *user_data)
{
    struct witness *witness = user_data;

    (void)source, (void)reason;
    use(witness);
    witness->closes++;
    closes++;
}

/* Fills an empty slot, with the lock held to write. */
static void make(struct slot *slot)
{
    unsigned driver = one_of(2 + LOOPS);
    struct witness *witness = calloc(1, sizeof *witness);
    eventsource *source;
    unsigned url = one_of(10) == 0 ? one_of(url_count) : 0;

    CHECK(witness != NULL);
    witness->slot = slot;
    CHECK(!eventsource_new(urls[url], &source));
    CHECK(!eventsource_set_proxy(source, ""));
    CHECK(!eventsource_set_verify_peer(source, 0));
    CHECK(!eventsource_set_reconnection_time(source, one_of(20)));
    CHECK(!eventsource_set_response_timeout(source, 100));
    CHECK(!eventsource_set_idle_timeout(source, 50 + one_of(100)));
    CHECK(!eventsource_set_retry(source, EVENTSOURCE_RETRY_PERSISTENT));
    if (driver < LOOPS)
        CHECK(!eventsource_set_loop(source, loops[driver]));
    slot->has_queue = one_of(3) == 0 && driver != LOOPS - 1;
    if (slot->has_queue) {
        CHECK(!eventsource_set_queue(source, 1 + one_of(100)));
        witness->closes = 1; /* there is none */
    } else {
        CHECK(!eventsource_on_open(source, on_open, witness));
        CHECK(!eventsource_on_event(source, on_event, witness));
        CHECK(!eventsource_on_error(source, on_error, witness));
        CHECK(!eventsource_on_close(source, on_close, witness));
    }
    slot->source = source;
    slot->witness = witness;
    memset(slot->listeners, 0, sizeof slot->listeners);
    made++;
    /* The source may be freed in a callback from here on. */
    CHECK(!eventsource_connect(source));
}

static void take_items(struct slot *slot)
{
    const eventsource_item *item;
    unsigned count = one_of(200);

    /* Of some, several threads take at once, and look at nothing: not even a
     * number in common keeps one behind the other. */
    if ((slot - slots) % 2 != 0) {
        while (count > 0 && !eventsource_next(slot->source, 0, &item))
            count--;
        return;
    }
    if (pthread_mutex_trylock(&slot->taker) != 0)
        return;
    while (count-- > 0 && !eventsource_next(slot->source, one_of(2), &item)) {
        items++;
        if (item->type == EVENTSOURCE_ITEM_TYPE_EVENT)
            CHECK(strlen(item->event->data) == item->event->data_len);
    }
    pthread_mutex_unlock(&slot->taker);
}

/* Something with the source of a slot, with the lock held to read. */
static void look(struct slot *slot)
{
    eventsource *source = slot->source;
    eventsource_stats stats;
    char id[64];
    uint64_t *listener;

    if (slot->has_queue && one_of(2) == 0)
        take_items(slot);
    switch (one_of(60)) {
    case 0:
        eventsource_close(source);
        break;
    case 1:
        eventsource_reconnect(source);
        break;
    case 2:
        eventsource_wait(source, one_of(3));
        break;
    case 3:
        CHECK(eventsource_url(source)[0] == 'h');
        CHECK(eventsource_last_event_id(source, id, sizeof id) < sizeof id);
        break;
    case 4:
        CHECK(!eventsource_get_stats(source, &stats, sizeof stats));
        break;
    case 5:
        if (!slot->has_queue) {
            /* Listeners know nothing of each other, nor of other threads. */
            CHECK(pthread_mutex_lock(&slot->taker) == 0);
            listener = &slot->listeners[one_of(LISTENERS)];
            if (*listener != 0) {
                eventsource_remove_listener(source, *listener);
                *listener = 0;
            } else {
                eventsource_add_listener(source, "message", on_message,
                                         slot->witness, NULL, listener);
            }
            pthread_mutex_unlock(&slot->taker);
        }
        break;
    default:
        CHECK(eventsource_ready_state(source) <= EVENTSOURCE_STATE_CLOSED);
    }
}

static void *work(void *number)
{
    struct slot *slot;
    struct witness *witness;
    eventsource *source;

    seed = (unsigned)(long)number;
    while (!over) {
        usleep(one_of(200));
        slot = &slots[one_of(SLOTS)];
        if (one_of(100) == 0) {
            source = take_out(slot, &witness);
            if (source != NULL) {
                eventsource_free(source);
                let_go(witness);
            }
            continue;
        }
        pthread_rwlock_rdlock(&slot->lock);
        if (slot->source != NULL) {
            look(slot);
            pthread_rwlock_unlock(&slot->lock);
            continue;
        }
        pthread_rwlock_unlock(&slot->lock);
        pthread_rwlock_wrlock(&slot->lock);
        if (slot->source == NULL)
            make(slot);
        pthread_rwlock_unlock(&slot->lock);
    }
    return NULL;
}

/* Drives the loop that has no thread, beside another thread that does. */
static void *drive(void *number)
{
    eventsource_loop *loop = loops[LOOPS - 1];
    struct pollfd entry = {.fd = eventsource_loop_fd(loop), .events = POLLIN};
    eventsource_error error;

    seed = (unsigned)(long)number;
    while (!over) {
        if (one_of(2) == 0)
            poll(&entry, 1, 5);
        error = eventsource_loop_dispatch(loop, (int64_t)one_of(3));
        CHECK(error == EVENTSOURCE_ERROR_NONE
              || error == EVENTSOURCE_ERROR_TIMEOUT
              || error == EVENTSOURCE_ERROR_BUSY);
    }
    return NULL;
}

/* Loops that come and go, before their sources. */
static void *come_and_go(void *number)
{
    enum { FEW = 5 };
    eventsource *sources[FEW];
    eventsource_loop *loop;
    int i;

    seed = (unsigned)(long)number;
    while (!over) {
        usleep(one_of(5000));
        CHECK(!eventsource_loop_new(&loop));
        for (i = 0; i < FEW; i++) {
            CHECK(!eventsource_new(urls[0], &sources[i]));
            CHECK(!eventsource_set_proxy(sources[i], ""));
            CHECK(!eventsource_set_loop(sources[i], loop));
            if (i % 2 == 0)
                CHECK(!eventsource_connect(sources[i]));
        }
        if (one_of(2) == 0)
            CHECK(!eventsource_loop_start(loop));
        for (i = 0; i < FEW; i++) {
            eventsource_connect(sources[i]);
            eventsource_loop_dispatch(loop, (int64_t)one_of(3));
        }
        if (one_of(2) == 0)
            eventsource_free(sources[0]), sources[0] = NULL;
        eventsource_loop_free(loop);
        for (i = 0; i < FEW; i++)
            eventsource_free(sources[i]);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS + 3];
    struct witness *witness;
    eventsource *source;
    char url[64];
    pid_t server;
    long i;

    if (argc < 2 || atoi(argv[1]) <= 0) {
        fprintf(stderr, "usage: %s SECONDS [URL...]\n", argv[0]);
        return 2;
    }
    server = serve(url, sizeof url);
    argv[1 + (url_count = (unsigned)argc - 1)] = NULL;
    i = atoi(argv[1]);
    argv[1] = url;
    urls = (const char **)argv + 1;
    alarm((unsigned)i + 100); /* for a run that hangs */

    for (int number = 0; number < LOOPS; number++)
        CHECK(!eventsource_loop_new(&loops[number]));
    for (int number = 0; number < LOOPS - 1; number++)
        CHECK(!eventsource_loop_start(loops[number]));
    for (int number = 0; number < SLOTS; number++) {
        CHECK(!pthread_rwlock_init(&slots[number].lock, NULL));
        CHECK(!pthread_mutex_init(&slots[number].taker, NULL));
    }
    for (long number = 0; number < THREADS + 3; number++)
        CHECK(!pthread_create(&threads[number], NULL,
                              number < THREADS       ? work
                              : number < THREADS + 2 ? drive
                                                     : come_and_go,
                              (void *)(number + 1)));
    sleep((unsigned)i);
    over = 1;
    for (i = 0; i < THREADS + 3; i++)
        CHECK(!pthread_join(threads[i], NULL));
    for (i = 0; i < SLOTS; i++) {
        /* A callback may be about to free it. */
        pthread_rwlock_wrlock(&slots[i].lock);
        source = slots[i].source;
        witness = slots[i].witness;
        slots[i].source = NULL;
        pthread_rwlock_unlock(&slots[i].lock);
        if (source != NULL) {
            eventsource_free(source);
            let_go(witness);
        }
    }
    for (i = 0; i < LOOPS; i++)
        eventsource_loop_free(loops[i]);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    printf("%lu sources, %lu events, %lu items, %lu errors, %lu closes\n", made,
           events, items, errors, closes);
    printf("well\n");
    return 0;
}
