// What a famfs kernel asks: the kernel's patch series of January 2026. Mainline's fuse.h has none of it.
#ifndef WEFT_CFUSE_FAMFS_H
#define WEFT_CFUSE_FAMFS_H

#include <stdint.h>

enum weft_famfs_opcode {
    WEFT_FUSE_GET_FMAP = 54,
    WEFT_FUSE_GET_DAXDEV = 55,
};

/// The bit of INIT that agrees on both. In mainline it is FUSE_HAS_IO_URING_BUFPOOL.
#define WEFT_FUSE_DAX_FMAP (1ULL << 43)

#define WEFT_FAMFS_FMAP_VERSION 1

/// `ext_type`: what follows the header.
enum weft_famfs_ext_type {
    WEFT_FAMFS_EXT_SIMPLE = 0,
    WEFT_FAMFS_EXT_INTERLEAVE = 1,
};

/// `struct fuse_famfs_fmap_header`, which `nextents` simple or interleaved extents follow.
struct weft_famfs_fmap_header {
    uint8_t file_type;
    uint8_t reserved;
    uint16_t fmap_version;
    uint32_t ext_type;
    uint32_t nextents;
    uint32_t reserved0;
    uint64_t file_size;
    uint64_t reserved1;
};

/// `struct fuse_famfs_simple_ext`: also each strip of an interleaved extent.
struct weft_famfs_simple_ext {
    uint32_t se_devindex;
    uint32_t reserved;
    uint64_t se_offset;
    uint64_t se_len;
};

/// `struct fuse_famfs_iext`, which its strips follow.
struct weft_famfs_iext {
    uint32_t ie_nstrips;
    uint32_t ie_chunk_size;
    uint64_t ie_nbytes;
    uint64_t reserved;
};

/// `struct fuse_get_daxdev_in`.
struct weft_famfs_get_daxdev_in {
    uint32_t daxdev_num;
};

#define WEFT_FAMFS_DAXDEV_NAME 256

/// `struct fuse_daxdev_out` up to its name, which has WEFT_FAMFS_DAXDEV_NAME bytes.
struct weft_famfs_daxdev_out {
    uint16_t index;
    uint16_t reserved;
    uint32_t reserved2;
    uint64_t reserved3;
    uint64_t reserved4;
};

#endif
