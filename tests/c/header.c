/* Includes the header twice, as two other headers would. */
#include <eventsource.h>
#include <eventsource.h>

int header_too(void);

int main(void)
{
    eventsource_error error = EVENTSOURCE_ERROR_NONE;
    return (int)error + header_too();
}
