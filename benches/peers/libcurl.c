/*
 * As libeventsource.c, with libcurl and a splitter written by hand. It does not
 * reconnect.
 */
#include "splitter.h"
#include <curl/curl.h>
#include <stdio.h>

static size_t on_body(char *text, size_t size, size_t count, void *user_data)
{
    (void)user_data;
    return split(text, size * count) ? size * count : 0;
}

int main(int argc, char **argv)
{
    CURL *curl = curl_easy_init();

    if (argc < 3 || !curl)
        return 2;
    wanted = strtoul(argv[2], NULL, 10);
    curl_easy_setopt(curl, CURLOPT_URL, argv[1]);
    if (argc > 3)
        curl_easy_setopt(curl, CURLOPT_HTTP_VERSION,
                         CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    printf("%lu %lu\n", events, bytes);
    return 0;
}
