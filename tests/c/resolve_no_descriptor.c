/* Look-ups by a process that has used up its descriptors. */
#include "support.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>

static atomic_bool nothing_opens;

/* The library's calls come here, too. */
int open(const char *path, int flags, ...)
{
    va_list more;
    int mode;
    if (atomic_load(&nothing_opens)) {
        errno = EMFILE;
        return -1;
    }
    va_start(more, flags);
    mode = (flags & O_CREAT) != 0 ? va_arg(more, int) : 0;
    va_end(more);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static void on_end(tg_handle self, void *user, int status, const tg_address *addresses, size_t count)
{
    (void)self;
    CHECK(addresses == NULL && count == 0);
    *(int *)user = status;
}

static int status_of_a_name(void)
{
    int status = 1;
    tg_loop loop = new_loop();
    tg_resolve_options options = TG_RESOLVE_OPTIONS_INIT;
    tg_handle id;
    options.flags = TG_RESOLVE_NUMERIC_HOST; /* it is none: answered without asking anybody */
    options.callback = on_end;
    options.user = &status;
    CHECK_CODE(tg_resolve_open(loop, "name", "80", &options, &id), 0);
    CHECK_CODE(tg_loop_run(loop), 0);
    free_loop(loop, 0);
    return status;
}

/* The C library says that there is no such name when it can open neither its files nor a socket.
 * mutation: `check` believes it. */
static void it_is_not_taken_for_a_name_that_does_not_exist(void)
{
    CHECK_CODE(status_of_a_name(), TG_ENONAME);
    atomic_store(&nothing_opens, true);
    CHECK_CODE(status_of_a_name(), -EMFILE);
    atomic_store(&nothing_opens, false);
    CHECK_CODE(status_of_a_name(), TG_ENONAME);
}

int main(void)
{
    harness_begin();
    RUN(it_is_not_taken_for_a_name_that_does_not_exist);
    return harness_end();
}
