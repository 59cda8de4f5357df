/* Error names and texts are total, names are unique, and our codes never change. */
#include "harness.h"

#define FIRST (-5000)
#define LAST 5000

static const struct {
    int code;
    const char *name;
} ours[] = {
    { TG_EINVAL, "TG_EINVAL" },           { TG_ENOMEM, "TG_ENOMEM" },
    { TG_ESTALE, "TG_ESTALE" },           { TG_EKIND, "TG_EKIND" },
    { TG_EWRONGTHREAD, "TG_EWRONGTHREAD" }, { TG_EREENTRANT, "TG_EREENTRANT" },
    { TG_EFORKED, "TG_EFORKED" },         { TG_EPANIC, "TG_EPANIC" },
    { TG_EEXIST, "TG_EEXIST" },           { TG_ENOENT, "TG_ENOENT" },
    { TG_EBADFD, "TG_EBADFD" },           { TG_ETIMEDOUT, "TG_ETIMEDOUT" },
    { TG_ENOBUFS, "TG_ENOBUFS" },         { TG_ELIMIT, "TG_ELIMIT" },
    { TG_ENOTSUP, "TG_ENOTSUP" },         { TG_EBUSY, "TG_EBUSY" },
    { TG_ECANCELED, "TG_ECANCELED" },     { TG_ENONAME, "TG_ENONAME" },
    { TG_ETRYAGAIN, "TG_ETRYAGAIN" },     { TG_ERESOLVE, "TG_ERESOLVE" },
    { TG_EFRAME, "TG_EFRAME" },
};
#define OURS (sizeof ours / sizeof ours[0])

/* mutation: the name of an unknown code is empty. */
static void names_and_texts_are_total(void)
{
    for (int code = FIRST; code <= LAST; code++) {
        const char *name = tg_err_name(code), *text = tg_strerror(code);
        if (name == NULL || *name == '\0' || text == NULL || *text == '\0') {
            printf("# code %d\n", code);
            CHECK(!"a name and a text for every code");
        } else if (name != tg_err_name(code) || text != tg_strerror(code)) {
            CHECK(!"names and texts are static");
        }
    }
}

/* mutation: TG_ENOENT has the name of TG_EEXIST. */
static void names_are_unique(void)
{
    static const char *names[LAST - FIRST + 1];
    int count = 0;
    for (int code = FIRST; code <= LAST; code++) {
        const char *name = tg_err_name(code);
        if (strcmp(name, "TG_UNKNOWN") == 0) continue;
        for (int i = 0; i < count; i++) {
            if (strcmp(names[i], name) != 0) continue;
            printf("# %d is called %s, as another code is\n", code, name);
            CHECK(!"names are unique");
        }
        names[count++] = name;
    }
    CHECK(count > (int)OURS + 50); /* ours, success, and the system's */
}

/* mutation: an unknown code is called TG_OK. */
static void our_codes_and_the_systems(void)
{
    for (size_t i = 0; i < OURS; i++) {
        CHECK(strcmp(tg_err_name(ours[i].code), ours[i].name) == 0);
        CHECK_EQ(ours[i].code, -4001 - (int)i);
    }
    CHECK(strcmp(tg_err_name(-EPERM), "EPERM") == 0);
    CHECK(strcmp(tg_err_name(-EMFILE), "EMFILE") == 0);
    CHECK(strcmp(tg_err_name(-ECONNRESET), "ECONNRESET") == 0);
    CHECK(strcmp(tg_err_name(-4999), "TG_UNKNOWN") == 0);
    CHECK(strcmp(tg_err_name(EPERM), "TG_UNKNOWN") == 0); /* positive numbers are counts */
}

/* mutation: the words do not have the values of the call. */
static void last_error_has_the_call_and_its_values(void)
{
    tg_loop loop = 0;
    CHECK_CODE(tg_timer_start(0x123456789abcdefu, 42, 7), TG_ESTALE);
    CHECK(strstr(tg_last_error(), "tg_timer_start") != NULL);
    CHECK(strstr(tg_last_error(), "123456789abcdef") != NULL);
    CHECK(strstr(tg_last_error(), "42") != NULL);
    CHECK_CODE(tg_loop_new(NULL, &loop), 0);
    CHECK(strstr(tg_last_error(), "tg_timer_start") != NULL); /* success leaves it alone */
    CHECK_CODE(tg_loop_free(loop), 0);
}

int main(void)
{
    harness_begin();
    CHECK_EQ(strlen(tg_last_error()), 0);
    RUN(names_and_texts_are_total);
    RUN(names_are_unique);
    RUN(our_codes_and_the_systems);
    RUN(last_error_has_the_call_and_its_values);
    return harness_end();
}
