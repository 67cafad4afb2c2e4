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
#include "mounts.h"

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
    if (sscanf(line, "entry %llu", &a) == 1) {
        layout->entry = a;
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

/* --- Devices ---------------------------------------------------------------------------------------------------- */

/* Bytes of the pages that a file's memory is mapped by. hugetlbfs has whole huge pages only, and takes what is too short for
 * longer. (Where a dax device is so, its mmap says EINVAL.) */
static uint64_t pages_of(int file) {
    struct statfs about;
    return fstatfs(file, &about) == 0 && about.f_type == 0x958458f6 ? (uint64_t)about.f_bsize : page_size();
}

/* An open device to be read; it stays the caller's. */
static struct memory adopt(int file, const struct stat *status) {
    bool is_dax = !S_ISREG(status->st_mode);
    return (struct memory){.file = file, .is_dax = is_dax, .size = is_dax ? INT64_MAX : (uint64_t)status->st_size};
}

static void let_go(struct memory *memory) {
    if (memory->start) kernel_munmap(memory->start, memory->mapped);
}

/* Whether a device is the one that is meant: names can be given to others. */
static bool is_meant(int file, const struct stat *status, const struct device *device) {
    if (!S_ISCHR(status->st_mode) && !(S_ISREG(status->st_mode) && status->st_size >= (off_t)large_page)) return false;
    struct memory memory = adopt(file, status);
    unsigned char superblock[80];
    bool result = memory_read(&memory, 0, superblock, sizeof superblock) == 0 && u64(superblock) == 0x87b282ff &&
                  !memcmp(superblock + 48, device->volume, 16) && !memcmp(superblock + 64, device->uuid, 16);
    let_go(&memory);
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

/* --- What the log says ------------------------------------------------------------------------------------------ */

enum { LOG = 2 << 20, HEADER = 48, ENTRY = 544 };

/* zlib's crc32, by half bytes: no library is wanted that programs may have of their own, and no table that is made first. */
static uint32_t checksum(const unsigned char *bytes, size_t count) {
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                       0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t sum = ~(uint32_t)0;
    for (size_t i = 0; i < count; i++) {
        sum ^= bytes[i];
        sum = sum >> 4 ^ table[sum & 15];
        sum = sum >> 4 ^ table[sum & 15];
    }
    return ~sum;
}

/* Whether an entry says that the file lies where its layout says (SPEC-famfs, "Log entry"). */
static bool says_the_same(const unsigned char *entry, const struct layout *layout) {
    bool is_striped = layout->chunk > 0;
    uint64_t count = is_striped ? u64(entry + 136) : u32(entry + 128);
    if (u64(entry) != layout->entry || u64(entry + 536) != checksum(entry, 536) || u32(entry + 8) != 0) return false;
    if (u32(entry + 120) != is_striped || u64(entry + 16) != layout->size || count != (uint64_t)layout->extent_count) return false;
    if (is_striped && (u32(entry + 128) != 1 || u64(entry + 144) != layout->chunk)) return false;
    const unsigned char *place = entry + (is_striped ? 152 : 136);
    for (int i = 0; i < layout->extent_count; i++, place += 24) {
        const struct extent *extent = &layout->extents[i];
        if (u64(place) != extent->device || u64(place + 8) != extent->offset || u64(place + 16) != extent->length) return false;
    }
    return true;
}

/* Checks a layout against the superblock and log of a device 0 that is open: a mount's word alone is not enough to store to
 * memory that is shared with other files. */
static int check_on(struct memory *memory, const struct layout *layout) {
    unsigned char superblock[104], index[8], entry[ENTRY];
    int result = memory_read(memory, 0, superblock, sizeof superblock);
    if (result) return result;
    uint64_t length = u64(superblock + 24);
    if (u64(superblock + 8) != 48 || u64(superblock + 96) != checksum(superblock, 96)) return -EPROTO;
    if (u64(superblock + 16) != LOG || length > INT64_MAX - LOG || length < HEADER + ENTRY) return -EPROTO;
    if (layout->entry >= (length - HEADER) / ENTRY) return -EPROTO;
    for (int i = 0; i < layout->extent_count; i++) /* where each device's data begins */
        if (layout->extents[i].offset < LOG + (layout->extents[i].device == 0 ? length : 0)) return -EPROTO;
    result = memory_read(memory, LOG + 40, index, sizeof index);
    if (result == 0 && u64(index) <= layout->entry) result = -EPROTO;
    if (result == 0) result = memory_read(memory, LOG + HEADER + layout->entry * ENTRY, entry, sizeof entry);
    return result == 0 && !says_the_same(entry, layout) ? -EPROTO : result;
}

static int check_log(const struct layout *layout) {
    int number = 0;
    while (number < layout->device_count && layout->devices[number].index != 0) number++;
    if (number == layout->device_count) return -EPROTO;
    int file = open_device(&layout->devices[number], false);
    if (file < 0) return file;
    struct stat status;
    int result = fstat(file, &status) ? -errno : 0;
    if (result == 0) {
        struct memory memory = adopt(file, &status);
        result = check_on(&memory, layout);
        let_go(&memory);
    }
    close(file);
    return result;
}

/* --- Both ------------------------------------------------------------------------------------------------------- */

int layout_of(int file, struct layout *layout) {
    if (!mount_is_believed(file)) return -ENODATA;
    /* Its own mapping: the caller may be an allocator. */
    char *text = kernel_mmap(NULL, TEXT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (text == MAP_FAILED) return -ENOMEM;
    unsigned char volume[16] = {0};
    ssize_t length = fgetxattr(file, "user.famfs.map", text, TEXT - 1);
    int result = length < 0 ? -errno : 0;
    layout->extent_count = layout->device_count = 0;
    layout->size = layout->chunk = 0;
    layout->entry = UINT64_MAX;
    for (char *line = text, *next; result == 0 && *line; line = next) {
        next = strchrnul(line, '\n');
        if (*next) *next++ = 0;
        if (!parse_line(line, layout, volume)) result = -EPROTO;
    }
    if (result == 0 && !is_sound(layout)) result = -EPROTO;
    kernel_munmap(text, TEXT);
    if (result == 0) result = check_log(layout);
    return result;
}

uint64_t layout_pages(const struct layout *layout) { return (layout->size + page_size() - 1) / page_size() * page_size(); }

/* --- Mapping ---------------------------------------------------------------------------------------------------- */

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
