/* Files of /proc, read in pieces: a table can be longer than any buffer, and what reads it may be called by an allocator, so
 * nothing here calls malloc or takes a lock. */
#ifndef FAMFS_TEXT_H
#define FAMFS_TEXT_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

enum { WORD = 256 };

struct text {
    int file;
    size_t at, end;
    char bytes[2048];
};

static inline bool open_text(struct text *text, const char *path) {
    text->file = open(path, O_RDONLY | O_CLOEXEC);
    text->at = text->end = 0;
    return text->file >= 0;
}

static inline void close_text(struct text *text) { close(text->file); }

static inline int next_byte(struct text *text) {
    if (text->at == text->end) {
        ssize_t count;
        do count = read(text->file, text->bytes, sizeof text->bytes);
        while (count < 0 && errno == EINTR);
        if (count <= 0) return EOF;
        text->at = 0;
        text->end = (size_t)count;
    }
    return (unsigned char)text->bytes[text->at++];
}

/* Reads a word; one that does not fit is cut off, and fills all of `word` but its last byte. Returns what ended it: a space, a
 * newline or EOF. */
static inline int next_word(struct text *text, char word[WORD]) {
    size_t length = 0;
    int byte;
    while ((byte = next_byte(text)) != EOF && byte != ' ' && byte != '\n')
        if (length < WORD - 1) word[length++] = (char)byte;
    word[length] = 0;
    return byte;
}

/* Reads digits up to a byte that is none. */
static inline bool number_at(const char **place, unsigned base, uint64_t *number) {
    const char *start = *place;
    for (*number = 0;; ++*place) {
        char byte = **place;
        unsigned digit = byte >= '0' && byte <= '9' ? (unsigned)(byte - '0') : byte >= 'a' && byte <= 'f' ? (unsigned)(byte - 'a' + 10) : base;
        if (digit >= base) return *place > start;
        if (__builtin_mul_overflow(*number, base, number) || __builtin_add_overflow(*number, digit, number)) return false;
    }
}

#endif
