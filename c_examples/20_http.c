/* 20: an HTTP/1.1 server for the files of a directory.
 *
 *   20_http PORT ROOT [IDLE_SECONDS]     (port 0: any free one; ends on SIGTERM or SIGINT)
 *
 * Requests are parsed by http_parser (Debian: libhttp-parser-dev, linked with -lhttp_parser); http.h finds the file.
 * Learnt here: tg_conn_send_file hands a file to the kernel, and a reply of any size takes no memory. A client that
 * asks and does not read costs one buffer and one open file, however much it asks for: the next request waits until
 * the last reply has gone (tg_conn_mark), and what was not read from the connection stays in the system, because
 * the program reads by itself (on_readable, tg_conn_read). */
#include "http.h"
#include "server.h"

#define MAX_URL 4096
#define MAX_HEAD (16 * 1024) /* the request line and all fields together */

typedef struct server {
    tg_loop loop;
    int root;
    int64_t idle_ns;
} server;

typedef struct client {
    server *server;
    tg_handle conn;
    http_parser parser;
    int64_t begun_ns;   /* when the request that is coming began; 0: none is */
    bool busy, closing; /* a reply is on its way; there will be no other request */
    http_hosts hosts;
    size_t url_size, from, to; /* input[from .. to) is not parsed yet */
    char url[MAX_URL], input[8192];
} client;

static void reply(client *it, int status, const char *type, int64_t length, const char *body)
{
    char out[512];
    bool keep = !it->closing && http_should_keep_alive(&it->parser);
    size_t size = http_reply(out, sizeof out, &it->parser, keep, status, type, length, body);
    tg_conn_write(it->conn, out, size); /* a failure ends the connection: nothing else is to be done */
    it->closing = !keep;
}

static void refuse(client *it, int status)
{
    char body[64];
    int size = snprintf(body, sizeof body, "%d %s\n", status, http_status_str((enum http_status)status));
    reply(it, status, "text/plain", size, body);
}

/* Refuses, and ends the connection: what still comes could not be understood, or is not worth reading. */
static int give_up(client *it, int status)
{
    it->closing = true;
    refuse(it, status);
    tg_conn_finish(it->conn);
    return -1;
}

static int on_begin(http_parser *parser)
{
    client *it = parser->data;
    it->url_size = 0;
    memset(&it->hosts, 0, sizeof it->hosts);
    return tg_loop_get_now_ns(it->server->loop, &it->begun_ns);
}

static int on_url(http_parser *parser, const char *at, size_t length) /* may come in pieces, as may all */
{
    client *it = parser->data;
    if (length > MAX_URL - it->url_size) return give_up(it, 414);
    memcpy(it->url + it->url_size, at, length);
    it->url_size += length;
    return 0;
}

static int on_field(http_parser *parser, const char *at, size_t length)
{
    http_hosts_name(&((client *)parser->data)->hosts, at, length);
    /* The parser lets spaces pass where it was built to be lenient; what stands behind it may not. */
    return memchr(at, ' ', length) == NULL ? 0 : give_up(parser->data, 400);
}

static int on_value(http_parser *parser, const char *at, size_t length)
{
    http_hosts_value(&((client *)parser->data)->hosts, at, length);
    return 0;
}

static int on_head(http_parser *parser)
{
    client *it = parser->data;
    parser->upgrade = 0; /* we do not, which is allowed: the answer is the usual one */
    if (parser->http_major != 1) return give_up(it, 505);
    if (it->hosts.count > 1 || (it->hosts.count == 0 && parser->http_minor > 0)) return give_up(it, 400);
    if (parser->method != HTTP_GET && parser->method != HTTP_HEAD) return give_up(it, 405);
    return 0;
}

