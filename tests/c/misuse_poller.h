/* The misuse sweep of pollers and tg_poll_once. */
#ifndef TIDEGATE_TEST_MISUSE_POLLER_H
#define TIDEGATE_TEST_MISUSE_POLLER_H

#include "misuse.h"

OF_ID(poller_free, return tg_poller_free(id);)
OF_ID(poller_add, return tg_poller_add(id, on.ends[1], TG_READ, TG_LEVEL, 0);)
OF_ID(poller_modify, return tg_poller_modify(id, on.ends[0], TG_READ, TG_LEVEL, 0);)
OF_ID(poller_remove, return tg_poller_remove(id, on.ends[0]);)
OF_ID(poller_wake, return tg_poller_wake(id);)
OF_ID(poller_wait, tg_poller_event out = { 7, 7, 7 }; int code = tg_poller_wait(id, &out, 1, 0);
      UNTOUCHED(out.data, 7); return code;)
OF_ID(poller_fd, tg_fd out = 7; int code = tg_poller_get_fd(id, &out); UNTOUCHED(out, 7);
      return code;)
OF_ID(poller_waits, uint64_t out = 7; int code = tg_poller_get_waits(id, &out); UNTOUCHED(out, 7);
      return code;)

static void sweep_poller_free(void) { POLLER_ID(poller_free); }
static void sweep_poller_wake(void) { POLLER_ID(poller_wake); }

static void sweep_poller_new(void)
{
    tg_poller_options options = TG_POLLER_OPTIONS_INIT;
    tg_poller out = 7;
    REFUSED(TG_EINVAL, tg_poller_new(NULL, NULL));
    options.flags = 0x8u;
    REFUSED(TG_EINVAL, tg_poller_new(&options, &out));
    options.flags = UINT32_MAX;
    REFUSED(TG_EINVAL, tg_poller_new(&options, &out));
    options.flags = 0;
    options.adopt_fd = on.ends[1];
    REFUSED(TG_EINVAL, tg_poller_new(&options, &out)); /* adopting is for the native mode */
    options.flags = TG_POLLER_NATIVE;
    options.adopt_fd = on.closed_fd;
    REFUSED(TG_EBADFD, tg_poller_new(&options, &out));
    CHECK(fcntl(on.ends[1], F_GETFD) >= 0);
    options.flags = 0;
    options.adopt_fd = -1;
    options.size = 0;
    REFUSED(TG_EINVAL, tg_poller_new(&options, &out));
    options.size = 4;
    REFUSED(TG_EINVAL, tg_poller_new(&options, &out));
    options.size = SIZE_MAX;
    REFUSED(TG_EINVAL, tg_poller_new(&options, &out));
    UNTOUCHED(out, 7);
}

static void sweep_poller_add(void)
{
    POLLER_ID(poller_add);
    REFUSED(TG_EBADFD, tg_poller_add(on.poller, -1, TG_READ, TG_LEVEL, 0));
    REFUSED(TG_EBADFD, tg_poller_add(on.poller, INT32_MAX, TG_READ, TG_LEVEL, 0));
    REFUSED(TG_EBADFD, tg_poller_add(on.poller, on.closed_fd, TG_READ, TG_LEVEL, 0));
    REFUSED(TG_EEXIST, tg_poller_add(on.poller, on.ends[0], TG_READ, TG_LEVEL, 0));
    REFUSED(TG_EINVAL, tg_poller_add(on.poller, on.ends[1], 0x20u, TG_LEVEL, 0));
    REFUSED(TG_EINVAL, tg_poller_add(on.poller, on.ends[1], UINT32_MAX, TG_LEVEL, 0));
    REFUSED(TG_EINVAL, tg_poller_add(on.poller, on.ends[1], TG_ERROR, TG_LEVEL, 0));
    REFUSED(TG_EINVAL, tg_poller_add(on.poller, on.ends[1], TG_READ, 3u, 0));
    on.symbol = "tg_poller_remove";
    REFUSED(TG_ENOENT, tg_poller_remove(on.poller, on.ends[1])); /* nothing was added */
}

static void sweep_poller_modify(void)
{
    POLLER_ID(poller_modify);
    REFUSED(TG_ENOENT, tg_poller_modify(on.poller, on.ends[1], TG_READ, TG_LEVEL, 0));
    REFUSED(TG_EINVAL, tg_poller_modify(on.poller, on.ends[0], 0x20u, TG_LEVEL, 0));
    REFUSED(TG_EINVAL, tg_poller_modify(on.poller, on.ends[0], TG_READ, 3u, 0));
    REFUSED(TG_ENOENT, tg_poller_modify(on.poller, -1, TG_READ, TG_LEVEL, 0));
}

static void sweep_poller_remove(void)
{
    POLLER_ID(poller_remove);
    REFUSED(TG_ENOENT, tg_poller_remove(on.poller, on.ends[1]));
    REFUSED(TG_ENOENT, tg_poller_remove(on.poller, -1));
    REFUSED(TG_ENOENT, tg_poller_remove(on.poller, INT32_MAX));
}

static void sweep_poller_wait(void)
{
    tg_poller_event out = { 7, 7, 7 };
    POLLER_ID(poller_wait);
    REFUSED(TG_EINVAL, tg_poller_wait(on.poller, NULL, 1, 0));
    REFUSED(TG_EINVAL, tg_poller_wait(on.poller, NULL, SIZE_MAX, 0));
    REFUSED(TG_EINVAL, tg_poller_wait(on.poller, &out, SIZE_MAX, 0));
    REFUSED(TG_EINVAL, tg_poller_wait(on.poller, &out, 0, 0));
    REFUSED(TG_EINVAL, tg_poller_wait(on.poller, &out, 1, -2));
    REFUSED(TG_EINVAL, tg_poller_wait(on.poller, &out, 1, INT64_MIN));
    UNTOUCHED(out.data, 7);
}

static void sweep_poller_get_fd(void)
{
    POLLER_ID(poller_fd);
    REFUSED(TG_EINVAL, tg_poller_get_fd(on.poller, NULL));
}

static void sweep_poller_get_waits(void)
{
    POLLER_ID(poller_waits);
    REFUSED(TG_EINVAL, tg_poller_get_waits(on.poller, NULL));
}

static void sweep_poll_once(void)
{
    tg_poll_item item = { -1, TG_READ, 77 };
    REFUSED(TG_EINVAL, tg_poll_once(NULL, 1, 0, 0));
    REFUSED(TG_EINVAL, tg_poll_once(NULL, SIZE_MAX, 0, 0));
    REFUSED(TG_EINVAL, tg_poll_once(&item, SIZE_MAX, 0, 0));
    REFUSED(TG_EINVAL, tg_poll_once(&item, 1, -2, 0));
    REFUSED(TG_EINVAL, tg_poll_once(&item, 1, INT64_MIN, 0));
    REFUSED(TG_EINVAL, tg_poll_once(&item, 1, 0, 0x4u));
    REFUSED(TG_EINVAL, tg_poll_once(&item, 1, 0, UINT32_MAX));
    item.interest = 0x100u;
    REFUSED(TG_EINVAL, tg_poll_once(&item, 1, 0, 0));
    item.interest = 0x10000u;
    REFUSED(TG_EINVAL, tg_poll_once(&item, 1, 0, TG_POLL_NATIVE));
    UNTOUCHED(item.ready, 77);
}

#endif
