/* Uses memory after it was freed: run by the suite to prove that AddressSanitizer is in. Succeeds only
 * when it is not. */
#include <stdlib.h>

#include <tidegate.h>

int main(void)
{
    volatile char *freed = malloc(16);
    tg_loop loop = 0;
    if (freed == NULL || tg_loop_new(NULL, &loop) != 0 || tg_loop_free(loop) != 0) return 0;
    free((void *)freed);
    return freed[3] == 'x' ? 0 : 0;
}
