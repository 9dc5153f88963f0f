/*
 * Follows any number of event streams in a GLib main loop:
 *
 *     glib URL...
 *
 * It runs until SIGINT or SIGTERM, or until every source has closed. The exit
 * status is 0 after a signal, 1 when all sources gave up, 2 when the program
 * could not begin.
 */
#include <eventsource.h>
#include <glib-unix.h>

static GMainLoop *loop;
static GPtrArray *sources;
static guint open_sources;
static gboolean told;

/* The descriptor of a source is readable: prints the items that wait. */
static gboolean on_ready(gint fd, GIOCondition condition, gpointer user_data)
{
    eventsource *source = user_data;
    const eventsource_item *item;

    (void)fd, (void)condition;
    while (eventsource_next(source, 0, &item) == EVENTSOURCE_ERROR_NONE) {
        g_print("%s ", eventsource_url(source));
        switch (item->type) {
        case EVENTSOURCE_ITEM_TYPE_OPEN:
            g_print("open %d\n", eventsource_response_status(item->response));
            break;
        case EVENTSOURCE_ITEM_TYPE_EVENT:
            g_print("%s %s\n", item->event->type, item->event->data);
            break;
        case EVENTSOURCE_ITEM_TYPE_COMMENT:
            g_print("%s\n", item->comment);
            break;
        case EVENTSOURCE_ITEM_TYPE_ERROR:
            g_print("error %s\n", item->failure->message);
            break;
        case EVENTSOURCE_ITEM_TYPE_CLOSE:
            g_print("close %s\n", eventsource_strerror(item->reason));
            if (--open_sources == 0)
                g_main_loop_quit(loop);
            return G_SOURCE_REMOVE;
        }
    }
    return G_SOURCE_CONTINUE;
}

/* The loop goes on after a signal: each source's close comes as an item. */
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
    eventsource_error error = EVENTSOURCE_ERROR_NONE;
    eventsource *source;
    int i;

    if (argc < 2) {
        g_printerr("usage: %s URL...\n", argv[0]);
        return 2;
    }
    loop = g_main_loop_new(NULL, FALSE);
    sources = g_ptr_array_new_with_free_func(give_back);
    g_unix_signal_add(SIGINT, on_signal, NULL);
    g_unix_signal_add(SIGTERM, on_signal, NULL);

    for (i = 1; i < argc && !error; i++) {
        error = eventsource_new(argv[i], &source);
        if (error)
            break;
        g_ptr_array_add(sources, source);
        eventsource_set_queue(source, 256);
        error = eventsource_connect(source);
        if (!error)
            g_unix_fd_add(eventsource_fd(source), G_IO_IN, on_ready, source);
    }
    open_sources = sources->len;
    if (error)
        g_printerr("%s: %s\n", argv[0], eventsource_strerror(error));
    else
        g_main_loop_run(loop);

    g_ptr_array_free(sources, TRUE);
    g_main_loop_unref(loop);
    return error ? 2 : told ? 0 : 1;
}
