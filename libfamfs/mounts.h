/* Which mounts are famfs mounts of daemons that this user believes: docs/decisions/finding-mounts.md. No mount is asked
 * anything. Nothing here calls malloc or takes a lock: the caller may be an allocator. */
#ifndef FAMFS_MOUNTS_H
#define FAMFS_MOUNTS_H

#include <stdbool.h>
#include <sys/stat.h>

/* Whether an open file lies on a famfs whose daemon is root's or this user's, and lives. Remembers the answer where the kernel
 * gives each mount a number of its own for good (Linux 6.8). */
bool mount_is_believed(int file);

/* Finds the mount, by its st_dev, whose daemon serves a device or file, which `status` is of; false when there is none that
 * this user believes. */
bool mount_of_device(const struct stat *status, dev_t *mount);

#endif
