#define _GNU_SOURCE

#include "report.h"

#include "ending.h"
#include "harmless.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The live line is written four times in a second at most. */
enum { REDRAW_MS = 250 };

/* Guards all that follows: the library's log comes from other threads. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int is_silent, is_live, is_coloured;

/* The live line as it stands on the terminal; empty if there is none. */
static char shown[512];
static int64_t shown_at_ms;

/* How many events came in a second, lately. */
static double rate;
static uint64_t counted;
static int64_t counted_at_ms;

void report_begin(int silent)
{
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    const int can_move = isatty(STDERR_FILENO) && terminal != NULL
                         && strcmp(terminal, "dumb") != 0;

    is_silent = silent;
    is_live = can_move && !silent;
    is_coloured = can_move && (no_color == NULL || *no_color == '\0');
}

static const char *paint(enum report_colour colour)
{
    static const char *const codes[] = {"", "\033[32m", "\033[33m", "\033[31m"};

    return is_coloured ? codes[colour] : "";
}

static const char *unpaint(enum report_colour colour)
{
    return is_coloured && colour != REPORT_PLAIN ? "\033[0m" : "";
}

/* The lock is held. */
static void hide(void)
{
    if (shown[0] != '\0')
        fputs("\r\033[K", stderr);
    shown[0] = '\0';
}

void report_hide(void)
{
    pthread_mutex_lock(&lock);
    hide();
    pthread_mutex_unlock(&lock);
}

void report(enum report_colour colour, const char *label, const char *format,
            ...)
{
    char line[1024];
    va_list arguments;

    if (is_silent)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    make_harmless(line, strlen(line));
    pthread_mutex_lock(&lock);
    hide();
    fprintf(stderr, "eventsource: %s%s%s: %s\n", paint(colour), label,
            unpaint(colour), line);
    pthread_mutex_unlock(&lock);
}

static void report_line(const char *prefix, const char *text, size_t len)
{
    char line[4096];

    if (len > sizeof line)
        len = sizeof line;
    memcpy(line, text, len);
    make_harmless(line, len);
    fprintf(stderr, "%s%.*s\n", prefix, (int)len, line);
}

void report_text(const char *prefix, const char *text, size_t len)
{
    const char *const end = text + len;

    if (is_silent)
        return;
    pthread_mutex_lock(&lock);
    hide();
    while (text < end) {
        const char *const feed = memchr(text, '\n', (size_t)(end - text));
        const char *const stop = feed != NULL ? feed : end;

        report_line(prefix, text, (size_t)(stop - text));
        text = stop + 1;
    }
    pthread_mutex_unlock(&lock);
}

void report_header(const char *name, const char *value)
{
    char line[4096];
    const int len = snprintf(line, sizeof line, "%s: %s", name, value);

    if (len > 0)
        report_text("< ", line, strlen(line));
}

int report_is_live(void)
{
    return is_live;
}

/* Bytes in a unit that people read. */
static void print_bytes(char *text, size_t size, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double number = (double)bytes;
    size_t unit = 0;

    while (number >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        number /= 1024;
        unit++;
    }
    snprintf(text, size, unit > 0 ? "%.1f %s" : "%.0f %s", number, units[unit]);
}

/* Counts over a second, so that the rate does not flicker. */
static void measure(uint64_t events, int64_t now_ms)
{
    const int64_t elapsed_ms = now_ms - counted_at_ms;

    if (counted_at_ms != 0 && elapsed_ms < 1000)
        return;
    if (counted_at_ms != 0)
        rate = (double)(events - counted) * 1000 / (double)elapsed_ms;
    counted = events;
    counted_at_ms = now_ms;
}

/* How many columns the character that begins with a byte takes at most. Of
 * those that have three bytes or four some are wide. */
static unsigned columns_of(unsigned char byte)
{
    if ((byte & 0xC0) == 0x80)
        return 0; /* Not the first. */
    return byte < 0xE0 ? 1 : 2;
}

/* Cuts text off where the terminal ends, so that it stays on one line. */
static void cut(char *text)
{
    struct winsize window = {0};
    unsigned columns = 80, used = 0;
    char *at;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0)
        columns = window.ws_col;
    for (at = text; *at != '\0'; at++) {
        used += columns_of((unsigned char)*at);
        if (used >= columns) {
            *at = '\0';
            return;
        }
    }
}

static void print_state(char *line, size_t size,
                        const struct report_state *state)
{
    const char *const id = state->last_event_id;
    char bytes[32];

    print_bytes(bytes, sizeof bytes, state->stats.bytes);
    snprintf(line, size, "%s  %" PRIu64 " events  %.1f/s  %s%s%s", state->name,
             state->stats.events, rate, bytes, *id != '\0' ? "  id " : "", id);
    make_harmless(line, strlen(line));
    cut(line);
}

/* Writes the line, with the name of the state in its colour. */
static void show(const char *line, const struct report_state *state)
{
    const size_t name = strlen(state->name);
    const char *rest = strlen(line) > name ? line + name : "";

    fprintf(stderr, "\r\033[K%s%.*s%s%s", paint(state->colour), (int)name, line,
            unpaint(state->colour), rest);
    memcpy(shown, line, strlen(line) + 1);
}

/* A job in the background of a shell leaves the terminal to others. */
static int is_in_background(void)
{
    const pid_t foreground = tcgetpgrp(STDERR_FILENO);

    return foreground > 0 && foreground != getpgrp();
}

void report_live(const struct report_state *state)
{
    const int64_t now_ms = ending_clock_ms();
    char line[sizeof shown];

    if (!is_live || is_in_background())
        return;
    pthread_mutex_lock(&lock);
    if (shown[0] == '\0' || now_ms - shown_at_ms >= REDRAW_MS) {
        measure(state->stats.events, now_ms);
        print_state(line, sizeof line, state);
        if (strcmp(line, shown) != 0)
            show(line, state);
        shown_at_ms = now_ms;
    }
    pthread_mutex_unlock(&lock);
}
