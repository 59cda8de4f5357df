/* Framing: lines and counted frames in every size and order of bytes, the longest frame, changes midway,
 * pauses inside of a burst, what is left at the end, and floods of tiny frames. */
#include "conn_support.h"

#define MOST_FRAMES 64

typedef struct frames {
    tally tally; /* first: it is the user */
    size_t count, lengths[MOST_FRAMES];
} frames;

static void note_frame(tg_handle self, void *user, const void *data, size_t length)
{
    frames *it = user;
    if (it->count < MOST_FRAMES) it->lengths[it->count] = length;
    it->count++;
    on_data(self, user, data, length);
}

static void open_framed(frames *it, tg_loop loop, int ends[2], uint32_t framing, size_t most)
{
    tg_conn_options options = conn_options(&it->tally);
    void (*action)(tally *, char) = it->tally.action;
    memset(it, 0, sizeof *it);
    it->tally.action = action;
    make_pair(ends);
    options.on_data = note_frame;
    options.framing = framing;
    options.max_frame = most;
    open_conn_with(loop, ends[0], &options);
}

static void end_framed(frames *it, tg_loop loop, int peer)
{
    CHECK(tg_loop_free(loop) >= 0);
    CHECK_EQ(it->tally.released, 1);
    if (peer >= 0) close(peer);
    tally_end(&it->tally);
}

static void send_in_pieces(tg_loop loop, int fd, const void *bytes, size_t length, size_t step)
{
    for (size_t at = 0; at < length; at += step) {
        size_t piece = length - at < step ? length - at : step;
        MUST(write(fd, (const char *)bytes + at, piece) == (ssize_t)piece);
        turns(loop, 1);
    }
    turns(loop, 2);
}

static void lines_however_they_are_cut(void)
{
    static const char text[] = "one\r\n\n\r\ntwo\rthree\nlast";
    static const size_t lengths[] = { 3, 0, 0, 9, 4 };
    for (size_t step = 1; step < sizeof text; step++) {
        tg_loop loop = new_loop();
        frames it = { .count = 0 };
        int ends[2];
        open_framed(&it, loop, ends, TG_FRAMING_LINES, 0);
        send_in_pieces(loop, ends[1], text, sizeof text - 1, step);
        CHECK_EQ(it.count, 4);
        close(ends[1]);
        UNTIL(loop, it.tally.eofs == 1);
        CHECK_EQ(it.count, 5);
        for (int i = 0; i < 5; i++) CHECK_EQ(it.lengths[i], lengths[i]);
        CHECK_EQ(it.tally.got, 16);
        CHECK(memcmp(it.tally.data, "onetwo\rthreelast", 16) == 0);
        end_framed(&it, loop, -1);
    }
}

static size_t put_frame(unsigned char *to, unsigned size, bool little, size_t length)
{
    for (unsigned i = 0; i < size; i++) {
        unsigned shift = 8 * (little ? i : size - 1 - i);
        to[i] = shift < 64 ? (unsigned char)((uint64_t)length >> shift) : 0;
    }
    pattern(to + size, 0, length);
    return size + length;
}

static void counted_frames(uint32_t framing, unsigned size, bool little, size_t step, bool cut)
{
    static const size_t lengths[] = { 0, 1, 255, 100, 0, 200 };
    unsigned char bytes[2000];
    size_t all = 0;
    tg_loop loop = new_loop();
    frames it = { .count = 0 };
    int ends[2];
    open_framed(&it, loop, ends, framing | (little ? TG_FRAMING_LITTLE_ENDIAN : 0), 255);
    for (int i = 0; i < 6; i++) all += put_frame(bytes + all, size, little, lengths[i]);
    if (cut) all += put_frame(bytes + all, size, little, 50) - 1; /* the last byte is missing */
    send_in_pieces(loop, ends[1], bytes, all, step);
    close(ends[1]);
    UNTIL(loop, it.tally.eofs + it.tally.closed > 0);
    CHECK_EQ(it.tally.eofs, !cut); /* a part is not taken for the whole */
    CHECK_EQ(it.tally.closed, cut);
    CHECK_CODE(it.tally.reason, cut ? TG_EFRAME : 0);
    CHECK_EQ(it.count, 6);
    for (int i = 0; i < 6; i++) CHECK_EQ(it.lengths[i], lengths[i]);
    CHECK(is_pattern(it.tally.data + 1, 0, 255));
    end_framed(&it, loop, -1);
}

