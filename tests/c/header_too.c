/* Another unit of the same program: the header defines nothing. */
#include <eventsource.h>
#include <eventsource.h>

int header_too(void);

int header_too(void)
{
    return (int)EVENTSOURCE_STATE_CONNECTING;
}
