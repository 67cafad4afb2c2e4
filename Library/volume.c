#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../Sources/CLinux/include/CLinux.h"
#include "famfs.h"
#include "layout.h"

struct famfs_volume {
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

int famfs_open(const char *path, famfs_volume **volume) {
    char *mount_point = find_mount(path);
    if (!mount_point) return -errno;
    struct famfs_volume *made = malloc(sizeof *made);
    int root = open(mount_point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!made || root < 0) {
        int error = made ? errno : ENOMEM;
        if (root >= 0) close(root);
        free(made);
        free(mount_point);
        return -error;
    }
    *made = (struct famfs_volume){root, mount_point};
    *volume = made;
    return 0;
}

void famfs_close(famfs_volume *volume) {
    if (!volume) return;
    close(volume->root);
    free(volume->mount_point);
    free(volume);
}

const char *famfs_mount_point(const famfs_volume *volume) { return volume->mount_point; }

static const char *relative(const char *path) {
    while (*path == '/') path++;
    return *path ? path : ".";
}

int famfs_stat(famfs_volume *volume, const char *path, struct stat *status) {
    return fstatat(volume->root, relative(path), status, 0) ? -errno : 0;
}

int famfs_list(famfs_volume *volume, const char *path, int (*each)(const char *, void *), void *context) {
    int file = openat(volume->root, relative(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) return -errno;
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
    int file = openat(volume->root, relative(path), O_RDONLY | O_CLOEXEC);
    if (file < 0) return -errno;
    int result = fsync(file) ? -errno : 0;
    close(file);
    return result;
}

/* --- Mappings ----------------------------------------------------------------------------------------------------- */

static int map_direct(int file, const struct stat *status, int flags, int protection, struct famfs_mapping *mapping) {
    struct layout *layout = malloc(sizeof *layout);
    if (!layout) return -ENOMEM;
    int result = layout_of(file, layout);
    if (result == 0 && layout->size != (uint64_t)status->st_size) result = -ESTALE;
    if (result == 0) {
        size_t length = (size_t)layout_pages(layout);
        char *place = layout_reserve(layout, 0, length, NULL);
        result = place == MAP_FAILED ? -errno : layout_map(layout, 0, length, protection, MAP_SHARED, flags & FAMFS_WRITE, place);
        if (place != MAP_FAILED && result) kernel_munmap(place, length);
        if (result == 0) *mapping = (struct famfs_mapping){place, (size_t)layout->size};
    }
    free(layout);
    return result;
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
    int file = openat(volume->root, relative(path), (flags & FAMFS_WRITE ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (file < 0) return -errno;
    int result = famfs_map_file(file, flags, mapping);
    close(file);
    return result;
}

int famfs_unmap(struct famfs_mapping *mapping) {
    if (kernel_munmap(mapping->address, mapping->length)) return -errno;
    *mapping = (struct famfs_mapping){NULL, 0};
    return 0;
}

int famfs_flush(const void *address, size_t length) {
    uintptr_t start = (uintptr_t)address & ~(uintptr_t)4095;
    /* For pages of the page cache, where that is what is mapped. */
    if (length && msync((void *)start, (uintptr_t)address + length - start, MS_SYNC)) return -errno;
    weft_write_back(address, length);
    weft_fence();
    return 0;
}

int famfs_invalidate(const void *address, size_t length) {
    weft_invalidate(address, length);
    return 0;
}
