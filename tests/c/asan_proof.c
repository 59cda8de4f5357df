/* Proof that AddressSanitizer is in: memory is used after it was freed, by this program itself ("program")
 * or by the library ("library": it is given a pointer to freed memory). The suite expects both to be
 * caught; this program succeeds only when nothing is. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tidegate.h>

/* Through a pointer, so that the compiler does not refuse what is done here on purpose. */
static void (*volatile give_back)(void *) = free;

int main(int argc, char **argv)
{
    int64_t *freed = malloc(sizeof *freed);
    tg_loop loop = 0;
    int code = 0;
    if (argc != 2 || freed == NULL || tg_loop_new(NULL, &loop) != 0) return 0;
    give_back(freed);
    if (strcmp(argv[1], "library") == 0) code = tg_loop_get_now_ns(loop, freed);
    else printf("%d\n", *(volatile int64_t *)freed == 7);
    return tg_loop_free(loop) + code == 0 ? 0 : 3;
}
