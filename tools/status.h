/* Exit statuses, as the manual has them. They are curl's, where curl has one
 * for the case, so that scripts for curl understand them. */
#ifndef STATUS_H
#define STATUS_H

#include <eventsource.h>

enum status {
    STATUS_OK = 0,           /* the stream has ended, or the server said stop */
    STATUS_SCHEME = 1,       /* the URL's scheme is neither http nor https */
    STATUS_USAGE = 2,        /* an option, or what it says, is refused */
    STATUS_URL = 3,          /* the URL, or the proxy's, is none */
    STATUS_RESOLVE = 6,      /* the host was not found */
    STATUS_CONNECT = 7,      /* no connection to the host */
    STATUS_HTTP = 8,         /* the response is not HTTP */
    STATUS_REFUSED = 22,     /* the response is no event stream */
    STATUS_WRITE = 23,       /* events, or the ID's file, cannot be written */
    STATUS_READ = 26,        /* a file cannot be read */
    STATUS_SYSTEM = 27,      /* out of memory, threads or descriptors */
    STATUS_TIMEOUT = 28,     /* a time limit has passed, --max-time for one */
    STATUS_TLS = 35,         /* no secure connection */
    STATUS_INTERNAL = 43,    /* a defect */
    STATUS_REDIRECT = 47,    /* a redirect that cannot be followed */
    STATUS_LOST = 56,        /* the connection was lost */
    STATUS_CERTIFICATE = 58, /* a certificate, or its key, is none */
    STATUS_PROXY = 97,       /* the proxy refuses */
};

/* What an error of the library means; `http_status` is that of the response
 * which was refused last. */
enum status status_of(eventsource_error error, int http_status);

/* Says, even if the program is silent, what it cannot do and why. Returns
 * `status`. */
enum status status_fail(enum status status, const char *what, const char *why);

/* Does so if there is an error. */
enum status status_check(eventsource_error error, const char *what);

#endif
