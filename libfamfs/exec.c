/* Preloaded by `famfs exec`: mmap of a file on a famfs mount maps the device's own memory; everything else is the kernel's,
 * untouched. What a program cannot tell apart from the plain mount it must not: offsets, lengths past the end,
 * unmapping of parts, mremap, fork. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../Sources/CLinux/include/CLinux.h"
#include "areas.h"
#include "layout.h"
#include "mounts.h"
#include "records.h"

#define EXPORT __attribute__((visibility("default")))

static size_t round_up(size_t length) { return (length + page_size() - 1) & ~(page_size() - 1); }

/* --- Which files -------------------------------------------------------------------------------------------------- */

/* Whether the call can be answered with the memory itself; then `*layout` is the file's. */
static bool can_be_direct(size_t length, int protection, int flags, int file, int64_t offset, bool *writable,
                          struct held_layout **layout) {
    const int known = MAP_TYPE | MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_NORESERVE | MAP_POPULATE | MAP_LOCKED | MAP_NONBLOCK;
    int type = flags & MAP_TYPE;
    if ((type != MAP_SHARED && type != MAP_PRIVATE) || flags & ~known || protection & ~(PROT_READ | PROT_WRITE)) return false;
    struct stat status;
    if (offset < 0 || (uint64_t)offset % page_size()) return false;
    if (fstat(file, &status) || !S_ISREG(status.st_mode) || major(status.st_dev) != 0) return false;
    int mode = fcntl(file, F_GETFL) & O_ACCMODE;
    /* What must fail is left to the kernel to refuse. */
    if (mode == O_WRONLY || (type == MAP_SHARED && protection & PROT_WRITE && mode != O_RDWR)) return false;
    if (!mount_is_believed(file)) return false; /* before there is room for a layout: most files are no famfs's */
    *writable = type == MAP_SHARED && mode == O_RDWR;
    struct held_layout *held = hold_layout();
    if (!held) return false;
    struct layout *found = layout_in(held);
    if (layout_of(file, found) == 0 && found->size == (uint64_t)status.st_size && (uint64_t)offset < layout_pages(found) &&
        records_have_room(found, length)) {
        *layout = held;
        return true;
    }
    release_layout(held);
    return false;
}

/* --- Mapping ------------------------------------------------------------------------------------------------------ */

/* Pages behind a file's end: SIGBUS, as the kernel has it. Where the file was opened for reading, mprotect(2) must not make them
 * writable either. */
static int map_beyond(char *place, size_t length, int protection, int type, bool writable) {
    int file = (int)syscall(SYS_memfd_create, "famfs: behind the end", 3u);  /* MFD_CLOEXEC, MFD_ALLOW_SEALING */
    if (file < 0) return -errno;
    if (type == MAP_SHARED && !writable) fcntl(file, F_ADD_SEALS, F_SEAL_FUTURE_WRITE); /* Linux 5.1 */
    void *at = kernel_mmap(place, length, protection, type | MAP_FIXED, file, 0);
    int result = at == MAP_FAILED ? -errno : 0;
    close(file);
    return result;
}

/* Maps a range of a file over what is at `place`. */
static int map_range(const struct layout *layout, uint64_t offset, size_t length, int protection, int flags, bool writable,
                     char *place) {
    uint64_t pages = layout_pages(layout);
    size_t inside = offset >= pages ? 0 : pages - offset < length ? (size_t)(pages - offset) : length;
    int result = inside ? layout_map(layout, offset, inside, protection, flags, writable, place) : 0;
    if (result == 0 && inside < length) result = map_beyond(place + inside, length - inside, protection, flags & MAP_TYPE, writable);
    return result;
}

/* Maps a range where only large pages can be mapped: the last is mapped whole, as far as it is the file's. Gives what is
 * mapped, at `*place`; 0 when it cannot be. */
static size_t map_large(const struct layout *layout, uint64_t offset, size_t length, int protection, int flags, bool writable,
                        char **place) {
    uint64_t rest = layout_pages(layout) - offset;
    size_t inside = (size_t)layout_large(rest < length ? rest : length), whole = inside < length ? length : inside;
    char *start = layout_reserve(layout, offset, whole, NULL);
    if (start == MAP_FAILED) return 0;
    int result = layout_map(layout, offset, inside, protection, flags, writable, start);
    if (result == 0 && inside < whole) result = map_beyond(start + inside, whole - inside, protection, flags & MAP_TYPE, writable);
    if (result) kernel_munmap(start, whole);
    *place = start;
    return result ? 0 : whole;
}

