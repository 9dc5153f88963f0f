/*
 * As libeventsource.c, with libcurl and a splitter written by hand: it knows
 * line feeds and `data` only. It has no ids and no types, does not validate
 * UTF-8, and does not reconnect.
 */
#include <curl/curl.h>
#include <stdio.h>
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
        to->text = realloc(to->text, to->room);
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

static size_t on_body(char *text, size_t size, size_t count, void *user_data)
{
    size_t len = size * count;
    char *end;

    (void)user_data;
    while ((end = memchr(text, '\n', len))) {
        add(&line, text, end - text);
        len -= end + 1 - text;
        text = end + 1;
        if (!end_line())
            return 0;
    }
    add(&line, text, len);
    return size * count;
}

int main(int argc, char **argv)
{
    CURL *curl = curl_easy_init();

    if (argc != 3 || !curl)
        return 2;
    wanted = strtoul(argv[2], NULL, 10);
    curl_easy_setopt(curl, CURLOPT_URL, argv[1]);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    printf("%lu %lu\n", events, bytes);
    return 0;
}
