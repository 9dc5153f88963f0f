/* Prints the version of the library. */
#include <eventsource.h>
#include <stdio.h>

int main(void)
{
    return puts(eventsource_version()) == EOF;
}