static void counted_frames_of_every_size(void)
{
    static const struct { uint32_t framing; unsigned size; } kinds[] = {
        { TG_FRAMING_LENGTH8, 1 }, { TG_FRAMING_LENGTH16, 2 },
        { TG_FRAMING_LENGTH32, 4 }, { TG_FRAMING_LENGTH64, 8 }
    };
    for (size_t i = 0; i < 4; i++)
        for (int little = 0; little < 2; little++) {
            counted_frames(kinds[i].framing, kinds[i].size, little == 1, 1, false);
            counted_frames(kinds[i].framing, kinds[i].size, little == 1, 1, true);
            counted_frames(kinds[i].framing, kinds[i].size, little == 1, 7, false);
            counted_frames(kinds[i].framing, kinds[i].size, little == 1, 7, true);
            counted_frames(kinds[i].framing, kinds[i].size, little == 1, 2000, false);
            counted_frames(kinds[i].framing, kinds[i].size, little == 1, 2000, true);
        }
}

static void too_long(uint32_t framing, size_t most, const void *bytes, size_t length)
{
    tg_loop loop = new_loop();
    frames it = { .count = 0 };
    int ends[2];
    open_framed(&it, loop, ends, framing, most);
    MUST(write(ends[1], bytes, length) == (ssize_t)length);
    UNTIL(loop, it.tally.closed == 1);
    CHECK_CODE(it.tally.reason, TG_EFRAME);
    CHECK_EQ(it.count, 0);
    end_framed(&it, loop, ends[1]);
}

/* mutation: only whole frames are measured; a length is added to without a look at what comes out. */
static void h41_frames_that_are_too_long(void)
{
    static const unsigned char huge[8] = { 255, 255, 255, 255, 255, 255, 255, 255 };
    static const unsigned char nearly[8] = { 255, 255, 255, 255, 255, 255, 255, 250 };
    too_long(TG_FRAMING_LENGTH16, 255, "\1\0", 2);
    too_long(TG_FRAMING_LENGTH32, 0, huge, 4);
    too_long(TG_FRAMING_LENGTH64, 0, huge, 8);
    too_long(TG_FRAMING_LENGTH64, SIZE_MAX, huge, 8);
    too_long(TG_FRAMING_LENGTH64, SIZE_MAX, nearly, 8);
    too_long(TG_FRAMING_LENGTH64 | TG_FRAMING_LITTLE_ENDIAN, SIZE_MAX, huge, 8);
    too_long(TG_FRAMING_LINES, 4, "12345\n", 6);
    too_long(TG_FRAMING_LINES, 4, "123456", 6);
}

/* A line, then counted frames, then whatever comes. */
static void change_midway(tally *it, char what)
{
    if (what != 'd') return;
    if (it->frames == 1) CHECK_CODE(tg_conn_set_framing(it->id, TG_FRAMING_LENGTH8, 0), 0);
    if (it->frames == 3) CHECK_CODE(tg_conn_set_framing(it->id, TG_FRAMING_NONE, 0), 0);
}

static void framing_changes_for_what_was_not_delivered(void)
{
    static const char bytes[] = "hello\n\3abc\2derest of it";
    for (size_t step = 1; step < sizeof bytes; step++) {
        tg_loop loop = new_loop();
        frames it = { .tally = { .action = change_midway } };
        int ends[2];
        open_framed(&it, loop, ends, TG_FRAMING_LINES, 0);
        send_in_pieces(loop, ends[1], bytes, sizeof bytes - 1, step);
        CHECK(it.count >= 4);
        CHECK_EQ(it.lengths[0], 5);
        CHECK_EQ(it.lengths[1], 3);
        CHECK_EQ(it.lengths[2], 2);
        CHECK_EQ(it.tally.got, 20);
        CHECK(memcmp(it.tally.data, "helloabcderest of it", it.tally.got) == 0);
        end_framed(&it, loop, ends[1]);
    }
}

static void pause_at_each(tally *it, char what)
{
    if (what == 'd') CHECK_CODE(tg_conn_pause(it->id), 0);
}

