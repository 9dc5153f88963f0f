// A program that the library is a guest of: `guest CASE URL`. It prints "well"
// and exits with 0, or says where it was not.

#define _GNU_SOURCE

#include <eventsource.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition) check(condition, #condition, __LINE__)

static void check(int holds, const char *condition, int line)
{
    if (!holds) {
        printf("%d: not %s\n", line, condition);
        fflush(stdout);
        _exit(1);
    }
}

#ifdef STATIC_TLS
// The C library takes it out of the stack of each thread.
static _Thread_local char static_tls[STATIC_TLS];

static void use_static_tls(void)
{
    memset(static_tls, 1, sizeof static_tls);
}
#else
static void use_static_tls(void) {}
#endif

static eventsource *new_source(const char *url)
{
    eventsource *source;

    CHECK(!eventsource_new(url, &source));
    return source;
}

// Says that the callback has begun.
static void tell(int *pipe_end)
{
    CHECK(write(*pipe_end, "", 1) == 1);
}

static void await(int pipe_end)
{
    char byte;
    ssize_t count;

    do
        count = read(pipe_end, &byte, 1);
    while (count < 0 && errno == EINTR);
    CHECK(count == 1);
}

// signals

static void tell_of_event(eventsource *source, const eventsource_event *event,
                          void *user_data)
{
    (void)source, (void)event;
    tell(user_data);
}

static volatile sig_atomic_t handled;
static pthread_t main_thread;

static void handle(int signal)
{
    (void)signal;
    handled = pthread_equal(pthread_self(), main_thread) ? 1 : 2;
}

static void signals(const char *url)
{
    struct sigaction action = {.sa_handler = handle};
    struct timespec patience = {.tv_sec = 10};
    eventsource *source = new_source(url);
    sigset_t wanted, before;
    int ends[2];

    CHECK(!pipe(ends));
    main_thread = pthread_self();
    CHECK(!sigaction(SIGUSR1, &action, NULL));
    CHECK(!eventsource_on_event(source, tell_of_event, &ends[1]));
    CHECK(!pthread_sigmask(SIG_BLOCK, NULL, &before));
    CHECK(!eventsource_connect(source));
    await(ends[0]);

    // What the program had blocked is as it was.
    CHECK(!pthread_sigmask(SIG_BLOCK, NULL, &wanted));
    for (int signal = 1; signal < NSIG; signal++)
        CHECK(sigismember(&wanted, signal) == sigismember(&before, signal));

    sigemptyset(&wanted);
    sigaddset(&wanted, SIGTERM);
    sigaddset(&wanted, SIGUSR1);
    CHECK(!pthread_sigmask(SIG_BLOCK, &wanted, NULL));
    CHECK(!kill(getpid(), SIGTERM));
    CHECK(!kill(getpid(), SIGUSR1));
    sigdelset(&wanted, SIGUSR1);
    CHECK(sigtimedwait(&wanted, NULL, &patience) == SIGTERM);
    CHECK(handled == 0);
    CHECK(!pthread_sigmask(SIG_SETMASK, &before, NULL));
    CHECK(handled == 1);
    eventsource_free(source);
}

// stack

static size_t stack_size(void)
{
    pthread_attr_t attributes;
    size_t size;

    CHECK(!pthread_getattr_np(pthread_self(), &attributes));
    CHECK(!pthread_attr_getstacksize(&attributes, &size));
    pthread_attr_destroy(&attributes);
    return size;
}

// What a thread of the program has, and one of the library.
static size_t own, theirs;

static void *look_at_own(void *nothing)
{
    (void)nothing;
    own = stack_size();
    return NULL;
}

static void use(size_t bytes)
{
    volatile char locals[bytes];

    memset((char *)locals, 1, bytes);
    use_static_tls();
}

static void look_at_theirs(eventsource *source, const eventsource_event *event,
                           void *user_data)
{
    (void)source, (void)event;
    theirs = stack_size();
    use(300 * 1000);
    tell(user_data);
}

static void stack(const char *url)
{
    eventsource *source = new_source(url);
    pthread_t thread;
    int ends[2];

    CHECK(!pipe(ends));
    CHECK(!pthread_create(&thread, NULL, look_at_own, NULL));
    CHECK(!pthread_join(thread, NULL));
    CHECK(!eventsource_on_event(source, look_at_theirs, &ends[1]));
    CHECK(!eventsource_connect(source));
    await(ends[0]);
    CHECK(theirs >= own);
    // The static thread-local data come on top, and some pages.
    CHECK(theirs <= own + 512 * 1024);
    eventsource_free(source);
}

