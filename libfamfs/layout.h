/* Where a file's bytes lie on devices, as the mount says, and mappings made of them. */
#ifndef FAMFS_LAYOUT_H
#define FAMFS_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

enum { FAMFS_EXTENTS = 16 };

/* Bytes of a page of this kernel: 4096 on x86-64, up to 65536 elsewhere. A test has another one. */
#ifdef FAMFS_PAGE_SIZE
static inline size_t page_size(void) { return FAMFS_PAGE_SIZE; }
#else
static inline size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }
#endif

struct extent {
    uint64_t device, offset, length;
};

struct device {
    uint64_t index;
    unsigned char volume[16], uuid[16]; /* what its superblock says */
    char path[4096];
};

/* A file's layout. Small files share a block of memory with nothing else. */
struct layout {
    uint64_t size, chunk; /* bytes; a chunk of 0: the extents follow each other */
    uint64_t entry;       /* which of the log's entries says so, where a mount was asked */
    int extent_count, device_count;
    struct extent extents[FAMFS_EXTENTS];
    struct device devices[FAMFS_EXTENTS];
};

/* Reads the layout of an open file, and compares it with the log. ENODATA: it is none that can be mapped directly, or lies on no
 * famfs whose daemon is believed, whatever it says. EPROTO: the log says something else. */
int layout_of(int file, struct layout *layout);

/* The bytes of the file that can be mapped: whole pages. */
uint64_t layout_pages(const struct layout *layout);

/* Maps `length` bytes of the file's extents from `offset` on, both whole pages, at `place`, which is reserved: it replaces
 * what is there. When it fails, a part may have been replaced. EINVAL: the extents end before, or the device maps large pages
 * only. Then what layout_large makes of the length may do, where a large page begins at the offset. */
int layout_map(const struct layout *layout, uint64_t offset, uint64_t length, int protection, int flags, bool writable,
               char *place);

/* The next multiple of a large page: what is behind the file's end is the file's own, where space is given out so. */
static inline uint64_t layout_large(uint64_t length) { return (length + (2 << 20) - 1) & ~(uint64_t)((2 << 20) - 1); }

/* Reserves address space, such that the file's bytes from `offset` on can be mapped by large pages. */
void *layout_reserve(const struct layout *layout, uint64_t offset, size_t length, void *hint);

/* The kernel's own calls, past what a program may have put before them. */
void *kernel_mmap(void *place, size_t length, int protection, int flags, int file, int64_t offset);
int kernel_munmap(void *place, size_t length);

#endif