/* mutation: a burst goes on although it was paused; the rest of it is forgotten, or looked for without end. */
static void h42_pausing_inside_of_a_burst(void)
{
    tg_loop loop = new_loop();
    frames it = { .tally = { .action = pause_at_each } };
    int ends[2];
    open_framed(&it, loop, ends, TG_FRAMING_LINES, 0);
    put(ends[1], "1\n22\n333\n4444");
    close(ends[1]);
    for (size_t i = 1; i <= 4; i++) {
        UNTIL(loop, it.count == i);
        CHECK_QUIET(loop);
        CHECK_EQ(it.count, i);
        CHECK_EQ(it.tally.eofs, 0); /* the end is not told before everything, nor in a pause */
        CHECK_CODE(tg_conn_resume(it.tally.id), 0);
    }
    UNTIL(loop, it.tally.eofs == 1);
    CHECK_QUIET(loop);
    CHECK(strcmp(it.tally.order, "odddde") == 0);
    end_framed(&it, loop, -1);
}

static void close_at_third(tally *it, char what)
{
    if (what == 'd' && it->frames == 3) CHECK_CODE(tg_close(it->id), 0);
}

static void finish_at_third(tally *it, char what)
{
    if (what == 'd' && it->frames == 3) CHECK_CODE(tg_conn_finish(it->id), 0);
}

static void nothing_comes_after_close_or_finish(void)
{
    for (int finish = 0; finish < 2; finish++) {
        tg_loop loop = new_loop();
        frames it = { .tally = { .action = finish == 0 ? close_at_third : finish_at_third } };
        int ends[2];
        open_framed(&it, loop, ends, TG_FRAMING_LINES, 0);
        put(ends[1], "1\n2\n3\n4\n5\n");
        close(ends[1]);
        CHECK_CODE(tg_loop_run(loop), 0);
        CHECK_EQ(it.count, 3);
        CHECK_EQ(it.tally.closed, finish);
        end_framed(&it, loop, -1);
    }
}

/* Eight megabytes of empty lines: the others have their turn, and the library does not hoard.
 * mutation: a connection reads on although it holds frames that are not delivered; the frames of a turn
 * are not counted. */
static void h41_h23_a_flood_of_tiny_frames(void)
{
    static char newlines[65536];
    tg_loop loop = new_loop();
    frames it = { .count = 0 };
    tally other = { .count = 0 };
    const size_t all = (size_t)harness_scale(2 << 20);
    size_t sent = 0, most = 0, last = 0, fewest = SIZE_MAX;
    int ends[2], pair[2];
    memset(newlines, '\n', sizeof newlines);
    open_framed(&it, loop, ends, TG_FRAMING_LINES, 0);
    make_pair(pair);
    open_conn(loop, pair[0], &other);
    while (it.count < all && other.got < 1000000) {
        size_t piece = all - sent < sizeof newlines ? all - sent : sizeof newlines;
        ssize_t count = piece == 0 ? 0 : send(ends[1], newlines, piece, MSG_DONTWAIT);
        if (count > 0) sent += (size_t)count;
        put(pair[1], "x");
        last = it.count;
        turns(loop, 1);
        if (it.count - last > most) most = it.count - last;
        if (other.got < fewest) fewest = other.got;
        if (conn_stats(it.tally.id).bytes_in - it.count > 3 * sizeof newlines) break; /* held, and growing */
    }
    CHECK_EQ(it.count, all);
    CHECK(most <= 4096);
    CHECK(fewest >= 1);
    CHECK(other.got * 4096 >= all); /* one of the other's each turn */
    CHECK(conn_stats(it.tally.id).bytes_in - it.count <= 3 * sizeof newlines);
    close_both((int[2]){ ends[1], pair[1] });
    end_framed(&it, loop, -1);
    tally_end(&other);
}

int main(void)
{
    harness_begin();
    RUN(lines_however_they_are_cut);
    RUN(counted_frames_of_every_size);
    RUN(h41_frames_that_are_too_long);
    RUN(framing_changes_for_what_was_not_delivered);
    RUN(h42_pausing_inside_of_a_burst);
    RUN(nothing_comes_after_close_or_finish);
    RUN(h41_h23_a_flood_of_tiny_frames);
    return harness_end();
}