static void use_200_kib(eventsource *source, const eventsource_event *event,
                        void *user_data)
{
    (void)source, (void)event;
    CHECK(stack_size() < 1024 * 1024);
    use(200 * 1024);
    tell(user_data);
}

static void ask_deep(eventsource *source, eventsource_request *request,
                     void *user_data)
{
    (void)source, (void)request, (void)user_data;
    use(200 * 1024);
}

static void small_stack(const char *url)
{
    // A name, so that a thread looks it up.
    const char *rest = strrchr(url, ':');
    char named[100];
    eventsource *source;
    int ends[2];

    CHECK(snprintf(named, sizeof named, "http://localhost%s", rest) > 0);
    source = new_source(named);
    CHECK(!pipe(ends));
    CHECK(eventsource_set_stack_size(NULL, 0) == EVENTSOURCE_ERROR_NULL);
    CHECK(eventsource_set_stack_size(source, 1) == EVENTSOURCE_ERROR_VALUE);
    CHECK(eventsource_set_stack_size(source, 128 * 1024 - 1)
          == EVENTSOURCE_ERROR_VALUE);
    CHECK(!eventsource_set_stack_size(source, 128 * 1024));
    CHECK(!eventsource_set_stack_size(source, 0));
    CHECK(!eventsource_set_stack_size(source, 256 * 1024));
    CHECK(!eventsource_on_event(source, use_200_kib, &ends[1]));
    CHECK(!eventsource_on_request(source, ask_deep, NULL));
    CHECK(!eventsource_connect(source));
    CHECK(eventsource_set_stack_size(source, 256 * 1024)
          == EVENTSOURCE_ERROR_ALREADY_CONNECTED);
    await(ends[0]);
    eventsource_free(source);
}

// event

static void close_at_event(eventsource *source, const eventsource_event *event,
                           void *user_data)
{
    (void)event, (void)user_data;
    eventsource_close(source);
}

static void event(const char *url)
{
    eventsource *source = new_source(url);

    CHECK(!eventsource_on_event(source, close_at_event, NULL));
    CHECK(!eventsource_connect(source));
    CHECK(!eventsource_wait(source, -1));
    eventsource_free(source);
}

static void many_items(const char *url)
{
    eventsource *source = new_source(url);
    const eventsource_item *item;

    CHECK(!eventsource_set_queue(source, 1000));
    CHECK(!eventsource_connect(source));
    for (int count = 0; count < 20000; count++)
        CHECK(!eventsource_next(source, -1, &item));
    eventsource_close(source);
    CHECK(!eventsource_wait(source, -1));
    // With the last thread of a source gone, the batch is not kept either.
    CHECK(!eventsource_next(source, -1, &item));
    CHECK(item->type == EVENTSOURCE_ITEM_TYPE_CLOSE);
    eventsource_free(source);
}

// close-in-handler

static eventsource *volatile to_close;
static volatile sig_atomic_t in_handler, closed_in_handler, pulls;

#ifdef WATCH_MALLOC
#define ROUNDS 500

// The C library's own functions, in whose place these are called by all.
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);

static void watch(void)
{
    // Other threads may, at the same time.
    if (in_handler && pthread_equal(pthread_self(), main_thread)) {
        static const char text[] = "memory is managed in a signal handler\n";

        _exit(write(STDOUT_FILENO, text, sizeof text - 1) < 0 ? 3 : 2);
    }
}

void *malloc(size_t size)
{
    watch();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    watch();
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    watch();
    return __libc_realloc(memory, size);
}

void free(void *memory)
{
    watch();
    __libc_free(memory);
}
#else
#define ROUNDS 2000
#endif

static int is_readable(int fd)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};

    return poll(&entry, 1, 0) == 1;
}

static void close_in_handler(int signal)
{
    eventsource *source = to_close;

    (void)signal;
    if (!source)
        return;
    to_close = NULL;
    errno = 12345;
    in_handler = 1;
    eventsource_close(source);
    in_handler = 0;
    CHECK(errno == 12345);
    CHECK(eventsource_ready_state(source) == EVENTSOURCE_STATE_CLOSED);
    if (pulls)
        CHECK(is_readable(eventsource_fd(source)));
    errno = 0;
    closed_in_handler = 1;
}