static void *map_direct(void *wanted, size_t length, int protection, int flags, bool writable, int64_t offset,
                        struct held_layout *held) {
    struct layout *layout = layout_in(held);
    char *place = wanted;
    if (flags & MAP_FIXED_NOREPLACE) {
        place = kernel_mmap(wanted, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    } else if (!(flags & MAP_FIXED)) {
        place = layout_reserve(layout, (uint64_t)offset, length, wanted);
    } else if ((uintptr_t)wanted % page_size()) {
        return MAP_FAILED;
    }
    if (place == MAP_FAILED) return MAP_FAILED;
    int passed = flags & (MAP_TYPE | MAP_NORESERVE | MAP_POPULATE | MAP_LOCKED | MAP_NONBLOCK);
    size_t mapped = length;
    int result = map_range(layout, (uint64_t)offset, length, protection, passed, writable, place);
    if (result) {
        if (!(flags & MAP_FIXED)) kernel_munmap(place, length);
        bool anywhere = !(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE));
        if (result != -EINVAL || !anywhere) return MAP_FAILED;
        mapped = map_large(layout, (uint64_t)offset, length, protection, passed, writable, &place);
        if (mapped == 0) return MAP_FAILED;
    }
    uintptr_t start = (uintptr_t)place;
    add_record((struct record){start, start + mapped, start + length, (uint64_t)offset, held, flags & MAP_TYPE, writable});
    return place;
}

EXPORT void *mmap64(void *wanted, size_t length, int protection, int flags, int file, off64_t offset) {
    int error = errno;
    if (file >= 0 && !(flags & MAP_ANONYMOUS) && length > 0 && length <= SIZE_MAX / 2) {
        bool writable;
        struct held_layout *layout;
        void *place = MAP_FAILED;
        if (can_be_direct(length, protection, flags, file, offset, &writable, &layout)) {
            place = map_direct(wanted, round_up(length), protection, flags, writable, offset, layout);
            release_layout(layout);
        }
        errno = error;
        if (place != MAP_FAILED) return place;
    }
    void *place = kernel_mmap(wanted, length, protection, flags, file, offset);
    if (place != MAP_FAILED) forget_range((uintptr_t)place, (uintptr_t)place + round_up(length));
    return place;
}

EXPORT void *mmap(void *wanted, size_t length, int protection, int flags, int file, off_t offset) {
    return mmap64(wanted, length, protection, flags, file, offset);
}

EXPORT int munmap(void *place, size_t length) {
    return length > SIZE_MAX / 2 ? kernel_munmap(place, length) : unmap_range((uintptr_t)place, (uintptr_t)place + round_up(length));
}

/* A file's space is its own for good: what would free a part of it would punch a hole into the device. */
EXPORT int madvise(void *place, size_t length, int advice) {
    struct record found;
    uintptr_t start = (uintptr_t)place;
    if (advice == MADV_REMOVE && length <= SIZE_MAX / 2) {
        bool ours = find_overlap(start, start + length, &found);
        if (ours) release_layout(found.layout);
        if (ours || records_are_lost()) {
            errno = EOPNOTSUPP;
            return -1;
        }
    }
    return (int)syscall(SYS_madvise, place, length, advice);
}

/* For hosts that do not share caches with this one. */
EXPORT int msync(void *place, size_t length, int flags) {
    struct record found;
    uintptr_t start = (uintptr_t)place, end = length > SIZE_MAX / 2 ? start : start + round_up(length);
    int error = errno, result = (int)syscall(SYS_msync, place, length, flags);
    /* A dax device knows of no msync, which is EINVAL too. */
    const int both = MS_SYNC | MS_ASYNC;
    bool is_sound = start % page_size() == 0 && (flags & both) != both && !(flags & ~(both | MS_INVALIDATE));
    if (result && (errno != EINVAL || !is_sound)) return result;
    int failure = errno;
    for (uintptr_t at = start; at < end && find_overlap(at, end, &found); at = found.end) {
        uintptr_t first = at > found.start ? at : found.start, last = end < found.end ? end : found.end;
        uint64_t pages = layout_pages(layout_in(found.layout));
        uintptr_t file_end = found.offset >= pages ? found.start : found.start + (pages - found.offset);
        if (last > file_end) last = file_end;
        if (first < last) write_back_areas(first, last);
        weft_fence();
        release_layout(found.layout);
        result = 0;
    }
    errno = result ? failure : error;
    return result;
}

