/* What the command line says, as settings of the source. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "options.h"
#include "status.h"

/* Gives the source its settings, but for the last event ID. Says which one was
 * refused, if one was. */
enum status settings_apply(eventsource *source, const struct options *options);

#endif
