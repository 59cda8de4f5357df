/* libcurl's multi interface on a Tidegate loop. Copy this file into your program; it is yours to change.
 *
 *     static void done(tg_curl *web, CURL *easy, CURLcode result) { ... }
 *
 *     tg_curl web;
 *     tg_curl_open(&web, loop, done, user);         0, or a negative code
 *     curl_multi_add_handle(web.multi, easy);       at any time, in done as well
 *     tg_curl_close(&web);                          in done as well, but not in curl's own callbacks
 *
 * Owns    the multi handle, its timer and its watchers. Easy handles are yours: when done is told of one it
 *         has left the multi handle, and may be cleaned up or added again. The loop ends when no transfer is left.
 *         `web` must stay where it is until tg_curl_close, which comes before the loop is freed; remove the
 *         transfers that are still going on before it.
 * Threads all of it on the loop's thread. */
#ifndef TIDEGATE_CURL_H
#define TIDEGATE_CURL_H

#include <curl/curl.h>
#include <tidegate.h>

typedef struct tg_curl tg_curl;

/* A transfer has ended. */
typedef void (*tg_curl_done)(tg_curl *web, CURL *easy, CURLcode result);

struct tg_curl {
    tg_loop loop;
    CURLM *multi;
    tg_handle timer;
    tg_curl_done done;
    void *user; /* for done: nothing here looks at it */
};

/* curl keeps a pointer for each socket; the watcher's id is put there, so nothing is allocated. */
typedef char tg_curl_an_id_fits_into_a_pointer[sizeof(void *) >= sizeof(tg_handle) ? 1 : -1];

/* Lets curl work on a socket, or on its times, and tells of what has ended by that. */
static inline void tg_curl_act(tg_curl *web, curl_socket_t fd, int ready)
{
    tg_handle timer = web->timer; /* done may close and free web: the id alone can still be asked about */
    CURLMsg *message;
    int number;
    curl_multi_socket_action(web->multi, fd, ready, &number);
    while ((message = curl_multi_info_read(web->multi, &number)) != NULL) {
        CURL *easy = message->easy_handle;
        CURLcode result = message->data.result;
        if (message->msg != CURLMSG_DONE) continue;
        curl_multi_remove_handle(web->multi, easy); /* the message dies with this */
        web->done(web, easy, result);
        if (tg_handle_is_open(timer) != 1) return;
    }
}

static inline void tg_curl_on_ready(tg_handle self, void *user, uint32_t ready, int status)
{
    int what = 0;
    tg_fd fd;
    if (tg_io_get_fd(self, &fd) < 0) return;
    if ((ready & TG_READ) != 0) what |= CURL_CSELECT_IN;
    if ((ready & TG_WRITE) != 0) what |= CURL_CSELECT_OUT;
    if ((ready & TG_ERROR) != 0 || status < 0) what |= CURL_CSELECT_ERR; /* curl finds out why */
    tg_curl_act(user, fd, what); /* may have closed this watcher: nothing of it is used any more */
}

static inline void tg_curl_on_timer(tg_handle self, void *user, uint64_t missed)
{
    (void)self, (void)missed;
    tg_curl_act(user, CURL_SOCKET_TIMEOUT, 0);
}

/* curl wants a socket watched, watched for something else, or left alone. */
static inline int tg_curl_on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_data)
{
    tg_curl *web = user;
    tg_handle watcher = (tg_handle)(uintptr_t)socket_data; /* 0, which is no watcher, when curl has no pointer yet */
    tg_io_options options = TG_IO_OPTIONS_INIT;
    uint32_t interest = 0;
    (void)easy;
    if (what == CURL_POLL_REMOVE) { /* also of a socket that curl has closed already: the watcher has its id */
        tg_close(watcher);
        return 0;
    }
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT) interest |= TG_READ;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) interest |= TG_WRITE;
    if (tg_io_set_interest(watcher, interest) == 0) return 0;
    tg_close(watcher); /* there is none, or it lost its descriptor when curl closed that */
    options.callback = tg_curl_on_ready;
    options.user = web;
    if (tg_io_open(web->loop, fd, interest, &options, &watcher) < 0) return -1; /* curl fails the transfers */
    curl_multi_assign(web->multi, fd, (void *)(uintptr_t)watcher);
    return 0;
}

/* curl has one timer: -1 stops it. At 0 curl must not be called from here, only from the loop's next turn. */
static inline int tg_curl_on_timeout(CURLM *multi, long milliseconds, void *user)
{
    tg_curl *web = user;
    int code;
    (void)multi;
    if (milliseconds < 0) code = tg_timer_stop(web->timer);
    else code = tg_timer_start(web->timer, (int64_t)milliseconds * 1000000, 0);
    return code < 0 ? -1 : 0;
}

static inline int tg_curl_open(tg_curl *web, tg_loop loop, tg_curl_done done, void *user)
{
    tg_timer_options options = TG_TIMER_OPTIONS_INIT;
    int code;
    options.callback = tg_curl_on_timer;
    options.user = web;
    code = tg_timer_open(loop, -1, 0, &options, &web->timer);
    if (code < 0) return code;
    web->multi = curl_multi_init();
    if (web->multi == NULL) {
        tg_close(web->timer);
        return TG_ENOMEM;
    }
    web->loop = loop;
    web->done = done;
    web->user = user;
    curl_multi_setopt(web->multi, CURLMOPT_SOCKETFUNCTION, tg_curl_on_socket);
    curl_multi_setopt(web->multi, CURLMOPT_SOCKETDATA, web);
    curl_multi_setopt(web->multi, CURLMOPT_TIMERFUNCTION, tg_curl_on_timeout);
    curl_multi_setopt(web->multi, CURLMOPT_TIMERDATA, web);
    return 0;
}

static inline void tg_curl_close(tg_curl *web)
{
    tg_handle timer = web->timer;
    curl_multi_cleanup(web->multi); /* closes idle connections, and their watchers through tg_curl_on_socket */
    tg_close(timer);
}

#endif
