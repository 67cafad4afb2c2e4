#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../Sources/CLinux/include/CLinux.h"
#include "famfs.h"
#include "layout.h"
#include "log.h"

struct famfs_volume {
    struct log *log; /* of a volume that is not mounted; else NULL */
    int root;
    char *mount_point;
};

/* Finds the mount whose device a path names, or in which it lies: the longest mount point that it begins with. */
static char *find_mount(const char *path) {
    char *real = realpath(path, NULL), *found = NULL;
    if (!real) return NULL;
    FILE *mounts = setmntent("/proc/self/mounts", "r");
    char buffer[16384];
    struct mntent entry;
    size_t best = 0;
    while (mounts && getmntent_r(mounts, &entry, buffer, sizeof buffer)) {
        size_t length = strlen(entry.mnt_dir);
        bool inside = !strncmp(real, entry.mnt_dir, length) && (!real[length] || real[length] == '/' || length == 1);
        bool ours = !strcmp(entry.mnt_type, "fuse.famfs");
        if (inside && length >= best) {
            /* Something else that is mounted below a famfs hides it. */
            best = length;
            free(found);
            found = ours ? strdup(entry.mnt_dir) : NULL;
        } else if (ours && !found && !strcmp(real, entry.mnt_fsname)) {
            found = strdup(entry.mnt_dir);
            best = SIZE_MAX;
        }
    }
    if (mounts) endmntent(mounts);
    free(real);
    if (!found) errno = ENODEV;
    return found;
}

