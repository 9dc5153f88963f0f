/* Text of others on a terminal. */
#ifndef HARMLESS_H
#define HARMLESS_H

#include <stddef.h>

/* Returns how many bytes at the beginning of a text are a control character,
 * which a terminal would obey: U+0000 to U+001F, or U+007F to U+009F. 0 if the
 * text begins with another character. */
size_t control_len(const char *text, size_t len);

/* Replaces control characters by question marks. */
void make_harmless(char *text, size_t len);

#endif
