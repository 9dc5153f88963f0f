#define _GNU_SOURCE

#include "options.h"

#include "status.h"

#include <eventsource.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Options without a letter. */
enum {
    CA_FILE = 256,
    DATA_BINARY,
    ID_FILE,
    INTERFACE,
    JSON,
    KEY,
    LAST_EVENT_ID,
    PINNED_KEY,
    RETRY,
    SERVER_NAME,
    TYPES,
    UNIX_SOCKET,
};

static const char letters[] = "d:E:H:hkm:su:Vvx:X:";

static const struct option names[] = {
    {"cacert", required_argument, NULL, CA_FILE},
    {"cert", required_argument, NULL, 'E'},
    {"data", required_argument, NULL, 'd'},
    {"data-binary", required_argument, NULL, DATA_BINARY},
    {"header", required_argument, NULL, 'H'},
    {"help", no_argument, NULL, 'h'},
    {"id-file", required_argument, NULL, ID_FILE},
    {"insecure", no_argument, NULL, 'k'},
    {"interface", required_argument, NULL, INTERFACE},
    {"json", no_argument, NULL, JSON},
    {"key", required_argument, NULL, KEY},
    {"last-event-id", required_argument, NULL, LAST_EVENT_ID},
    {"max-time", required_argument, NULL, 'm'},
    {"pinnedpubkey", required_argument, NULL, PINNED_KEY},
    {"proxy", required_argument, NULL, 'x'},
    {"request", required_argument, NULL, 'X'},
    {"retry", required_argument, NULL, RETRY},
    {"server-name", required_argument, NULL, SERVER_NAME},
    {"silent", no_argument, NULL, 's'},
    {"types", required_argument, NULL, TYPES},
    {"unix-socket", required_argument, NULL, UNIX_SOCKET},
    {"user", required_argument, NULL, 'u'},
    {"verbose", no_argument, NULL, 'v'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "Usage: eventsource [OPTION]... URL\n"
    "\n"
    "Follows a stream of server-sent events through lost connections, and\n"
    "prints the data of each event.\n"
    "\n"
    "What is printed:\n"
    "      --json               a JSON object for each event, on one line\n"
    "      --types LIST         only events of these types, with commas\n"
    "  -s, --silent             no messages, and no live line\n"
    "  -v, --verbose            headers, comments, and the library's log, too\n"
    "\n"
    "Where the stream goes on:\n"
    "      --id-file FILE       keeps the last event ID for the next run\n"
    "      --last-event-id ID   where the first run begins\n"
    "\n"
    "The request:\n"
    "  -d, --data DATA          POST of DATA, of @FILE, or of @- for standard\n"
    "                           input, without line ends\n"
    "      --data-binary DATA   the same, unchanged\n"
    "  -H, --header LINE        a header, `Name: value`; `Name:` removes one;\n"
    "                           @FILE has one on each line\n"
    "  -u, --user USER:PASSWORD\n"
    "                           Basic authentication\n"
    "  -X, --request METHOD     another method\n"
    "\n"
    "The connection:\n"
    "      --cacert FILE        the authorities to trust\n"
    "  -E, --cert FILE          a client certificate, in PEM\n"
    "      --key FILE           its key, if that is in another file\n"
    "      --interface NAME     the interface, or the address, to go out over\n"
    "  -k, --insecure           any certificate is good\n"
    "      --pinnedpubkey KEYS  the server's key, sha256//BASE64\n"
    "  -x, --proxy URL          the proxy; an empty text for none\n"
    "      --server-name NAME   whom the server's certificate must be for\n"
    "      --unix-socket PATH   the socket to connect to\n"
    "\n"
    "How it ends:\n"
    "  -m, --max-time SECONDS   at the latest after so long\n"
    "      --retry NUMBER       after so many attempts that failed, one after\n"
    "                           the other; 0 for one attempt, inf for no end\n"
    "\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n";

/* Says what is wrong. Returns the exit status. */
static int refuse(const char *what, const char *value, const char *why)
{
    fprintf(stderr, "eventsource: %s '%s': %s\n", what, value, why);
    return STATUS_USAGE;
}

static int refuse_usage(void)
{
    fputs("eventsource: try 'eventsource --help'\n", stderr);
    return STATUS_USAGE;
}

static int out_of_memory(void)
{
    fputs("eventsource: out of memory\n", stderr);
    return STATUS_SYSTEM;
}

static int check_stdout(void)
{
    if (fflush(stdout) == 0)
        return STATUS_OK;
    perror("eventsource: standard output");
    return STATUS_WRITE;
}

static int add_header(struct options *options, const char *line)
{
    const size_t count = options->header_count + 1;
    char **headers =
        realloc(options->headers, count * sizeof *options->headers);

    if (headers == NULL)
        return out_of_memory();
    options->headers = headers;
    headers[count - 1] = strdup(line);
    if (headers[count - 1] == NULL)
        return out_of_memory();
    options->header_count = count;
    return -1;
}

static int add_headers_of(struct options *options, FILE *file)
{
    char *line = NULL;
    size_t size = 0;
    int status = -1;

    while (status < 0 && getline(&line, &size, file) >= 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (*line != '\0')
            status = add_header(options, line);
    }
    free(line);
    return status;
}

/* Opens what stands behind an `@`; says so if it cannot. */
static FILE *open_file(const char *option, const char *path)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");

    if (file == NULL)
        refuse(option, path, strerror(errno));
    return file;
}

/* Returns `status`, or another if the file could not be read. */
static int close_file(FILE *file, const char *option, int status)
{
    if (ferror(file) && status < 0) {
        refuse(option, "@", strerror(errno));
        status = STATUS_READ;
    }
    if (file != stdin)
        fclose(file);
    return status;
}

/* A header, or a file with one on each line. */
static int add_headers(struct options *options, const char *text)
{
    FILE *file;

    if (*text != '@')
        return add_header(options, text);
    file = open_file("--header", text + 1);
    if (file == NULL)
        return STATUS_READ;
    return close_file(file, "--header", add_headers_of(options, file));
}

/* Appends to the body. */
static int append(struct options *options, const char *bytes, size_t len)
{
    char *body = realloc(options->body, options->body_len + len + 1);

    if (body == NULL)
        return out_of_memory();
    memcpy(body + options->body_len, bytes, len);
    options->body = body;
    options->body_len += len;
    return -1;
}

/* What --data leaves out of a file, as curl does. */
static size_t strip(char *bytes, size_t len)
{
    size_t i, kept = 0;

    for (i = 0; i < len; i++)
        if (bytes[i] != '\n' && bytes[i] != '\r' && bytes[i] != '\0')
            bytes[kept++] = bytes[i];
    return kept;
}

static int append_stream(struct options *options, FILE *file, int is_binary)
{
    char bytes[16 * 1024];
    size_t len;
    int status = append(options, "", 0);

    while (status < 0 && (len = fread(bytes, 1, sizeof bytes, file)) > 0)
        status = append(options, bytes, is_binary ? len : strip(bytes, len));
    return status;
}

static int append_file(struct options *options, const char *path, int is_binary)
{
    FILE *file = open_file("--data", path);

    if (file == NULL)
        return STATUS_READ;
    return close_file(file, "--data", append_stream(options, file, is_binary));
}

/* As in forms, `&` stands between what several options say. */
static int add_data(struct options *options, const char *data, int is_binary)
{
    if (options->body != NULL) {
        const int status = append(options, "&", 1);

        if (status >= 0)
            return status;
    }
    if (*data == '@')
        return append_file(options, data + 1, is_binary);
    return append(options, data, strlen(data));
}

static int read_user(struct options *options, const char *user)
{
    /* What it says may be a secret all the same. */
    if (strchr(user, ':') == NULL)
        return refuse("--user", "...", "there is no password");
    options->user = user;
    return -1;
}

static int read_seconds(struct options *options, const char *text)
{
    char *end;
    const double seconds = strtod(text, &end);

    /* NaN is in no range. */
    if (end == text || *end != '\0' || !(seconds >= 0 && seconds <= 1e9))
        return refuse("--max-time", text, "not a number of seconds");
    options->max_time_ms = (int64_t)(seconds * 1000);
    if (options->max_time_ms == 0 && seconds > 0)
        options->max_time_ms = 1;
    return -1;
}

static int read_retry(struct options *options, const char *text)
{
    char *end;
    const long number = strtol(text, &end, 10);

    if (strcmp(text, "inf") == 0) {
        options->retry = RETRY_ALWAYS;
        return -1;
    }
    if (end == text || *end != '\0' || number < 0 || number > 1000000000)
        return refuse("--retry", text, "neither a number nor inf");
    options->retry = number;
    return -1;
}

/* Takes one option. Returns as options_read() does. */
static int take(struct options *options, int option, const char *value)
{
    switch (option) {
    case 'd':
        return add_data(options, value, 0);
    case DATA_BINARY:
        return add_data(options, value, 1);
    case 'H':
        return add_headers(options, value);
    case 'm':
        return read_seconds(options, value);
    case RETRY:
        return read_retry(options, value);
    case CA_FILE:
        options->ca_file = value;
        return -1;
    case 'E':
        options->certificate = value;
        return -1;
    case KEY:
        options->key = value;
        return -1;
    case 'k':
        options->insecure = 1;
        return -1;
    case PINNED_KEY:
        options->pinned_key = value;
        return -1;
    case SERVER_NAME:
        options->server_name = value;
        return -1;
    case 'x':
        options->proxy = value;
        return -1;
    case INTERFACE:
        options->interface = value;
        return -1;
    case UNIX_SOCKET:
        options->unix_socket = value;
        return -1;
    case ID_FILE:
        options->id_file = value;
        return -1;
    case LAST_EVENT_ID:
        options->last_event_id = value;
        return -1;
    case TYPES:
        options->types = value;
        return -1;
    case JSON:
        options->json = 1;
        return -1;
    case 's':
        options->silent = 1;
        return -1;
    case 'u':
        return read_user(options, value);
    case 'v':
        options->verbose = 1;
        return -1;
    case 'X':
        options->method = value;
        return -1;
    case 'h':
        fputs(help, stdout);
        return check_stdout();
    case 'V':
        printf("eventsource %s\nlibeventsource %s\n", EVENTSOURCE_VERSION,
               eventsource_version());
        return check_stdout();
    default:
        /* getopt_long() has said what is wrong. */
        return refuse_usage();
    }
}

int options_read(struct options *options, int argc, char **argv)
{
    int option, status = -1;

    memset(options, 0, sizeof *options);
    options->retry = RETRY_DEFAULT;
    while (status < 0
           && (option = getopt_long(argc, argv, letters, names, NULL)) != -1)
        status = take(options, option, optarg);
    if (status >= 0)
        return status;
    if (argc - optind != 1) {
        fputs(argc == optind ? "eventsource: no URL\n"
                             : "eventsource: more than one URL\n",
              stderr);
        return refuse_usage();
    }
    options->url = argv[optind];
    return -1;
}

void options_free(struct options *options)
{
    size_t i;

    for (i = 0; i < options->header_count; i++)
        free(options->headers[i]);
    free(options->headers);
    free(options->body);
}
