/* Compares a table of names with abi/symbols.txt, in both directions. */
#ifndef TIDEGATE_TEST_SYMBOLS_H
#define TIDEGATE_TEST_SYMBOLS_H

#include "harness.h"

static const char *symbols_path;

/* Reads the path of abi/symbols.txt from the command line. */
static inline bool symbols_from(int argc, char **argv)
{
    if (argc != 2) fprintf(stderr, "usage: %s abi/symbols.txt\n", argv[0]);
    symbols_path = argc == 2 ? argv[1] : NULL;
    return argc == 2;
}

/* `name` gives the name of row number i, for i below `count`. */
static inline void symbols_equal(const char *(*name)(size_t i), size_t count)
{
    bool *seen = calloc(count, sizeof *seen);
    FILE *file = fopen(symbols_path, "r");
    char line[128];
    int lines = 0;
    REQUIRE(file != NULL && seen != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        size_t i = 0;
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] == '\0') continue;
        lines++;
        while (i < count && strcmp(name(i), line) != 0) i++;
        if (i < count) seen[i] = true;
        else printf("# %s is exported but has no row here\n", line);
        CHECK(i < count);
    }
    for (size_t i = 0; i < count; i++) {
        if (!seen[i]) printf("# %s has a row here but is not exported\n", name(i));
        CHECK(seen[i]);
    }
    CHECK(lines > 0);
    fclose(file);
    free(seen);
}

#endif
