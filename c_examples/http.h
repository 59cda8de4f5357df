/* What 20_http needs of HTTP and has nothing to do with the loop: the head of a reply, whether a request names
 * its host, and which file a URL means.
 *
 * That is nothing outside of the root, whatever the URL says. The path is decoded first and looked at
 * afterwards, so that no spelling of ".." gets by. Then each part of it is opened in the directory before
 * (openat) without following symbolic links: none leads out, not even one that is put there while we
 * look. Opening blocks the loop; a disk that is slow enough to matter is for a thread. */
#ifndef HTTP_H
#define HTTP_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* openat */
#endif
#include <errno.h>
#include <fcntl.h>
#include <http_parser.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Counts the Host fields of a request. The parser hands over a name or a value as it comes, in pieces. */
typedef struct http_hosts {
    unsigned count;
    bool in_value;
    size_t size;
    char name[5];
} http_hosts;

static inline void http_hosts_name(http_hosts *it, const char *at, size_t length)
{
    if (it->in_value) it->size = 0;
    it->in_value = false;
    for (size_t i = 0; i < length && it->size < sizeof it->name; i++) it->name[it->size++] = at[i];
}

static inline void http_hosts_value(http_hosts *it, const char *at, size_t length)
{
    (void)at, (void)length; /* which host is all the same to us */
    if (!it->in_value && it->size == 4 && strncasecmp(it->name, "host", 4) == 0) it->count++;
    it->in_value = true;
}

/* The head of a reply, and its body if that is a short text; how many bytes they have. */
static inline size_t http_reply(char *out, size_t size, const http_parser *request, bool keep, int status,
                                const char *type, long long length, const char *body)
{
    const char *conn = keep ? request->http_minor == 0 ? "Connection: keep-alive\r\n" : "" : "Connection: close\r\n";
    char date[64];
    time_t now = time(NULL);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
    return (size_t)snprintf(out, size,
                            "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\n"
                            "Content-Length: %lld\r\n%s%s\r\n%s",
                            status, http_status_str((enum http_status)status), date, type, length, conn,
                            status == 405 ? "Allow: GET, HEAD\r\n" : "", request->method == HTTP_HEAD ? "" : body);
}

static inline const char *http_file_type(const char *name)
{
    static const char *const types[][2] = {
        { ".html", "text/html; charset=utf-8" },  { ".txt", "text/plain; charset=utf-8" },
        { ".css", "text/css; charset=utf-8" },    { ".js", "text/javascript; charset=utf-8" },
        { ".json", "application/json" },          { ".svg", "image/svg+xml" },
        { ".png", "image/png" },                  { ".jpg", "image/jpeg" },
        { ".wasm", "application/wasm" },          { ".pdf", "application/pdf" },
    };
    const char *end = strrchr(name, '.');
    for (size_t i = 0; end != NULL && i < sizeof types / sizeof types[0]; i++)
        if (strcmp(end, types[i][0]) == 0) return types[i][1];
    return "application/octet-stream";
}

static inline int http_file_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %XX becomes a byte. False for what is no such thing, and for a zero, which would end the name early. */
static inline bool http_file_decode(const char *from, size_t length, char *to)
{
    for (size_t i = 0; i < length; i++) {
        if (from[i] != '%') {
            *to++ = from[i];
            continue;
        }
        int high = i + 2 < length ? http_file_digit(from[i + 1]) : -1;
        int low = high < 0 ? -1 : http_file_digit(from[i + 2]);
        if (low < 0 || (high | low) == 0) return false;
        *to++ = (char)(high * 16 + low);
        i += 2;
    }
    *to = 0;
    return true;
}

/* Opens a path part by part. The status that a failure means. */
static inline int http_file_walk(int root, char *path, int *out)
{
    int at = root;
    char *rest = path;
    while (rest != NULL) {
        char *name = rest, *slash = strchr(rest, '/');
        int next;
        rest = slash == NULL ? NULL : slash + 1;
        if (slash != NULL) *slash = 0;
        if (strcmp(name, "..") == 0) {
            if (at != root) close(at);
            return 403;
        }
        if (name[0] == 0 && rest == NULL) name = (char *)"index.html"; /* it ends with a slash, or is empty */
        if (name[0] == 0 || strcmp(name, ".") == 0) continue;
        /* O_NONBLOCK: a pipe that somebody has put there must not stop us. */
        next = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (rest != NULL ? O_DIRECTORY : 0));
        if (at != root) close(at);
        if (next < 0) {
            switch (errno) {
            case ENOENT:
            case ENOTDIR: return 404; /* also a link where a directory should be */
            case EACCES:
            case ELOOP: return 403;
            case ENAMETOOLONG: return 414;
            case EMFILE:
            case ENFILE: return 503;
            default: return 500;
            }
        }
        at = next;
    }
    if (at == root) return 404;
    *out = at;
    return 200;
}

/* 200: *file is open and *length long. Else the status to answer. */
static inline int http_file_open(int root, const char *url, size_t size, int *file, int64_t *length, const char **type)
{
    struct http_parser_url parts;
    struct stat about;
    char path[4096 + 1];
    int fd = -1, status;
    size_t start = 0, count = 0;
    http_parser_url_init(&parts);
    if (size >= sizeof path) return 414;
    if (http_parser_parse_url(url, size, 0, &parts) != 0) return 400;
    if (parts.field_set & (1 << UF_PATH)) { /* without: http://host */
        start = parts.field_data[UF_PATH].off;
        count = parts.field_data[UF_PATH].len;
    }
    if (!http_file_decode(url + start, count, path)) return 400;
    *type = path[0] == 0 || path[strlen(path) - 1] == '/' ? "text/html; charset=utf-8" : http_file_type(path);
    status = http_file_walk(root, path, &fd);
    if (status != 200) return status;
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        close(fd);
        return 404; /* also a directory without its slash */
    }
    *file = fd;
    *length = (int64_t)about.st_size;
    return 200;
}

#endif
