/* Text of strangers that is to be shown on the terminals of others. */
#ifndef TEXT_H
#define TEXT_H

#include <stddef.h>
#include <stdint.h>

/* How many bytes the UTF-8 character at `text` has; 0 if there is none, or one that commands a terminal: C0, DEL, and
 * C1, which is U+0080 to U+009F. (A terminal that does not know UTF-8 takes the bytes 0x80 to 0x9f for those. Alone they
 * are no character; but as a part of one they pass.) */
static inline size_t text_character(const unsigned char *text, size_t length)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 }; /* less than that in so many bytes is not UTF-8 */
    unsigned lead = text[0];
    size_t size = lead < 0x80 ? 1 : lead < 0xc0 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf8 ? 4 : 0;
    uint32_t code = size == 1 ? lead : lead & (0x7fu >> size);
    if (size == 0 || size > length) return 0;
    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xc0) != 0x80) return 0;
        code = code << 6 | (text[i] & 0x3f);
    }
    if (code < least[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return 0;
    return code < 0x20 || (code >= 0x7f && code < 0xa0) ? 0 : size;
}

/* Puts a space where a byte does not belong to such a character. */
static inline void text_make_plain(char *text, size_t length)
{
    size_t at = 0;
    while (at < length) {
        size_t size = text_character((const unsigned char *)text + at, length - at);
        if (size == 0) text[at++] = ' ';
        else at += size;
    }
}

#endif
