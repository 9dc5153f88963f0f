#include "harmless.h"

#include <string.h>

size_t control_len(const char *text, size_t len)
{
    const unsigned char byte = len > 0 ? (unsigned char)text[0] : ' ';
    const unsigned char next = len > 1 ? (unsigned char)text[1] : 0;

    if (byte < ' ' || byte == 0x7F)
        return 1;
    /* U+0080 to U+009F in UTF-8. */
    return byte == 0xC2 && next >= 0x80 && next < 0xA0 ? 2 : 0;
}

void make_harmless(char *text, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++)
        memset(text + i, '?', control_len(text + i, len - i));
}
