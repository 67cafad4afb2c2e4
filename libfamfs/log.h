/* A volume that is not mounted here, as its superblock and log say. Nothing is ever written to it. */
#ifndef FAMFS_LOG_H
#define FAMFS_LOG_H

#include <sys/stat.h>

#include "layout.h"
#include "tree.h"

struct log;

/* Opens the volume on paths[0] and plays its log; its further devices are looked for among the other paths and in /dev.
 * ENODEV: there is none. EBADMSG: there is one that cannot be read. EBUSY: it is being made or repaired. */
int log_open(const char *const *paths, size_t count, struct log **log);
void log_close(struct log *log);

/* Each reads on in the log before. ESTALE: another volume was made there. */
int log_stat(struct log *log, const char *path, struct stat *status);
/* The names in a directory, to be freed. */
int log_names(struct log *log, const char *path, char (**names)[PATH_SIZE], size_t *count);
/* EOPNOTSUPP: it may be removed, and nobody would know that its memory is in use. EINVAL: it is empty.
 * ENODEV: it lies on a device that is not found. */
int log_layout(struct log *log, const char *path, struct layout *layout);

#endif