/* --- mremap --------------------------------------------------------------------------------------------------------- */

static void *failed(int error) {
    errno = error;
    return MAP_FAILED;
}

static void *remap_direct(struct record record, uintptr_t old, size_t size, size_t wanted, int flags, void *fixed) {
    struct layout *layout = layout_in(record.layout);
    uint64_t offset = record.offset + (old - record.start);
    if (old % page_size() || wanted == 0 || flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED)) return failed(EINVAL);
    if (flags & MREMAP_FIXED && (!(flags & MREMAP_MAYMOVE) || (uintptr_t)fixed % page_size())) return failed(EINVAL);
    if (size == 0 && !(flags & MREMAP_MAYMOVE)) return failed(EINVAL);
    bool is_one = true, moves_whole = flags & MREMAP_FIXED && wanted == size && kernel_moves_several();
    int protection = record.writable ? PROT_READ | PROT_WRITE : PROT_READ;
    /* Where the program has changed the protection of a part the kernel has several areas, and neither lets them grow nor cuts
     * and moves them. */
    if (size) protection = protection_of(old, old + (wanted < size ? wanted : size), &is_one);
    if (protection < 0) return failed(-protection);
    if (!is_one && !moves_whole && (wanted > size || flags & MREMAP_FIXED)) return failed(EFAULT);
    if (wanted < size) {
        munmap((void *)(old + wanted), size - wanted);
        size = wanted;
    }
    if (wanted == size && !(flags & MREMAP_FIXED)) return (void *)old;
    const int reserve = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    size_t more = wanted - size;
    char *place = (char *)old;
    bool moves = flags & MREMAP_FIXED || size == 0;
    if (!moves) moves = kernel_mmap(place + size, more, PROT_NONE, reserve | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED;
    if (moves) {
        if (!(flags & MREMAP_MAYMOVE)) return failed(ENOMEM);
        if (flags & MREMAP_FIXED) {
            if ((uintptr_t)fixed < old + size && old < (uintptr_t)fixed + wanted) return failed(EINVAL);
            place = kernel_mmap(fixed, wanted, PROT_NONE, reserve | MAP_FIXED, -1, 0);
        } else {
            place = layout_reserve(layout, offset, wanted, NULL);
        }
        if (place == MAP_FAILED) return failed(ENOMEM);
    }
    /* What is new comes first: when it cannot be had, the old range is as it was. */
    int error = more ? map_range(layout, offset + size, more, protection, record.type, record.writable, place + size) : 0;
    if (error == 0 && moves && size) {
        /* The old range may be another thread's as soon as it has been moved. */
        forget_range(old, old + size);
        int moved = move_areas(old, old + size, place);
        if (moved < 0) {
            error = moved;
            struct record back = {old, old + size, old + size, offset, record.layout, record.type, record.writable};
            add_record(back);
        }
    }
    if (error) {
        if (moves) kernel_munmap(place, wanted);
        else kernel_munmap(place + size, more);
        return failed(-error);
    }
    record.start = (uintptr_t)place;
    record.end = record.asked = record.start + wanted;
    record.offset = offset;
    add_record(record);
    return place;
}

/* Moves a range in which there are both files mapped directly and other areas, or several of either, and its records. */
static int move_several(uintptr_t start, uintptr_t end, char *target) {
    struct record record;
    int result = 0;
    for (uintptr_t at = start, next; at < end && result == 0; at = next) {
        bool ours = find_overlap(at, end, &record);
        bool begins = ours && record.start <= at;
        next = !ours ? end : begins ? (record.end < end ? record.end : end) : record.start;
        char *place = target + (at - start);
        if (begins) forget_range(at, next);
        result = move_areas(at, next, place);
        if (begins) {
            uintptr_t new_start = result ? at : (uintptr_t)place;
            record.offset += at - record.start;
            record.start = new_start;
            record.end = record.asked = new_start + (next - at);
            add_record(record);
        } else if (result == 0) {
            forget_range((uintptr_t)place, (uintptr_t)place + (next - at));
        }
        if (ours) release_layout(record.layout);
    }
    return result;
}

