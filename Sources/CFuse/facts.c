// What Swift takes for granted of the headers here, asserted. None of it becomes code.
#define _GNU_SOURCE
#include <stddef.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/stat.h>
#include <linux/xattr.h>

// Structures are sent as they lie in memory, so none may have bytes that belong to no field: they would not be written.
#pragma clang diagnostic push
#pragma clang diagnostic error "-Wpadded"
#include "fuse.h"
#include "famfs.h"
#include "other.h"
#pragma clang diagnostic pop

// Integers are read as they lie, too.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the FUSE messages are read and written as little-endian");

_Static_assert(FUSE_KERNEL_VERSION == 7, "another protocol");
_Static_assert(FUSE_KERNEL_MINOR_VERSION == 46, "read what this version adds; then raise Negotiation.newestMinor and this");
#ifdef FUSE_HAS_SYNCFS
#error "fuse.h has FUSE_HAS_SYNCFS now: drop WEFT_FUSE_HAS_SYNCFS"
#endif
// The pages of a WRITE lie as far behind its request's start as those two are long, see Transport.receive.
_Static_assert(sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in) == 80, "the 80th byte starts a page");

// --- fuse.h's structures that end in an array -------------------------------------------------------------------------

#define SAME(type, ours, field) \
    _Static_assert(offsetof(struct type, field) == offsetof(struct ours, field), #type "." #field); \
    _Static_assert(sizeof(((struct type *)0)->field) == sizeof(((struct ours *)0)->field), #type "." #field)

SAME(fuse_dirent, weft_fuse_dirent, ino);
SAME(fuse_dirent, weft_fuse_dirent, off);
SAME(fuse_dirent, weft_fuse_dirent, namelen);
SAME(fuse_dirent, weft_fuse_dirent, type);
_Static_assert(FUSE_NAME_OFFSET == sizeof(struct weft_fuse_dirent), "the name begins behind the rest");
_Static_assert(offsetof(struct fuse_direntplus, dirent) == sizeof(struct fuse_entry_out), "the entry, then the record");
_Static_assert(FUSE_REC_ALIGN(1) == 8, "records begin at multiples of 8");

SAME(fuse_supp_groups, weft_fuse_supp_groups, nr_groups);
_Static_assert(offsetof(struct fuse_supp_groups, groups) == sizeof(struct weft_fuse_supp_groups), "groups begin there");
_Static_assert(sizeof(((struct fuse_supp_groups *)0)->groups[0]) == 4, "a group's size");
// A header of security contexts and one of another extension differ by their second number alone.
_Static_assert(sizeof(struct fuse_secctx_header) == sizeof(struct fuse_ext_header), "one header for both");
_Static_assert(offsetof(struct fuse_secctx_header, nr_secctx) == offsetof(struct fuse_ext_header, type), "one header");

// --- other headers of the kernel --------------------------------------------------------------------------------------

#define EQUAL(name) _Static_assert(WEFT_##name == name, #name)

EQUAL(STATX_BASIC_STATS);
EQUAL(STATX_BTIME);
EQUAL(SEEK_DATA);
EQUAL(SEEK_HOLE);
EQUAL(XATTR_CREATE);
EQUAL(XATTR_REPLACE);
EQUAL(XATTR_NAME_MAX);
EQUAL(XATTR_SIZE_MAX);
EQUAL(NGROUPS_MAX);
EQUAL(FS_IOC_GETFLAGS);
EQUAL(FS_IOC_SETFLAGS);
EQUAL(FS_IOC_FSGETXATTR);
EQUAL(FS_IOC_FSSETXATTR);
EQUAL(FS_SYNC_FL);
EQUAL(FS_IMMUTABLE_FL);
EQUAL(FS_APPEND_FL);
EQUAL(FS_NODUMP_FL);
EQUAL(FS_NOATIME_FL);
EQUAL(FS_DIRSYNC_FL);
EQUAL(FS_TOPDIR_FL);
EQUAL(FS_XFLAG_SYNC);
EQUAL(FS_XFLAG_IMMUTABLE);
EQUAL(FS_XFLAG_APPEND);
EQUAL(FS_XFLAG_NODUMP);
EQUAL(FS_XFLAG_NOATIME);
EQUAL(RENAME_NOREPLACE);
EQUAL(RENAME_EXCHANGE);
EQUAL(FALLOC_FL_KEEP_SIZE);
EQUAL(FALLOC_FL_PUNCH_HOLE);
EQUAL(FALLOC_FL_ZERO_RANGE);

SAME(fsxattr, weft_fsxattr, fsx_xflags);
SAME(fsxattr, weft_fsxattr, fsx_extsize);
SAME(fsxattr, weft_fsxattr, fsx_nextents);
SAME(fsxattr, weft_fsxattr, fsx_projid);
SAME(fsxattr, weft_fsxattr, fsx_cowextsize);
_Static_assert(sizeof(struct fsxattr) == sizeof(struct weft_fsxattr), "struct fsxattr");

// --- famfs's, by the sizes that its kernels check ---------------------------------------------------------------------

_Static_assert(sizeof(struct weft_famfs_fmap_header) == 32, "fuse_famfs_fmap_header");
_Static_assert(sizeof(struct weft_famfs_simple_ext) == 24, "fuse_famfs_simple_ext");
_Static_assert(sizeof(struct weft_famfs_iext) == 24, "fuse_famfs_iext");
_Static_assert(sizeof(struct weft_famfs_daxdev_out) + WEFT_FAMFS_DAXDEV_NAME == 280, "fuse_daxdev_out");
_Static_assert(WEFT_FUSE_DAX_FMAP == FUSE_HAS_IO_URING_BUFPOOL, "the two that share a bit: see docs/decisions");
