/*
 * A splitter as one writes it by hand, for clients that bring bytes: it knows
 * line feeds and `data` only. It has no ids and no types, and does not validate
 * UTF-8.
 */
#include <stdlib.h>
#include <string.h>

struct buffer {
    char *text;
    size_t len, room;
};

static unsigned long wanted, events, bytes;
static struct buffer line, data;

static void add(struct buffer *to, const char *text, size_t len)
{
    if (to->len + len > to->room) {
        to->room = 2 * (to->len + len);
        to->text = (char *)realloc(to->text, to->room);
        if (!to->text)
            exit(1);
    }
    memcpy(to->text + to->len, text, len);
    to->len += len;
}

/* Returns whether to go on. */
static int end_line(void)
{
    if (line.len >= 5 && !memcmp(line.text, "data:", 5)) {
        size_t start = line.len > 5 && line.text[5] == ' ' ? 6 : 5;
        if (data.len)
            add(&data, "\n", 1);
        add(&data, line.text + start, line.len - start);
    } else if (line.len == 0 && data.len) {
        bytes += data.len;
        data.len = 0;
        events++;
    }
    line.len = 0;
    return events < wanted;
}

/* Takes the next bytes of the body; returns whether to go on. */
static int split(const char *text, size_t len)
{
    const char *end;

    while ((end = (const char *)memchr(text, '\n', len))) {
        add(&line, text, end - text);
        len -= end + 1 - text;
        text = end + 1;
        if (!end_line())
            return 0;
    }
    add(&line, text, len);
    return 1;
}
