#define _GNU_SOURCE

#include "output.h"

#include "ending.h"
#include "harmless.h"
#include "report.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* A pipe that poll(2) calls writable takes PIPE_BUF bytes without a wait, in
 * which a signal could be missed. A file has no need of such care. */
void output_begin(struct output *output)
{
    struct stat file;
    const int is_file =
        fstat(STDOUT_FILENO, &file) == 0 && S_ISREG(file.st_mode);

    output->error = 0;
    output->len = 0;
    output->piece = is_file ? sizeof output->bytes : PIPE_BUF;
    output->is_terminal = isatty(STDOUT_FILENO);
}

/* Writes some of the bytes, and returns how many. */
static size_t write_some(struct output *output, const char *bytes, size_t len)
{
    struct pollfd out = {STDOUT_FILENO, POLLOUT, 0};
    ssize_t written;

    if (!ending_poll(&out, 1, -1)) {
        if (ending() != ENDING_NONE)
            output->error = EINTR;
        return 0;
    }
    written =
        write(STDOUT_FILENO, bytes, len < output->piece ? len : output->piece);
    if (written >= 0)
        return (size_t)written;
    if (errno != EINTR && errno != EAGAIN)
        output->error = errno;
    return 0;
}

int output_flush(struct output *output)
{
    size_t done = 0;

    if (output->len > 0 && output->is_terminal)
        report_hide();
    while (done < output->len && output->error == 0)
        done += write_some(output, output->bytes + done, output->len - done);
    output->len = 0;
    return output->error == 0;
}

static void put(struct output *output, const char *bytes, size_t len)
{
    while (len > 0 && output->error == 0) {
        const size_t room = sizeof output->bytes - output->len;
        const size_t part = len < room ? len : room;

        memcpy(output->bytes + output->len, bytes, part);
        output->len += part;
        bytes += part;
        len -= part;
        if (output->len == sizeof output->bytes)
            output_flush(output);
    }
}

static void put_text(struct output *output, const char *text)
{
    put(output, text, strlen(text));
}

/* Shows text on a terminal, which must not obey what a server sends. */
static void put_harmless(struct output *output, const char *text, size_t len)
{
    size_t i, plain = 0;

    for (i = 0; i < len; i++) {
        const size_t control = control_len(text + i, len - i);

        if (control == 0 || text[i] == '\n' || text[i] == '\t')
            continue;
        put(output, text + plain, i - plain);
        put(output, "?", 1);
        i += control - 1;
        plain = i + 1;
    }
    put(output, text + plain, len - plain);
}

void output_data(struct output *output, const eventsource_event *event)
{
    if (output->is_terminal)
        put_harmless(output, event->data, event->data_len);
    else
        put(output, event->data, event->data_len);
    put(output, "\n", 1);
}

/* The escape of a byte in a JSON string; NULL if the byte stands for itself. */
static const char *escape(unsigned char byte, char room[8])
{
    switch (byte) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\b':
        return "\\b";
    case '\f':
        return "\\f";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        /* DEL is allowed, and no good on a terminal. */
        if (byte >= ' ' && byte != 0x7F)
            return NULL;
        snprintf(room, 8, "\\u%04x", byte);
        return room;
    }
}

/* A JSON string. The library gives only text that is UTF-8, as JSON must be. */
static void put_string(struct output *output, const char *text, size_t len)
{
    size_t i, plain = 0;

    put(output, "\"", 1);
    for (i = 0; i < len; i++) {
        char room[8];
        const char *const escaped = escape((unsigned char)text[i], room);

        if (escaped == NULL)
            continue;
        put(output, text + plain, i - plain);
        put_text(output, escaped);
        plain = i + 1;
    }
    put(output, text + plain, len - plain);
    put(output, "\"", 1);
}

static void put_member(struct output *output, const char *name,
                       const char *text, size_t len)
{
    put_text(output, name);
    put_string(output, text, len);
}

/* RFC 3339, in UTC. */
static void print_now(char *text, size_t size)
{
    struct timeval now;
    struct tm day;
    size_t len;

    gettimeofday(&now, NULL);
    gmtime_r(&now.tv_sec, &day);
    len = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &day);
    snprintf(text + len, size - len, ".%03dZ", (int)(now.tv_usec / 1000));
}

void output_json(struct output *output, const eventsource_event *event)
{
    char now[40];

    print_now(now, sizeof now);
    put_member(output, "{\"type\":", event->type, event->type_len);
    put_member(output, ",\"data\":", event->data, event->data_len);
    put_member(output, ",\"id\":", event->last_event_id,
               event->last_event_id_len);
    put_member(output, ",\"origin\":", event->origin, strlen(event->origin));
    put_member(output, ",\"time\":", now, strlen(now));
    put_text(output, "}\n");
}
