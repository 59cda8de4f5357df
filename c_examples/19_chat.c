/* 19: a chat for many: what one says, all the others read.
 *
 *   19_chat [PORT]                (0 or nothing: any free port; ends on SIGTERM or SIGINT)
 *
 *   nc 127.0.0.1 PORT             to take part; /nick NAME, /who and /quit are commands
 *
 * Learnt here: lines come whole (TG_FRAMING_LINES), and too long ones end their connection. Whoever does not
 * read is let go before what waits for it grows: beyond `limit` a write is refused with TG_ENOBUFS, and
 * that is what the program decides on. All ways to leave end in one place, the release of the member. */
#include "server.h"
#include "text.h"
#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#define MAX_LINE 512
#define MAX_NAME 24
#define MAX_WAITING (256 * 1024) /* this much one member may be behind */

typedef struct member member;

typedef struct chat {
    member *first;
    unsigned guests; /* how many have come */
    bool ending;
} chat;

struct member {
    chat *room;
    member *next, **link;
    tg_handle conn;
    const char *left; /* what the others are told when it goes */
    char name[MAX_NAME + 1];
};

/* Writes to one. A member that lags too far behind is let go; its release comes at the end of the turn, so
 * that the list does not change while it is walked. Other failures are told by the connection's end. */
static void tell(member *to, const char *text, size_t length)
{
    if (tg_conn_write(to->conn, text, length) != TG_ENOBUFS) return;
    to->left = "was too slow";
    tg_conn_abort(to->conn);
}

static void tell_all(chat *room, const member *except, const char *format, ...)
{
    char text[MAX_LINE + MAX_NAME + 64];
    va_list values;
    int length;
    va_start(values, format);
    length = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (length < 0 || (size_t)length >= sizeof text) return; /* cannot be: lines and names are bounded */
    for (member *it = room->first; it != NULL; it = it->next)
        if (it != except) tell(it, text, (size_t)length);
}

static void tell_one(member *to, const char *text)
{
    tell(to, text, strlen(text));
}

/* Comes once for each member: after /quit, its own end, an error, a time, or tg_conn_abort. */
static void member_release(void *user)
{
    member *it = user;
    *it->link = it->next;
    if (it->next != NULL) it->next->link = it->link;
    if (!it->room->ending) tell_all(it->room, NULL, "* %s %s\n", it->name, it->left);
    free(it);
}

static bool is_taken(const chat *room, const char *name)
{
    for (const member *it = room->first; it != NULL; it = it->next)
        if (strcmp(it->name, name) == 0) return true;
    return false;
}

static void on_accept(tg_handle listener, void *user, tg_handle conn, const tg_address *peer)
{
    chat *room = user;
    member *it = calloc(1, sizeof *it);
    (void)listener, (void)peer;
    if (it == NULL || tg_handle_set_user(conn, it, member_release) < 0) {
        free(it);
        tg_close(conn);
        return;
    }
    it->room = room;
    it->conn = conn;
    it->left = "has left";
    do snprintf(it->name, sizeof it->name, "guest%u", ++room->guests);
    while (is_taken(room, it->name)); /* by somebody who likes to be called so */
    it->next = room->first;
    it->link = &room->first;
    if (it->next != NULL) it->next->link = &it->next;
    room->first = it;
    tell_one(it, "* welcome: /nick NAME, /who, /quit\n");
    tell_all(room, it, "* %s is here\n", it->name);
}

/* Letters, digits, - and _, and nobody else's. */
static const char *bad_name(const chat *room, const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length > MAX_NAME) return "* a name has 1 to 24 characters\n";
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
            return "* a name has letters, digits, - and _\n";
    return is_taken(room, name) ? "* that name is taken\n" : NULL;
}

static void rename_to(member *it, const char *name)
{
    const char *why = bad_name(it->room, name);
    char before[MAX_NAME + 1];
    if (why != NULL) {
        tell_one(it, why);
        return;
    }
    memcpy(before, it->name, sizeof before);
    memcpy(it->name, name, strlen(name) + 1);
    tell_all(it->room, NULL, "* %s is now %s\n", before, it->name);
}

/* One text and one write: a write is a system call, however little it writes. */
static void say_who(member *to)
{
    size_t length = 1, size = sizeof "*\n";
    char *text;
    for (const member *it = to->room->first; it != NULL; it = it->next) size += 1 + strlen(it->name);
    text = malloc(size);
    if (text == NULL) return;
    text[0] = '*';
    for (const member *it = to->room->first; it != NULL; it = it->next)
        length += (size_t)sprintf(text + length, " %s", it->name);
    text[length++] = '\n';
    tell(to, text, length); /* copies what it cannot send at once */
    free(text);
}

/* One line, without its end. */
static void on_line(tg_handle conn, void *user, const void *data, size_t length)
{
    member *it = user;
    char line[MAX_LINE + 1];
    memcpy(line, data, length); /* at most max_frame */
    line[length] = 0;
    text_make_plain(line, length); /* nothing that could play tricks with the terminals of the others, no zero */
    if (strncmp(line, "/nick ", 6) == 0) {
        rename_to(it, line + 6);
    } else if (strcmp(line, "/who") == 0) {
        say_who(it);
    } else if (strcmp(line, "/quit") == 0) {
        tell_one(it, "* goodbye\n");
        tg_conn_finish(conn);
    } else if (line[0] == '/') {
        tell_one(it, "* /nick NAME, /who, /quit\n");
    } else if (length > 0) {
        tell_all(it->room, it, "%s: %s\n", it->name, line);
    }
}

static void on_close(tg_handle conn, void *user, int reason)
{
    (void)conn;
    if (reason == TG_EFRAME)
        ((member *)user)->left = "was cut off: a line of more than 512 bytes";
    else if (reason != 0)
        ((member *)user)->left = "has lost the connection";
}

int main(int argc, char **argv)
{
    chat room = { NULL, 0, false };
    tg_conn_options conn = TG_CONN_OPTIONS_INIT;
    tg_listener_options options = TG_LISTENER_OPTIONS_INIT;
    int code, port = parse_port(argc > 1 ? argv[1] : NULL);
    tg_loop loop;
    if (port < 0) return 2;
    if (tg_loop_new(NULL, &loop) < 0) return 1;
    conn.on_data = on_line;
    conn.on_close = on_close;
    conn.framing = TG_FRAMING_LINES;
    conn.max_frame = MAX_LINE;
    conn.high_watermark = MAX_WAITING / 4; /* from here on it is not read from until it has read */
    conn.limit = MAX_WAITING;
    options.on_accept = on_accept;
    options.user = &room;
    options.conn = &conn;
    code = server_run(loop, port, &options);
    room.ending = true;
    tg_loop_free(loop);
    return code < 0;
}
