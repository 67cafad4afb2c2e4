/* libfamfs: files of a famfs, as memory.
 *
 * A mapping made here is the shared memory itself: a load or a store goes to the device, with no page cache, no request
 * to the daemon and no copy. Every call that can fail gives 0 or more when it did not, and a negative errno when it did.
 */
#ifndef FAMFS_H
#define FAMFS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* A volume, mounted on this host or not. Several threads may use it at a time, until one closes it; mappings of it stay. */
typedef struct famfs_volume famfs_volume;

/* A mapped file. */
struct famfs_mapping {
    void *address;
    size_t length; /* bytes of the file that are mapped */
};

enum {
    FAMFS_WRITE = 1,  /* map for reading and writing; else for reading */
    FAMFS_DIRECT = 2  /* fail rather than map through the page cache: EOPNOTSUPP, or what is in the way, as EACCES */
};

/* Opens the volume that is mounted at a path, or in which the path lies, or whose first device it names: a plain file
 * (simulated memory) or a dax device. A device that is mounted on this host, by root or this user, is that mount. One that is not is read by the
 * library itself and never written: all calls work on it, see what other hosts add, and answer ESTALE once another volume
 * was made there. It shows what its log says, without .meta and without times; permissions are for the caller to look at:
 * who may open a device may read all of it. While it is open, nobody on this host can format or repair it.
 * ENODEV: the path is in no famfs and no device that holds one. EBADMSG: it cannot be read, or is a further device of a
 * volume; famfs fsck says why. EBUSY: it is being formatted or repaired. */
int famfs_open(const char *path, famfs_volume **volume);
/* The same for a volume of several devices, the first one first. Further dax devices need not be named, for they are found
 * by what is on them; nor need any when the volume is mounted. */
int famfs_open_devices(const char *const *paths, size_t count, famfs_volume **volume);
void famfs_close(famfs_volume *volume);

/* Where it is mounted; NULL when it is not. */
const char *famfs_mount_point(const famfs_volume *volume);

/* What stat(2) says of a file or directory. Of a volume that is not mounted here, st_mtim is 0 where the log does not say
 * it, and other times are 0. Paths are relative to the volume's root, with or without a slash in front, and
 * lead nowhere else: `..` of the root is the root. */
int famfs_stat(famfs_volume *volume, const char *path, struct stat *status);

/* Calls `each` for each name in a directory but . and .. until it returns other than 0, which is returned then. */
int famfs_list(famfs_volume *volume, const char *path, int (*each)(const char *name, void *context), void *context);

/* Maps a whole file, all its extents or strips in one piece of the address space.
 * Returns 1 when it is the memory itself, 0 when it is mapped through the page cache: where this user may not open the
 * device, where the device is a block device, on volumes whose files can be removed, and for what is not committed.
 * A volume that is not mounted has no page cache: there it returns 1, or EOPNOTSUPP where files can be removed, ENODEV when
 * the file lies on a device that is not found, and EACCES when this user may not open one.
 * EINVAL: the file is empty. */
int famfs_map(famfs_volume *volume, const char *path, int flags, struct famfs_mapping *mapping);
/* The same for an open file. */
int famfs_map_file(int file, int flags, struct famfs_mapping *mapping);
int famfs_unmap(struct famfs_mapping *mapping);

/* Has what was stored in a range reach the memory, for hosts that do not share caches with this one. */
int famfs_flush(const void *address, size_t length);
/* Has later loads of a range come from the memory, where it is mapped itself. What was stored there and not flushed reaches
 * it before. */
int famfs_invalidate(const void *address, size_t length);

/* Makes what programs have created at a path visible on all hosts, now: fsync(2). A volume that is not mounted has nothing of
 * that kind. */
int famfs_commit(famfs_volume *volume, const char *path);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
