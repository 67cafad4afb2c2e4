// Numbers of other kernel headers that the protocol carries, which Swift does not see, and the structures of fuse.h that
// end in an array of any length, which it cannot copy. facts.c compares each with its original.
#ifndef WEFT_CFUSE_OTHER_H
#define WEFT_CFUSE_OTHER_H

#include <stdint.h>

/// `struct fuse_dirent` without its name, which begins behind it.
struct weft_fuse_dirent {
    uint64_t ino;
    uint64_t off;
    uint32_t namelen;
    uint32_t type;
};

/// `struct fuse_supp_groups` without its groups, which begin behind it.
struct weft_fuse_supp_groups {
    uint32_t nr_groups;
};

/// FUSE_HAS_SYNCFS of protocol 7.47.
#define WEFT_FUSE_HAS_SYNCFS (1ULL << 44)

// linux/stat.h
#define WEFT_STATX_BASIC_STATS 0x7ffu
#define WEFT_STATX_BTIME 0x800u

// linux/fs.h: whence of lseek(2)
#define WEFT_SEEK_DATA 3
#define WEFT_SEEK_HOLE 4

// linux/xattr.h and linux/limits.h
#define WEFT_XATTR_CREATE 1
#define WEFT_XATTR_REPLACE 2
#define WEFT_XATTR_NAME_MAX 255
#define WEFT_XATTR_SIZE_MAX 65536
#define WEFT_NGROUPS_MAX 65536

// linux/fs.h: ioctls of file flags. The first two say `long` in their number and carry 32 bits.
#define WEFT_FS_IOC_GETFLAGS 0x80086601u
#define WEFT_FS_IOC_SETFLAGS 0x40086602u
#define WEFT_FS_IOC_FSGETXATTR 0x801c581fu
#define WEFT_FS_IOC_FSSETXATTR 0x401c5820u

// linux/fs.h: the flags that these ioctls carry, and the same as `fsx_xflags` has them
#define WEFT_FS_SYNC_FL 0x8u
#define WEFT_FS_IMMUTABLE_FL 0x10u
#define WEFT_FS_APPEND_FL 0x20u
#define WEFT_FS_NODUMP_FL 0x40u
#define WEFT_FS_NOATIME_FL 0x80u
#define WEFT_FS_DIRSYNC_FL 0x10000u
#define WEFT_FS_TOPDIR_FL 0x20000u
#define WEFT_FS_XFLAG_SYNC 0x20u
#define WEFT_FS_XFLAG_IMMUTABLE 0x8u
#define WEFT_FS_XFLAG_APPEND 0x10u
#define WEFT_FS_XFLAG_NODUMP 0x80u
#define WEFT_FS_XFLAG_NOATIME 0x40u

// linux/fs.h: flags of renameat2(2)
#define WEFT_RENAME_NOREPLACE 0x1u
#define WEFT_RENAME_EXCHANGE 0x2u

// linux/falloc.h: modes of fallocate(2)
#define WEFT_FALLOC_FL_KEEP_SIZE 0x1u
#define WEFT_FALLOC_FL_PUNCH_HOLE 0x2u
#define WEFT_FALLOC_FL_ZERO_RANGE 0x10u

/// `struct fsxattr` of linux/fs.h.
struct weft_fsxattr {
    uint32_t fsx_xflags;
    uint32_t fsx_extsize;
    uint32_t fsx_nextents;
    uint32_t fsx_projid;
    uint32_t fsx_cowextsize;
    uint8_t fsx_pad[8];
};

#endif
