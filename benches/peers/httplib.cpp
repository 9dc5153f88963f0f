/* As libcurl.c, with cpp-httplib. */
#include "splitter.h"
#include <httplib.h>
#include <stdio.h>
#include <string>

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    wanted = strtoul(argv[2], NULL, 10);
    const std::string url = argv[1];
    const size_t path = url.find('/', url.find("//") + 2);
    httplib::Client client(url.substr(0, path));
    client.Get(url.substr(path), [](const char *text, size_t len) {
        return split(text, len) != 0;
    });
    printf("%lu %lu\n", events, bytes);
    return 0;
}