static int on_request(http_parser *parser)
{
    client *it = parser->data;
    const char *type;
    int64_t length;
    int file, status = http_file_open(it->server->root, it->url, it->url_size, &file, &length, &type);
    tg_conn_stats stats = TG_CONN_STATS_INIT;
    it->begun_ns = 0;
    if (status != 200) {
        refuse(it, status);
    } else {
        reply(it, 200, type, length, "");
        if (parser->method == HTTP_GET) tg_conn_send_file(it->conn, file, 0, length);
        close(file); /* the library works on a duplicate */
    }
    if (it->closing) {
        tg_conn_finish(it->conn);
    } else if (tg_conn_get_stats(it->conn, &stats) == 0 && stats.queued > 0) {
        it->busy = true;
        tg_conn_pause(it->conn);
        tg_conn_mark(it->conn, 0);
    }
    if (it->closing || it->busy) http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings tells = {
    .on_message_begin = on_begin, .on_url = on_url, .on_header_field = on_field, .on_header_value = on_value,
    .on_headers_complete = on_head, .on_message_complete = on_request,
};

/* Requests that came together are answered one after the other, in order. */
static void parse(client *it)
{
    while (it->from < it->to && !it->busy && !it->closing) {
        it->from += http_parser_execute(&it->parser, &tells, it->input + it->from, it->to - it->from);
        if (HTTP_PARSER_ERRNO(&it->parser) == HPE_PAUSED) http_parser_pause(&it->parser, 0);
        else if (HTTP_PARSER_ERRNO(&it->parser) != HPE_OK && !it->closing)
            give_up(it, HTTP_PARSER_ERRNO(&it->parser) == HPE_HEADER_OVERFLOW ? 431 : 400);
    }
}

static void on_readable(tg_handle conn, void *user)
{
    client *it = user;
    int64_t now_ns;
    int count = tg_conn_read(conn, it->input, sizeof it->input);
    if (count <= 0) return; /* the end, which finishes the connection, or a failure, which has ended it */
    it->from = 0, it->to = (size_t)count;
    parse(it);
    if (it->begun_ns == 0 || it->closing || tg_loop_get_now_ns(it->server->loop, &now_ns) < 0) return;
    if (now_ns - it->begun_ns > it->server->idle_ns) give_up(it, 408); /* a byte now and then is not idle */
}

static void on_written(tg_handle conn, void *user, uint64_t token, int status)
{
    client *it = user;
    if (token != 0 || status != 0) return; /* it never will be: the connection is over */
    it->busy = false;
    parse(it);
    if (!it->busy && !it->closing) tg_conn_resume(conn);
}

static void on_accept(tg_handle listener, void *user, tg_handle conn, const tg_address *peer)
{
    client *it = calloc(1, sizeof *it);
    (void)listener, (void)peer;
    if (it == NULL || tg_handle_set_user(conn, it, free) < 0) {
        free(it);
        tg_close(conn);
        return;
    }
    it->server = user, it->conn = conn;
    http_parser_init(&it->parser, HTTP_REQUEST);
    it->parser.data = it;
}

int main(int argc, char **argv)
{
    server it;
    tg_conn_options conn = TG_CONN_OPTIONS_INIT;
    tg_listener_options options = TG_LISTENER_OPTIONS_INIT;
    int code, port = argc > 2 ? parse_port(argv[1]) : -1;
    double idle = argc > 3 ? strtod(argv[3], NULL) : 30;
    it.root = port < 0 ? -1 : open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (it.root < 0 || !(idle > 0 && idle < 1e9)) {
        fprintf(stderr, "usage: %s PORT ROOT [IDLE_SECONDS]\n", argv[0]);
        return 2;
    }
    http_parser_set_max_header_size(MAX_HEAD);
    if (tg_loop_new(NULL, &it.loop) < 0) return 1;
    conn.on_readable = on_readable;
    conn.on_written = on_written;
    conn.idle_timeout_ns = it.idle_ns = (int64_t)(idle * 1e9);
    conn.linger_ns = INT64_C(5000000000);
    options.on_accept = on_accept;
    options.user = &it;
    options.conn = &conn;
    code = server_run(it.loop, port, &options);
    tg_loop_free(it.loop);
    return close(it.root) != 0 || code < 0;
}
