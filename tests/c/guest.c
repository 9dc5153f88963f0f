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

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(const char *url);
    } cases[] = {
        {"signals", signals},
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
