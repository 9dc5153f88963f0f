/*
 * Follows an event stream, and may make no system call but those that the
 * library needs:
 *
 *     sandbox URL
 *
 * Any other ends the process with SIGSYS: what a server could make of a fault
 * in the program is little. The exit status is 0 when the source has closed,
 * 2 when the program could not begin. Linked with -lseccomp.
 */
#include <eventsource.h>
#include <seccomp.h>

#include <stddef.h>
#include <stdio.h>

/* docs/system-calls.md says what each is for. */
static const char *const allowed[] = {
    /* Connections. */
    "socket", "connect", "setsockopt", "getsockopt", "getpeername", "fcntl",
    "poll", "recvfrom", "sendto", "close",
    /* Waking threads. */
    "eventfd2", "read", "write", "futex",
    /* Threads. */
    "clone3", "exit", "set_robust_list", "rseq", "prctl", "sched_getaffinity",
    "rt_sigaction", "rt_sigprocmask", "getpid", "gettid",
    /* Memory. */
    "mmap", "munmap", "mprotect", "madvise", "brk",
    /* Names and certificates. */
    "openat", "lseek", "newfstatat", "fstat", "statx", "getdents64", "uname",
    "sendmmsg", "ioctl",
    /* Random numbers, and the end. */
    "getrandom", "exit_group"};

/* Returns 0, or -1 if the system has no such filters. */
static int confine(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    size_t count = sizeof allowed / sizeof *allowed, i;
    int error = filter == NULL ? -1 : 0;

    for (i = 0; i < count && error == 0; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW,
                                 seccomp_syscall_resolve_name(allowed[i]), 0);
    if (error == 0)
        error = seccomp_load(filter);
    seccomp_release(filter);
    return error == 0 ? 0 : -1;
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
    (void)source, (void)user_data;
    fprintf(stderr, "%s\n", failure->message);
}

int main(int argc, char **argv)
{
    eventsource *source;
    eventsource_error error;

    if (argc != 2) {
        fprintf(stderr, "usage: %s URL\n", argv[0]);
        return 2;
    }
    if (confine() != 0) {
        fprintf(stderr, "%s: no filter of system calls\n", argv[0]);
        return 2;
    }
    error = eventsource_new(argv[1], &source);
    eventsource_on_event(source, on_event, NULL);
    eventsource_on_error(source, on_error, NULL);
    if (!error)
        error = eventsource_connect(source);
    if (!error)
        error = eventsource_wait(source, -1);
    if (error)
        fprintf(stderr, "%s\n", eventsource_strerror(error));
    eventsource_free(source);
    return error ? 2 : 0;
}
