/* The device of a volume that is not mounted here: a plain file or a dax device, read and never written. */
#ifndef FAMFS_MEMORY_H
#define FAMFS_MEMORY_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct memory {
    int file;
    bool is_dax;
    uint64_t size; /* bytes */
    unsigned char *start; /* what is mapped of a dax device, which has no read(2) */
    size_t mapped;
    char path[4096];
};

/* ENODEV: it is neither a plain file nor a dax device. */
int memory_open(const char *path, struct memory *memory);
void memory_close(struct memory *memory);

/* Copies out of it what is there now, past the CPU's caches. ENXIO: it is smaller than that. EIO: it cannot be read; no
 * signal comes of that. */
int memory_read(struct memory *memory, uint64_t offset, void *bytes, size_t count);

/* Numbers as the format has them: little-endian, anywhere. */
static inline uint64_t u64(const unsigned char *bytes) {
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return le64toh(value);
}

static inline uint32_t u32(const unsigned char *bytes) {
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return le32toh(value);
}

#endif