// A number from 0 to `below`.
static long chance(long below)
{
    static unsigned long state = 88172645463325252;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

// Takes items until the close has been taken.
static void take_to_the_end(eventsource *source)
{
    const eventsource_item *item;
    int was_closed;

    for (;;) {
        was_closed = closed_in_handler;
        // Sometimes as a loop does, which waits for the descriptor.
        if (chance(2) == 0) {
            struct pollfd entry = {.fd = eventsource_fd(source),
                                   .events = POLLIN};

            CHECK(poll(&entry, 1, 10000) == 1 || errno == EINTR);
        }
        CHECK(!eventsource_next(source, 10000, &item));
        if (item->type == EVENTSOURCE_ITEM_TYPE_CLOSE)
            break;
        CHECK(!was_closed);
    }
    CHECK(item->reason == EVENTSOURCE_ERROR_NONE);
    CHECK(eventsource_next(source, 0, &item) == EVENTSOURCE_ERROR_CLOSED);
    CHECK(!is_readable(eventsource_fd(source)));
}

static void in_handlers(const char *url)
{
    struct sigaction action = {.sa_handler = close_in_handler};

    main_thread = pthread_self();
    CHECK(!sigaction(SIGALRM, &action, NULL));
    for (int round = 0; round < ROUNDS; round++) {
        struct itimerval soon = {.it_value.tv_usec = 1 + chance(2000)};
        eventsource *source = new_source(url);
        int has_queue = round % 4 != 0;

        if (has_queue)
            CHECK(!eventsource_set_queue(source, 1 + chance(100)));
        closed_in_handler = 0;
        pulls = 0;
        to_close = source;
        CHECK(!setitimer(ITIMER_REAL, &soon, NULL));
        switch (eventsource_connect(source)) {
        case EVENTSOURCE_ERROR_NONE:
            // From here on a close is an item.
            pulls = has_queue;
            if (pulls)
                take_to_the_end(source);
            CHECK(!eventsource_wait(source, 10000));
            break;
        case EVENTSOURCE_ERROR_CLOSED:
            break;
        default:
            CHECK(!"connected");
        }
        CHECK(closed_in_handler);
        eventsource_free(source);
    }
}

// fork

// How a child ends that is well.
#define CHILD 7

// Makes a child, which ends after 10 seconds if it hangs.
static pid_t child(void)
{
    pid_t id = fork();

    CHECK(id >= 0);
    if (id == 0)
        alarm(10);
    return id;
}

static void wait_for_child(pid_t id)
{
    int status;

    CHECK(waitpid(id, &status, 0) == id);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == CHILD);
}

// In a child: takes nothing of the parent's source, and lets it go.
static void let_go(eventsource *source, int fd)
{
    const eventsource_item *item;
    size_t count;
    int was_readable = fd >= 0 && is_readable(fd);

    CHECK(eventsource_next(source, 10000, &item) == EVENTSOURCE_ERROR_SYSTEM
          || fd < 0);
    CHECK(!item);
    CHECK(eventsource_next_batch(source, 10000, &item, 1, &count)
              == EVENTSOURCE_ERROR_SYSTEM
          || fd < 0);
    CHECK(eventsource_fd(source) == -1);
    CHECK(eventsource_wait(source, 10000) == EVENTSOURCE_ERROR_SYSTEM);
    CHECK(eventsource_reconnect(source) == EVENTSOURCE_ERROR_SYSTEM);
    eventsource_close(source);
    CHECK(eventsource_ready_state(source) == EVENTSOURCE_STATE_CLOSED);
    eventsource_free(source);
    CHECK(fd < 0 || is_readable(fd) == was_readable);
}

static int queue_fd;

static void fork_in_request(eventsource *source, eventsource_request *request,
                            void *user_data)
{
    pid_t id = child();

    (void)request, (void)user_data;
    if (id == 0) {
        let_go(source, queue_fd);
        _exit(CHILD);
    }
    wait_for_child(id);
    CHECK(!is_readable(queue_fd));
}

