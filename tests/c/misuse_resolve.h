/* The misuse sweep of looking up names. */
#ifndef TIDEGATE_TEST_MISUSE_RESOLVE_H
#define TIDEGATE_TEST_MISUSE_RESOLVE_H

#include "misuse_work.h"

OF_ID(resolve_open, OPTIONS(tg_resolve_options, on_resolved);
      int code = tg_resolve_open(id, "127.0.0.1", "80", &options, &out); UNTOUCHED(out, 7);
      return code;)
OF_ID(resolve_name_open, OPTIONS(tg_resolve_name_options, on_named); tg_address of;
      MUST(tg_address_parse("127.0.0.1", 80, &of) == 0);
      int code = tg_resolve_name_open(id, &of, &options, &out); UNTOUCHED(out, 7); return code;)

static void sweep_resolve_open(void)
{
    OPTIONS(tg_resolve_options, on_resolved);
    char name[1026];
    memset(name, 'a', sizeof name);
    name[1025] = '\0';
    LOOP_ID(resolve_open);
    REFUSED(TG_EINVAL, tg_resolve_open(on.loop, "127.0.0.1", "80", &options, NULL));
    REFUSED(TG_EINVAL, tg_resolve_open(on.loop, "127.0.0.1", "80", NULL, &out)); /* no callback */
    REFUSED(TG_EINVAL, tg_resolve_open(on.loop, name, NULL, &options, &out));
    REFUSED(TG_EINVAL, tg_resolve_open(on.loop, NULL, name, &options, &out));
    REFUSED(TG_EINVAL, tg_resolve_open(on.loop, NULL, "65536", &options, &out));
    options.family = 1;
    REFUSED(TG_EINVAL, tg_resolve_open(on.loop, "::1", NULL, &options, &out));
    options.family = UINT32_MAX;
    REFUSED(TG_EINVAL, tg_resolve_open(on.loop, "::1", NULL, &options, &out));
    options.family = 0;
    options.flags = TG_RESOLVE_NUMERIC; /* of the other function */
    REFUSED(TG_EINVAL, tg_resolve_open(on.loop, "::1", NULL, &options, &out));
    BAD_OPTIONS(tg_resolve_open(on.loop, "::1", "80", &options, &out));
    BAD_FUNCTIONS(tg_resolve_options, tg_resolve_open(on.loop, "::1", NULL, &bare, &out),
                  tg_resolve_open(on.batch, "::1", NULL, &bare, &out));
}

static void sweep_resolve_name_open(void)
{
    OPTIONS(tg_resolve_name_options, on_named);
    tg_address of, path;
    MUST(tg_address_parse("127.0.0.1", 80, &of) == 0 && tg_address_unix("path", 4, &path) == 0);
    LOOP_ID(resolve_name_open);
    REFUSED(TG_EINVAL, tg_resolve_name_open(on.loop, &of, &options, NULL));
    REFUSED(TG_EINVAL, tg_resolve_name_open(on.loop, &of, NULL, &out)); /* no callback */
    REFUSED(TG_EINVAL, tg_resolve_name_open(on.loop, NULL, &options, &out));
    REFUSED(TG_EINVAL, tg_resolve_name_open(on.loop, &path, &options, &out));
    BAD_ADDRESS(tg_resolve_name_open(on.loop, &bad, &options, &out));
    options.flags = TG_RESOLVE_NUMERIC | TG_RESOLVE_NAME_REQUIRED;
    REFUSED(TG_EINVAL, tg_resolve_name_open(on.loop, &of, &options, &out));
    options.flags = TG_RESOLVE_PASSIVE; /* of the other function */
    REFUSED(TG_EINVAL, tg_resolve_name_open(on.loop, &of, &options, &out));
    BAD_OPTIONS(tg_resolve_name_open(on.loop, &of, &options, &out));
    BAD_RESERVED(tg_resolve_name_open(on.loop, &of, &options, &out));
    BAD_FUNCTIONS(tg_resolve_name_options, tg_resolve_name_open(on.loop, &of, &bare, &out),
                  tg_resolve_name_open(on.batch, &of, &bare, &out));
}

#endif
