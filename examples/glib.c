/*
 * Follows any number of event streams in a GLib main loop, on one thread:
 *
 *     glib URL...
 *
 * It runs until SIGINT or SIGTERM, or until every source has closed. The exit
 * status is 0 after a signal, 1 when all sources gave up, 2 when the program
 * could not begin.
 */
#include <eventsource.h>
#include <glib-unix.h>

/* Callbacks come on the thread of the main loop: no lock is needed. */
static GMainLoop *main_loop;
static GPtrArray *sources;
static guint open_sources;
static gboolean told;

static void on_open(eventsource *source, const eventsource_response *response,
                    void *user_data)
{
    (void)user_data;
    g_print("%s open %d\n", eventsource_url(source),
            eventsource_response_status(response));
}

static void on_event(eventsource *source, const eventsource_event *event,
                     void *user_data)
{
    (void)user_data;
    g_print("%s %s %s\n", eventsource_url(source), event->type, event->data);
}

static void on_error(eventsource *source, const eventsource_failure *failure,
                     void *user_data)
{
    (void)user_data;
    g_print("%s error %s\n", eventsource_url(source), failure->message);
}

static void on_close(eventsource *source, eventsource_error reason,
                     void *user_data)
{
    (void)user_data;
    g_print("%s close %s\n", eventsource_url(source),
            eventsource_strerror(reason));
    if (--open_sources == 0)
        g_main_loop_quit(main_loop);
}

/* Makes a source that `loop` drives. */
static eventsource_error add(eventsource_loop *loop, const char *url)
{
    eventsource *source;
    eventsource_error error = eventsource_new(url, &source);

    if (error)
        return error;
    g_ptr_array_add(sources, source);
    eventsource_on_open(source, on_open, NULL);
    eventsource_on_event(source, on_event, NULL);
    eventsource_on_error(source, on_error, NULL);
    eventsource_on_close(source, on_close, NULL);
    eventsource_set_loop(source, loop);
    error = eventsource_connect(source);
    open_sources += !error;
    return error;
}

/* The library's loop has something to do. */
static gboolean on_ready(gint fd, GIOCondition condition, gpointer loop)
{
    (void)fd, (void)condition;
    eventsource_loop_dispatch(loop, 0);
    return G_SOURCE_CONTINUE;
}

static gboolean on_signal(gpointer user_data)
{
    guint i;

    (void)user_data;
    told = TRUE;
    for (i = 0; i < sources->len; i++)
        eventsource_close(g_ptr_array_index(sources, i));
    return G_SOURCE_REMOVE;
}

static void give_back(gpointer source)
{
    eventsource_free(source);
}

int main(int argc, char **argv)
{
    eventsource_loop *loop;
    eventsource_error error;
    guint watch;
    int i;

    if (argc < 2) {
        g_printerr("usage: %s URL...\n", argv[0]);
        return 2;
    }
    error = eventsource_loop_new(&loop);
    if (error) {
        g_printerr("%s: %s\n", argv[0], eventsource_strerror(error));
        return 2;
    }
    main_loop = g_main_loop_new(NULL, FALSE);
    sources = g_ptr_array_new_with_free_func(give_back);
    watch = g_unix_fd_add(eventsource_loop_fd(loop), G_IO_IN, on_ready, loop);
    g_unix_signal_add(SIGINT, on_signal, NULL);
    g_unix_signal_add(SIGTERM, on_signal, NULL);

    for (i = 1; i < argc && !error; i++)
        error = add(loop, argv[i]);
    if (error)
        g_printerr("%s: %s\n", argv[0], eventsource_strerror(error));
    else
        g_main_loop_run(main_loop);

    g_ptr_array_free(sources, TRUE);
    g_source_remove(watch);
    eventsource_loop_free(loop);
    g_main_loop_unref(main_loop);
    return error ? 2 : told ? 0 : 1;
}
