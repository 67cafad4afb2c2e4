#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../Sources/CLinux/include/CLinux.h"
#include "famfs.h"
#include "layout.h"
#include "log.h"
#include "mounts.h"

struct famfs_volume {
    struct log *log; /* of a volume that is not mounted; else NULL */
    int root;
    char *mount_point;
};

/* Spaces and the like stand in the table as three octal digits behind a backslash. */
static void unescape(char *text) {
    char *to = text;
    for (const char *from = text; *from; to++) {
        unsigned byte;
        if (*from == '\\' && sscanf(from + 1, "%3o", &byte) == 1) *to = (char)byte, from += 4;
        else *to = *from++;
    }
    *to = 0;
}

struct mount {
    dev_t device;
    char *place, *root;
    bool is_famfs;
};

/* Reads the next line of the table; false at its end. */
static bool next_mount(FILE *table, char **line, size_t *size, struct mount *mount) {
    while (getline(line, size, table) > 0) {
        unsigned a, b;
        int root = 0, place = 0, end = 0;
        sscanf(*line, "%*d %*d %u:%u %n%*s %n%*s%n", &a, &b, &root, &place, &end);
        const char *type = end ? strstr(*line + end, " - ") : NULL;
        if (!type) continue;
        mount->device = makedev(a, b);
        mount->is_famfs = !strncmp(type, " - fuse.famfs ", 14);
        mount->root = *line + root;
        mount->place = *line + place;
        (*line)[place - 1] = (*line)[end] = 0;
        unescape(mount->place);
        return true;
    }
    return false;
}

/* Finds the mount in which a path lies: the longest mount point that it begins with. Or else the mount of the device that it
 * names, which is the one that its daemon says: what a mount calls its device any user may choose. */
static int find_mount(const char *path, char **found, dev_t *device) {
    struct stat status;
    char *real = realpath(path, NULL);
    if (!real) return -errno;
    dev_t served = 0, inside = 0;
    bool is_served = stat(real, &status) == 0 && mount_of_device(&status, &served), is_inside = false;
    FILE *table = fopen("/proc/self/mountinfo", "re");
    char *line = NULL, *around = NULL, *other = NULL;
    size_t size = 0, best = 0;
    struct mount mount;
    while (table && next_mount(table, &line, &size, &mount)) {
        size_t length = strlen(mount.place);
        if (!strncmp(real, mount.place, length) && (!real[length] || real[length] == '/' || length == 1) && length >= best) {
            best = length;
            is_inside = mount.is_famfs; /* something else that is mounted below a famfs hides it */
            inside = mount.device;
            free(around);
            around = is_inside ? strdup(mount.place) : NULL;
        }
        if (is_served && !other && mount.is_famfs && mount.device == served && !strcmp(mount.root, "/")) other = strdup(mount.place);
    }
    if (table) fclose(table);
    free(line);
    free(real);
    *found = is_inside ? around : other;
    *device = is_inside ? inside : served;
    free(is_inside ? other : around);
    return *found ? 0 : -ENODEV;
}

static int open_mount(struct famfs_volume *volume, dev_t device) {
    struct stat status;
    volume->root = open(volume->mount_point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (volume->root < 0 || fstat(volume->root, &status)) return -errno;
    return status.st_dev == device ? 0 : -ENODEV; /* something else is mounted over it */
}

int famfs_open_devices(const char *const *paths, size_t count, famfs_volume **volume) {
    if (count == 0) return -EINVAL;
    struct famfs_volume *made = calloc(1, sizeof *made);
    if (!made) return -ENOMEM;
    made->root = -1;
    dev_t device;
    int result = find_mount(paths[0], &made->mount_point, &device);
    if (result == 0) result = open_mount(made, device);
    else if (result == -ENODEV) result = log_open(paths, count, &made->log);
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