static int64_t now_ms(void)
{
    struct timespec now;

    CHECK(!clock_gettime(CLOCK_MONOTONIC, &now));
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

// Nothing comes, and that takes time and no work.
static void times_out(eventsource *source)
{
    const eventsource_item *item;
    int64_t start = now_ms();
    clock_t work = clock();

    alarm(10);
    CHECK(eventsource_next(source, 300, &item) == EVENTSOURCE_ERROR_TIMEOUT);
    alarm(0);
    CHECK(now_ms() - start >= 300);
    CHECK(clock() - work < CLOCKS_PER_SEC / 10);
}

static void fork_in_pull_mode(const char *url)
{
    eventsource *source = new_source(url);
    const eventsource_item *item;
    const uint64_t one = 1;
    int ends[2], fd;
    pid_t id;

    CHECK(!eventsource_set_queue(source, 10));
    CHECK(!eventsource_on_request(source, fork_in_request, NULL));
    queue_fd = fd = eventsource_fd(source);
    CHECK(!eventsource_connect(source));
    CHECK(!eventsource_next(source, 10000, &item));
    CHECK(item->type == EVENTSOURCE_ITEM_TYPE_OPEN);

    // What waits is the parent's.
    while (!is_readable(fd))
        poll(NULL, 0, 1);
    id = child();
    if (id == 0) {
        let_go(source, fd);
        _exit(CHILD);
    }
    wait_for_child(id);
    CHECK(!eventsource_next(source, 10000, &item));
    CHECK(item->type == EVENTSOURCE_ITEM_TYPE_EVENT);
    CHECK(!strcmp(item->event->data, "x"));
    CHECK(!is_readable(fd));

    // A child that does not know what it does, in the worst of moments.
    id = child();
    if (id == 0) {
        poll(NULL, 0, 100);
        _exit(write(fd, &one, sizeof one) == sizeof one ? CHILD : 1);
    }
    times_out(source);
    wait_for_child(id);
    CHECK(!is_readable(fd));

    eventsource_close(source);
    CHECK(!eventsource_next(source, 10000, &item));
    CHECK(item->type == EVENTSOURCE_ITEM_TYPE_CLOSE);
    CHECK(!eventsource_wait(source, 10000));
    eventsource_free(source);

    // A descriptor that stays readable.
    source = new_source(url);
    CHECK(!eventsource_set_queue(source, 10));
    CHECK(!eventsource_connect(source));
    CHECK(!eventsource_next(source, 10000, &item));
    CHECK(!eventsource_next(source, 10000, &item));
    CHECK(!pipe(ends));
    CHECK(!close(ends[1]));
    CHECK(dup2(ends[0], eventsource_fd(source)) >= 0);
    alarm(10);
    CHECK(eventsource_next(source, 300, &item) == EVENTSOURCE_ERROR_TIMEOUT);
    alarm(0);
    eventsource_free(source);
}

static int closes;
static int removals;

static void count_removal(void *user_data)
{
    (void)user_data;
    removals++;
}

static void never_called(eventsource *source, const eventsource_event *event,
                         void *user_data)
{
    (void)source, (void)event, (void)user_data;
    CHECK(0);
}

static void count_close(eventsource *source, eventsource_error reason,
                        void *user_data)
{
    (void)source, (void)reason, (void)user_data;
    closes++;
}

static void fork_in_event(eventsource *source, const eventsource_event *event,
                          void *user_data)
{
    pid_t id = child();

    (void)event;
    if (id == 0) {
        let_go(source, -1);
        CHECK(closes == 0 && removals == 0);
        _exit(CHILD);
    }
    wait_for_child(id);
    tell(user_data);
}

static void fork_in_callbacks(const char *url)
{
    eventsource *source = new_source(url);
    int ends[2];
    pid_t id;

    CHECK(!pipe(ends));
    CHECK(!eventsource_on_event(source, fork_in_event, &ends[1]));
    CHECK(!eventsource_on_close(source, count_close, NULL));
    CHECK(!eventsource_add_listener(source, "no such type", never_called, NULL,
                                    count_removal, NULL));
    CHECK(!eventsource_connect(source));
    await(ends[0]);
    id = child();
    if (id == 0) {
        let_go(source, -1);
        CHECK(closes == 0 && removals == 0);
        _exit(CHILD);
    }
    wait_for_child(id);
    CHECK(eventsource_ready_state(source) == EVENTSOURCE_STATE_OPEN);
    CHECK(closes == 0 && removals == 0);
    eventsource_close(source);
    CHECK(!eventsource_wait(source, 10000));
    CHECK(closes == 1 && removals == 1);

    // What is over, and what never began.
    id = child();
    if (id == 0) {
        eventsource *fresh = new_source(url);

        eventsource_free(source);
        eventsource_free(fresh);
        CHECK(closes == 1);
        _exit(CHILD);
    }
    wait_for_child(id);
    eventsource_free(source);
    CHECK(closes == 1 && removals == 1);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(const char *url);
    } cases[] = {
        {"signals", signals},
        {"stack", stack},
        {"event", event},
        {"many-items", many_items},
        {"small-stack", small_stack},
        {"close-in-handler", in_handlers},
        {"fork-in-pull-mode", fork_in_pull_mode},
        {"fork-in-callbacks", fork_in_callbacks},
    };

    CHECK(argc == 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!strcmp(argv[1], cases[i].name)) {
            cases[i].run(argv[2]);
            puts("well");
            return 0;
        }
    }
    CHECK(!"a case");
}
