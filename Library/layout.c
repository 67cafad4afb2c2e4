#define _GNU_SOURCE
#include "layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "memory.h"

static const uint64_t large_page = 2 << 20;
enum { TEXT = 65536, MOST_PIECES = 16384 };

void *kernel_mmap(void *place, size_t length, int protection, int flags, int file, int64_t offset) {
    return (void *)syscall(SYS_mmap, place, length, protection, flags, file, offset);
}

int kernel_munmap(void *place, size_t length) { return (int)syscall(SYS_munmap, place, length); }

/* --- What the mount says ------------------------------------------------------------------------------------- */

static bool parse_uuid(const char *text, unsigned char *uuid) {
    int digits = 0;
    for (; *text && *text != ' '; text++) {
        if (*text == '-') continue;
        int value = *text >= '0' && *text <= '9' ? *text - '0' : *text >= 'a' && *text <= 'f' ? *text - 'a' + 10 : -1;
        if (value < 0 || digits == 32) return false;
        if (digits % 2 == 0) uuid[digits / 2] = (unsigned char)(value << 4);
        else uuid[digits / 2] |= (unsigned char)value;
        digits++;
    }
    return digits == 32;
}

static bool parse_line(char *line, struct layout *layout, unsigned char *volume) {
    unsigned long long a, b, c;
    char uuid[40];
    int end = 0;
    if (sscanf(line, "size %llu chunk %llu", &a, &b) == 2) {
        layout->size = a;
        layout->chunk = b;
        return true;
    }
    if (sscanf(line, "volume %36s", uuid) == 1) return parse_uuid(uuid, volume);
    if (sscanf(line, "extent %llu %llu %llu", &a, &b, &c) == 3) {
        if (layout->extent_count == FAMFS_EXTENTS) return false;
        layout->extents[layout->extent_count++] = (struct extent){a, b, c};
        return true;
    }
    if (sscanf(line, "device %llu %36s %n", &a, uuid, &end) == 2 && end > 0) {
        if (layout->device_count == FAMFS_EXTENTS) return false;
        struct device *device = &layout->devices[layout->device_count++];
        device->index = a;
        memcpy(device->volume, volume, 16);
        if (line[end] != '/' || strlen(line + end) >= sizeof device->path) return false;
        strcpy(device->path, line + end);
        return parse_uuid(uuid, device->uuid);
    }
    return false;
}

/* Whether the extents hold the file, and all is in whole pages: nothing that a mount says is believed unseen. */
static bool is_sound(const struct layout *layout) {
    uint64_t total = 0, chunk = layout->chunk, count = (uint64_t)layout->extent_count;
    if (layout->size == 0 || layout->size > INT64_MAX - large_page || count == 0) return false;
    for (int i = 0; i < layout->extent_count; i++) {
        struct extent e = layout->extents[i];
        if (e.length == 0 || (e.offset | e.length) % page_size() || e.offset > INT64_MAX || e.length > INT64_MAX - e.offset)
            return false;
        if (chunk && e.length != layout->extents[0].length) return false;
        if (__builtin_add_overflow(total, e.length, &total)) return false;
    }
    if (chunk == 0) return layout->size <= total;
    if (chunk % page_size() || chunk & (chunk - 1) || chunk > INT64_MAX / 32) return false;
    uint64_t rows = (layout->size + chunk * count - 1) / (chunk * count);
    uint64_t in_row = layout->size - (rows - 1) * chunk * count;
    uint64_t last = in_row < chunk ? (in_row + page_size() - 1) / page_size() * page_size() : chunk;
    return (rows - 1) * chunk + last <= layout->extents[0].length;
}

/* Whether a file lies on a famfs: on any other file system its owner could say where it lies, on somebody else's device. */
static bool is_famfs(int file) {
    struct statfs about;
    struct stat status;
    if (fstatfs(file, &about) || about.f_type != 0x65735546 || fstat(file, &status)) return false;  /* FUSE */
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    if (!mounts) return false;
    char line[16384];
    bool found = false;
    while (!found && fgets(line, sizeof line, mounts)) {
        unsigned a, b;
        if (sscanf(line, "%*d %*d %u:%u ", &a, &b) == 2 && makedev(a, b) == status.st_dev) {
            const char *type = strstr(line, " - ");
            found = type && !strncmp(type, " - fuse.famfs ", 14);
        }
    }
    fclose(mounts);
    return found;
}

