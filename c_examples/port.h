/* The port from the command line, which all servers of these examples read in the same way. */
#ifndef PORT_H
#define PORT_H

#include <stdio.h>
#include <stdlib.h>

/* NULL is 0, any free one. -1 and a line on stderr when the text is no port; the programs then end with 2. */
static inline int parse_port(const char *text)
{
    char *end;
    long port = text == NULL ? 0 : strtol(text, &end, 10);
    if (text != NULL && (end == text || *end != 0 || port < 0 || port > 65535)) {
        fprintf(stderr, "%s is not a port\n", text);
        return -1;
    }
    return (int)port;
}

#endif