/* Whether a range is one area to a program: a part of one file's mapping, or of one area of the kernel's. */
static bool is_one_area(uintptr_t start, uintptr_t end) {
    struct record record;
    bool is_one, ours = find_overlap(start, end, &record);
    if (ours) {
        release_layout(record.layout);
        return record.start <= start && end <= record.end && protection_of(start, end, &is_one) >= 0 && is_one;
    }
    return is_one_of_kernel(start, end);
}

/* mremap of a range that is more than one file's: the kernel cuts what is to be shorter, and moves what keeps its size. */
static void *remap_several(uintptr_t old, size_t size, size_t wanted, int flags, char *fixed) {
    bool is_fixed = flags & MREMAP_FIXED, is_one;
    if (old % page_size() || wanted == 0) return failed(EINVAL);
    if (is_fixed && (!(flags & MREMAP_MAYMOVE) || (uintptr_t)fixed % page_size())) return failed(EINVAL);
    if (is_fixed && (uintptr_t)fixed < old + size && old < (uintptr_t)fixed + wanted) return failed(EINVAL);
    if (wanted > size || protection_of(old, old + page_size(), &is_one) < 0) return failed(EFAULT);
    if (wanted < size) {
        if (is_fixed && !is_one_area(old, old + wanted)) return failed(EFAULT);
        munmap((void *)(old + wanted), size - wanted);
        return is_fixed ? mremap((void *)old, wanted, wanted, flags, fixed) : (void *)old;
    }
    if (!is_fixed) return (void *)old;
    if (!kernel_moves_several()) return failed(EFAULT);
    int error = move_several(old, old + size, fixed);
    return error ? failed(-error) : fixed;
}

EXPORT void *mremap(void *old, size_t size, size_t wanted, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    void *fixed = flags & MREMAP_FIXED ? va_arg(rest, void *) : NULL;
    va_end(rest);
    struct record record;
    uintptr_t start = (uintptr_t)old, end = size > SIZE_MAX / 2 ? start : start + round_up(size);
    bool is_sound = end >= start && wanted <= SIZE_MAX / 2 && size <= SIZE_MAX / 2;
    bool ours = is_sound && find_overlap(start, end > start ? end : start + 1, &record);
    if (ours) {
        bool is_inside = record.start <= start && end <= record.end;
        void *place = MAP_FAILED;
        if (is_inside) place = remap_direct(record, start, round_up(size), round_up(wanted), flags, fixed);
        release_layout(record.layout);
        if (is_inside) return place;
        if (!(flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED))) return remap_several(start, round_up(size), round_up(wanted), flags, fixed);
    }
    if (wanted > size && records_are_lost()) return failed(ENOMEM);
    void *place = (void *)syscall(SYS_mremap, old, size, wanted, flags, fixed);
    if (place != MAP_FAILED) forget_range((uintptr_t)place, (uintptr_t)place + round_up(wanted));
    return place;
}

/* The kernel would take the pages of the device for the file's. */
EXPORT int remap_file_pages(void *place, size_t length, int protection, size_t page, int flags) {
    struct record record;
    uintptr_t start = (uintptr_t)place & ~(uintptr_t)(page_size() - 1);
    size_t size = length & ~(page_size() - 1);
    if (!find_record(start, &record)) {
        if (!records_are_lost()) return (int)syscall(SYS_remap_file_pages, place, length, protection, page, flags);
        errno = EINVAL;
        return -1;
    }
    int result = -EINVAL;
    bool fits = size && size <= record.end - start && page <= INT64_MAX / page_size() && page * page_size() <= INT64_MAX - size;
    /* As the kernel: only of files that are open for writing. */
    if (fits && protection == 0 && record.writable) {
        bool is_one;
        int rights = protection_of(start, start + size, &is_one);
        struct layout *layout = layout_in(record.layout);
        if (rights >= 0) result = map_range(layout, page * page_size(), size, rights, MAP_SHARED, record.writable, (char *)start);
        record.start = start;
        record.end = record.asked = start + size;
        record.offset = page * page_size();
        if (result == 0) add_record(record);
    }
    release_layout(record.layout);
    if (result) errno = -result;
    return result ? -1 : 0;
}