int layout_of(int file, struct layout *layout) {
    if (!is_famfs(file)) return -ENODATA;
    /* Its own mapping: the caller may be an allocator. */
    char *text = kernel_mmap(NULL, TEXT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (text == MAP_FAILED) return -ENOMEM;
    unsigned char volume[16] = {0};
    ssize_t length = fgetxattr(file, "user.famfs.map", text, TEXT - 1);
    int result = length < 0 ? -errno : 0;
    layout->extent_count = layout->device_count = 0;
    layout->size = layout->chunk = 0;
    for (char *line = text, *next; result == 0 && *line; line = next) {
        next = strchrnul(line, '\n');
        if (*next) *next++ = 0;
        if (!parse_line(line, layout, volume)) result = -EPROTO;
    }
    if (result == 0 && !is_sound(layout)) result = -EPROTO;
    kernel_munmap(text, TEXT);
    return result;
}

uint64_t layout_pages(const struct layout *layout) { return (layout->size + page_size() - 1) / page_size() * page_size(); }

/* --- Mapping ---------------------------------------------------------------------------------------------------- */

/* Bytes of the pages that a file's memory is mapped by. hugetlbfs has whole huge pages only, and takes what is too short for
 * longer. (Where a dax device is so, its mmap says EINVAL.) */
static uint64_t pages_of(int file) {
    struct statfs about;
    return fstatfs(file, &about) == 0 && about.f_type == 0x958458f6 ? (uint64_t)about.f_bsize : page_size();
}

/* Whether a device is the one that is meant: names can be given to others. */
static bool is_meant(int file, const struct stat *status, const struct device *device) {
    if (!S_ISCHR(status->st_mode) && !(S_ISREG(status->st_mode) && status->st_size >= (off_t)large_page)) return false;
    unsigned char *start = kernel_mmap(NULL, large_page, PROT_READ, MAP_SHARED, file, 0);
    if (start == MAP_FAILED) return false;
    bool result = u64(start) == 0x87b282ff && !memcmp(start + 48, device->volume, 16) && !memcmp(start + 64, device->uuid, 16);
    kernel_munmap(start, large_page);
    return result;
}

static int open_device(const struct device *device, bool writable) {
    int file = open(device->path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0) return -errno;
    struct stat status;
    int result = 0;
    if (fstat(file, &status)) result = -errno;
    /* A block device's mapping would be this host's page cache. */
    else if (S_ISBLK(status.st_mode) || pages_of(file) > large_page) result = -EOPNOTSUPP;
    else if (!is_meant(file, &status, device)) result = -ENODEV;
    if (result == 0) return file;
    close(file);
    return result;
}

struct piece {
    uint64_t device, offset, length;
};

/* The piece of the device that holds the file's bytes from `position` on, of at most `most` bytes; of none where its extents
 * have ended. */
static struct piece piece_at(const struct layout *layout, uint64_t position, uint64_t most) {
    const struct extent *e = layout->extents, *end = e + layout->extent_count;
    uint64_t within = position;
    if (layout->chunk) {
        uint64_t number = position / layout->chunk, count = (uint64_t)layout->extent_count;
        e += number % count;
        within = number / count * layout->chunk + position % layout->chunk;
        uint64_t rest = layout->chunk - position % layout->chunk;
        if (most > rest) most = rest;
    } else {
        while (e < end && within >= e->length) within -= e++->length;
    }
    if (e == end || within >= e->length) return (struct piece){0};
    if (most > e->length - within) most = e->length - within;
    return (struct piece){e->device, e->offset + within, most};
}

int layout_map(const struct layout *layout, uint64_t offset, uint64_t length, int protection, int flags, bool writable,
               char *place) {
    if (layout->chunk && length / layout->chunk > MOST_PIECES) return -ENOMEM;
    int files[FAMFS_EXTENTS], result = 0;
    for (int i = 0; i < layout->device_count; i++) files[i] = -1;
    for (uint64_t done = 0; done < length && result == 0;) {
        struct piece piece = piece_at(layout, offset + done, length - done);
        int number = 0;
        while (number < layout->device_count && layout->devices[number].index != piece.device) number++;
        if (piece.length == 0 || number == layout->device_count) {
            result = piece.length ? -ENODEV : -EINVAL;
            break;
        }
        if (files[number] < 0) files[number] = open_device(&layout->devices[number], writable);
        if (files[number] < 0) {
            result = files[number];
            break;
        }
        uint64_t pages = pages_of(files[number]);
        /* A private copy takes huge pages from those who wait for them; a child of fork gets none, but a SIGBUS. */
        bool is_private = (flags & MAP_TYPE) == MAP_PRIVATE;
        if ((piece.offset | piece.length) % pages || (pages > page_size() && is_private)) {
            result = -EINVAL;
            break;
        }
        void *at = kernel_mmap(place + done, piece.length, protection, flags | MAP_FIXED, files[number], (int64_t)piece.offset);
        if (at == MAP_FAILED) result = -errno;
        else syscall(SYS_madvise, at, piece.length, MADV_HUGEPAGE); /* where they are given to those who ask */
        done += piece.length;
    }
    for (int i = 0; i < layout->device_count; i++)
        if (files[i] >= 0) close(files[i]);
    return result;
}

void *layout_reserve(const struct layout *layout, uint64_t offset, size_t length, void *hint) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    if (hint || length < large_page) return kernel_mmap(hint, length, PROT_NONE, flags, -1, 0);
    char *start = kernel_mmap(NULL, length + large_page, PROT_NONE, flags, -1, 0);
    if (start == MAP_FAILED) return start;
    uint64_t wanted = piece_at(layout, offset, page_size()).offset % large_page;
    size_t skipped = (size_t)((wanted - (uintptr_t)start) % large_page);
    if (skipped) kernel_munmap(start, skipped);
    if (skipped < large_page) kernel_munmap(start + skipped + length, large_page - skipped);
    return start + skipped;
}