static int open_mount(struct famfs_volume *volume) {
    volume->root = open(volume->mount_point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return volume->root < 0 ? -errno : 0;
}

int famfs_open_devices(const char *const *paths, size_t count, famfs_volume **volume) {
    if (count == 0) return -EINVAL;
    struct famfs_volume *made = calloc(1, sizeof *made);
    if (!made) return -ENOMEM;
    made->root = -1;
    made->mount_point = find_mount(paths[0]);
    int result = made->mount_point ? open_mount(made) : errno != ENODEV ? -errno : log_open(paths, count, &made->log);
    if (result) famfs_close(made);
    else *volume = made;
    return result;
}

int famfs_open(const char *path, famfs_volume **volume) { return famfs_open_devices(&path, 1, volume); }

void famfs_close(famfs_volume *volume) {
    if (!volume) return;
    if (volume->log) log_close(volume->log);
    if (volume->root >= 0) close(volume->root);
    free(volume->mount_point);
    free(volume);
}

const char *famfs_mount_point(const famfs_volume *volume) { return volume->mount_point; }

/* Opens what is at a path, and nothing outside of the mount whatever the path. */
static int open_inside(const struct famfs_volume *volume, const char *path, uint64_t flags) {
    struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    long file;
    do file = syscall(SYS_openat2, volume->root, *path ? path : ".", &how, sizeof how);
    while (file < 0 && errno == EAGAIN);
    if (file < 0 && errno == ENOSYS) { /* before Linux 5.6, where `..` does lead out */
        while (*path == '/') path++;
        file = openat(volume->root, *path ? path : ".", (int)flags | O_CLOEXEC);
    }
    return file < 0 ? -errno : (int)file;
}

int famfs_stat(famfs_volume *volume, const char *path, struct stat *status) {
    if (volume->log) return log_stat(volume->log, path, status);
    int file = open_inside(volume, path, O_PATH);
    if (file < 0) return file;
    int result = fstat(file, status) ? -errno : 0;
    close(file);
    return result;
}

static int list_log(struct log *log, const char *path, int (*each)(const char *, void *), void *context) {
    char(*names)[PATH_SIZE];
    size_t count;
    int result = log_names(log, path, &names, &count);
    if (result) return result;
    for (size_t i = 0; i < count && result == 0; i++) result = each(names[i], context);
    free(names);
    return result;
}

int famfs_list(famfs_volume *volume, const char *path, int (*each)(const char *, void *), void *context) {
    if (volume->log) return list_log(volume->log, path, each, context);
    int file = open_inside(volume, path, O_RDONLY | O_DIRECTORY);
    if (file < 0) return file;
    DIR *directory = fdopendir(file);
    if (!directory) {
        int error = errno;
        close(file);
        return -error;
    }
    int result = 0;
    struct dirent *entry;
    while (result == 0 && (errno = 0, entry = readdir(directory)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) result = each(entry->d_name, context);
    if (result == 0 && errno) result = -errno;
    closedir(directory);
    return result;
}

int famfs_commit(famfs_volume *volume, const char *path) {
    struct stat status;
    if (volume->log) return log_stat(volume->log, path, &status);
    int file = open_inside(volume, path, O_RDONLY);
    if (file < 0) return file;
    int result = fsync(file) ? -errno : 0;
    close(file);
    return result;
}

/* --- Mappings ----------------------------------------------------------------------------------------------------- */

static int map_layout(const struct layout *layout, int flags, int protection, struct famfs_mapping *mapping) {
    size_t length = (size_t)layout_pages(layout), room = (size_t)layout_large(length);
    char *place = layout_reserve(layout, 0, room, NULL);
    if (place == MAP_FAILED) return -errno;
    int result = layout_map(layout, 0, length, protection, MAP_SHARED, flags & FAMFS_WRITE, place);
    if (result == -EINVAL) {
        length = room;
        result = layout_map(layout, 0, length, protection, MAP_SHARED, flags & FAMFS_WRITE, place);
    }
    if (result) length = 0;
    if (length < room) kernel_munmap(place + length, room - length);
    if (result) return result == -EINVAL ? -EOPNOTSUPP : result;
    *mapping = (struct famfs_mapping){place, (size_t)layout->size};
    return 0;
}

static int map_direct(int file, const struct stat *status, int flags, int protection, struct famfs_mapping *mapping) {
    struct layout *layout = malloc(sizeof *layout);
    if (!layout) return -ENOMEM;
    int result = layout_of(file, layout);
    if (result == 0 && layout->size != (uint64_t)status->st_size) result = -ESTALE;
    if (result == 0) result = map_layout(layout, flags, protection, mapping);
    free(layout);
    return result;
}

static int map_logged(struct log *log, const char *path, int flags, struct famfs_mapping *mapping) {
    struct layout *layout = malloc(sizeof *layout);
    if (!layout) return -ENOMEM;
    int result = log_layout(log, path, layout);
    if (result == 0) result = map_layout(layout, flags, PROT_READ | (flags & FAMFS_WRITE ? PROT_WRITE : 0), mapping);
    free(layout);
    return result ? result : 1;
}

int famfs_map_file(int file, int flags, struct famfs_mapping *mapping) {
    int protection = PROT_READ | (flags & FAMFS_WRITE ? PROT_WRITE : 0);
    struct stat status;
    if (fstat(file, &status)) return -errno;
    if (!S_ISREG(status.st_mode)) return S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
    if (status.st_size == 0) return -EINVAL;
    int mode = fcntl(file, F_GETFL) & O_ACCMODE;
    if (mode == O_WRONLY || (flags & FAMFS_WRITE && mode != O_RDWR)) return -EACCES;
    int result = map_direct(file, &status, flags, protection, mapping);
    if (result == 0) return 1;
    if (flags & FAMFS_DIRECT) return result == -ENODATA ? -EOPNOTSUPP : result;
    void *place = kernel_mmap(NULL, (size_t)status.st_size, protection, MAP_SHARED, file, 0);
    if (place == MAP_FAILED) return -errno;
    *mapping = (struct famfs_mapping){place, (size_t)status.st_size};
    return 0;
}

int famfs_map(famfs_volume *volume, const char *path, int flags, struct famfs_mapping *mapping) {
    if (volume->log) return map_logged(volume->log, path, flags, mapping);
    int file = open_inside(volume, path, flags & FAMFS_WRITE ? O_RDWR : O_RDONLY);
    if (file < 0) return file;
    int result = famfs_map_file(file, flags, mapping);
    close(file);
    return result;
}

int famfs_unmap(struct famfs_mapping *mapping) {
    int result = kernel_munmap(mapping->address, mapping->length);
    /* Of a device with large pages only the last page is mapped whole. */
    if (result && errno == EINVAL) result = kernel_munmap(mapping->address, (size_t)layout_large(mapping->length));
    if (result) return -errno;
    *mapping = (struct famfs_mapping){NULL, 0};
    return 0;
}

int famfs_flush(const void *address, size_t length) {
    uintptr_t start = (uintptr_t)address & ~(uintptr_t)(page_size() - 1);
    /* For pages of the page cache, where that is what is mapped. EINVAL: it is a dax device, which knows of no such thing. */
    if (length && msync((void *)start, (uintptr_t)address + length - start, MS_SYNC) && errno != EINVAL) return -errno;
    weft_write_back(address, length);
    weft_fence();
    return 0;
}

int famfs_invalidate(const void *address, size_t length) {
    weft_invalidate(address, length);
    return 0;
}
