// A program that the library is a guest of: `guest CASE URL`. It prints "well"
// and exits with 0, or says where it was not.

#define _GNU_SOURCE

#include <eventsource.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(const char *url);
    } cases[] = {
        {"signals", signals},
        {"stack", stack},
        {"small-stack", small_stack},
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
