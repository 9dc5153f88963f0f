#include "status.h"

#include "report.h"

#include <stdio.h>

enum status status_of(eventsource_error error, int http_status)
{
    switch (error) {
    case EVENTSOURCE_ERROR_NONE:
    case EVENTSOURCE_ERROR_ENDED:
        return STATUS_OK;
    case EVENTSOURCE_ERROR_STATUS:
        /* By 204 a server asks its clients to stop. */
        return http_status == 204 ? STATUS_OK : STATUS_REFUSED;
    case EVENTSOURCE_ERROR_CONTENT_TYPE:
        return STATUS_REFUSED;
    case EVENTSOURCE_ERROR_SCHEME:
        return STATUS_SCHEME;
    case EVENTSOURCE_ERROR_URL:
        return STATUS_URL;
    case EVENTSOURCE_ERROR_RESOLVE:
        return STATUS_RESOLVE;
    case EVENTSOURCE_ERROR_CONNECT:
        return STATUS_CONNECT;
    case EVENTSOURCE_ERROR_HTTP:
        return STATUS_HTTP;
    case EVENTSOURCE_ERROR_FILE:
        return STATUS_READ;
    case EVENTSOURCE_ERROR_SYSTEM:
        return STATUS_SYSTEM;
    case EVENTSOURCE_ERROR_TIMEOUT:
        return STATUS_TIMEOUT;
    case EVENTSOURCE_ERROR_TLS:
        return STATUS_TLS;
    case EVENTSOURCE_ERROR_INTERNAL:
        return STATUS_INTERNAL;
    case EVENTSOURCE_ERROR_REDIRECT:
        return STATUS_REDIRECT;
    case EVENTSOURCE_ERROR_LOST:
        return STATUS_LOST;
    case EVENTSOURCE_ERROR_CERTIFICATE:
    case EVENTSOURCE_ERROR_PRIVATE_KEY:
        return STATUS_CERTIFICATE;
    case EVENTSOURCE_ERROR_PROXY:
        return STATUS_PROXY;
    default:
        return STATUS_USAGE;
    }
}

enum status status_fail(enum status status, const char *what, const char *why)
{
    report_hide();
    fprintf(stderr, "eventsource: %s: %s\n", what, why);
    return status;
}

enum status status_check(eventsource_error error, const char *what)
{
    if (!error)
        return STATUS_OK;
    return status_fail(status_of(error, 0), what,
                       eventsource_strerror((int)error));
}
