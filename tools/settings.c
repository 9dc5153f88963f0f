#define _GNU_SOURCE

#include "settings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t");
}

static int is_called(const char *line, size_t name_len, const char *name)
{
    return strlen(name) == name_len && strncasecmp(line, name, name_len) == 0;
}

/* A header as curl has it: `Name: value`, `Name:` to remove one, `Name;` for
 * one that is empty. */
static eventsource_error set_header(eventsource *source, const char *line)
{
    const size_t name_len = strcspn(line, ":;");
    const char *value = skip_blanks(line + name_len + (line[name_len] != '\0'));
    eventsource_error error;
    char *name;

    if (line[name_len] == '\0' || (line[name_len] == ';' && *value != '\0'))
        return EVENTSOURCE_ERROR_HEADER;
    if (is_called(line, name_len, "Last-Event-ID"))
        return eventsource_set_last_event_id(source, value);
    name = strndup(line, name_len);
    if (name == NULL)
        return EVENTSOURCE_ERROR_SYSTEM;
    if (line[name_len] == ':' && *value == '\0')
        value = NULL;
    error = eventsource_set_header(source, name, value);
    free(name);
    return error;
}

/* Base64, RFC 4648; `text` has room for it. */
static void encode(char *text, const char *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t i;

    for (i = 0; i < len; i += 3) {
        const unsigned a = (unsigned char)bytes[i];
        const unsigned b = i + 1 < len ? (unsigned char)bytes[i + 1] : 0;
        const unsigned c = i + 2 < len ? (unsigned char)bytes[i + 2] : 0;

        *text++ = digits[a >> 2];
        *text++ = digits[(a & 3) << 4 | b >> 4];
        *text++ = i + 1 < len ? digits[(b & 15) << 2 | c >> 6] : '=';
        *text++ = i + 2 < len ? digits[c & 63] : '=';
    }
    *text = '\0';
}

static eventsource_error set_user(eventsource *source, const char *user)
{
    static const char scheme[] = "Basic ";
    const size_t len = strlen(user);
    eventsource_error error;
    char *value = malloc(sizeof scheme + (len + 2) / 3 * 4);

    if (value == NULL)
        return EVENTSOURCE_ERROR_SYSTEM;
    memcpy(value, scheme, sizeof scheme);
    encode(value + sizeof scheme - 1, user, len);
    error = eventsource_set_header(source, "Authorization", value);
    free(value);
    return error;
}

/* A form, as with curl, unless a header says what it is. */
static eventsource_error set_body(eventsource *source,
                                  const struct options *options)
{
    eventsource_error error =
        eventsource_set_body(source, options->body, options->body_len);

    if (!error)
        error = eventsource_set_header(source, "Content-Type",
                                       "application/x-www-form-urlencoded");
    return error;
}

static eventsource_error set_certificate(eventsource *source,
                                         const struct options *options)
{
    const char *key = options->key;

    return eventsource_set_client_certificate(
        source, options->certificate, key != NULL ? key : options->certificate);
}

static eventsource_error set_retry(eventsource *source, int64_t retry)
{
    eventsource_error error;

    if (retry == 0)
        return eventsource_set_retry(source, EVENTSOURCE_RETRY_NEVER);
    error = eventsource_set_retry(source, EVENTSOURCE_RETRY_PERSISTENT);
    if (!error && retry != RETRY_ALWAYS)
        error = eventsource_set_max_attempts(source, (uint32_t)retry + 1);
    return error;
}

/* A setter of the library that takes a text. */
typedef eventsource_error (*text_setter)(eventsource *, const char *);

/* Calls the setter, if nothing went wrong before and the command line has the
 * text. */
static enum status set_text(eventsource *source, enum status status,
                            const char *option, const char *text,
                            text_setter set)
{
    if (status != STATUS_OK || text == NULL)
        return status;
    return status_check(set(source, text), option);
}

static enum status set_headers(eventsource *source,
                               const struct options *options)
{
    enum status status = STATUS_OK;
    size_t i;

    for (i = 0; i < options->header_count && status == STATUS_OK; i++)
        status =
            status_check(set_header(source, options->headers[i]), "--header");
    return status;
}

static enum status set_request(eventsource *source,
                               const struct options *options)
{
    enum status status = STATUS_OK;

    if (options->body != NULL)
        status = status_check(set_body(source, options), "--data");
    status = set_text(source, status, "--user", options->user, set_user);
    if (status == STATUS_OK)
        status = set_headers(source, options);
    return set_text(source, status, "--request", options->method,
                    eventsource_set_method);
}

static enum status set_trust(eventsource *source, const struct options *options)
{
    enum status status = STATUS_OK;

    status = set_text(source, status, "--cacert", options->ca_file,
                      eventsource_set_ca_file);
    status = set_text(source, status, "--pinnedpubkey", options->pinned_key,
                      eventsource_set_pinned_key);
    status = set_text(source, status, "--server-name", options->server_name,
                      eventsource_set_server_name);
    if (status == STATUS_OK && options->certificate != NULL)
        status = status_check(set_certificate(source, options), "--cert");
    if (status == STATUS_OK && options->insecure)
        status =
            status_check(eventsource_set_verify_peer(source, 0), "--insecure");
    return status;
}

static enum status set_connection(eventsource *source,
                                  const struct options *options)
{
    enum status status = set_trust(source, options);

    status = set_text(source, status, "--interface", options->interface,
                      eventsource_set_interface);
    status = set_text(source, status, "--proxy", options->proxy,
                      eventsource_set_proxy);
    status = set_text(source, status, "--unix-socket", options->unix_socket,
                      eventsource_set_unix_socket);
    if (status == STATUS_OK && options->retry != RETRY_DEFAULT)
        status = status_check(set_retry(source, options->retry), "--retry");
    return status;
}

enum status settings_apply(eventsource *source, const struct options *options)
{
    const enum status status = set_request(source, options);

    return status == STATUS_OK ? set_connection(source, options) : status;
}
