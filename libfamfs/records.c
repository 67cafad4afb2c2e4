#define _GNU_SOURCE
#include "records.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

/* Half the areas that a process may have by default (vm.max_map_count). */
enum { LIMIT = 16384, MOST_AREAS = 32768 };

struct held_layout {
    int users;
    struct layout layout;
};

/* In no order: programs map tens of files, not thousands. */
static struct record records[LIMIT];
static int count;
static bool lost;
static uint64_t areas; /* at most this many are the records' */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void take(void) { pthread_mutex_lock(&lock); }
static void give(void) { pthread_mutex_unlock(&lock); }

__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(take, give, give); }

/* Not by malloc: the caller may be its munmap. */
struct held_layout *hold_layout(void) {
    struct held_layout *made =
        kernel_mmap(NULL, sizeof *made, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED) return NULL;
    made->users = 1;
    return made;
}

struct layout *layout_in(struct held_layout *layout) { return &layout->layout; }

void release_layout(struct held_layout *layout) {
    if (__atomic_sub_fetch(&layout->users, 1, __ATOMIC_ACQ_REL) == 0) kernel_munmap(layout, sizeof *layout);
}

static void share(struct held_layout *layout) { __atomic_add_fetch(&layout->users, 1, __ATOMIC_RELAXED); }

static bool records_are_empty(void) { return __atomic_load_n(&count, __ATOMIC_ACQUIRE) == 0; }

static uint64_t areas_of(const struct layout *layout, uint64_t length) {
    return 2 + (layout->chunk ? length / layout->chunk : (uint64_t)layout->extent_count);
}

bool records_have_room(const struct layout *layout, uint64_t length) {
    take();
    /* Room is left for ranges that are cut in two. */
    bool result = count < LIMIT / 2 && areas + areas_of(layout, length) <= MOST_AREAS;
    give();
    return result;
}

bool records_are_lost(void) { return __atomic_load_n(&lost, __ATOMIC_RELAXED); }

static void put(struct record record) {
    if (count == LIMIT) {
        __atomic_store_n(&lost, true, __ATOMIC_RELAXED);
        return;
    }
    share(record.layout);
    areas += areas_of(&record.layout->layout, record.end - record.start);
    records[count] = record;
    __atomic_store_n(&count, count + 1, __ATOMIC_RELEASE);
}

static void forget(uintptr_t start, uintptr_t end) {
    for (int i = count - 1; i >= 0; i--) {
        struct record found = records[i];
        if (found.end <= start || end <= found.start) continue;
        struct record before = found, behind = found;
        before.end = start;
        before.asked = found.asked < start ? found.asked : start;
        behind.start = end;
        behind.offset += end - found.start;
        /* What stays comes first: to who looks without the lock there is never none. */
        if (found.start < start) put(before);
        if (end < found.end) put(behind);
        records[i] = records[count - 1];
        areas -= areas_of(&found.layout->layout, found.end - found.start);
        __atomic_store_n(&count, count - 1, __ATOMIC_RELEASE);
        release_layout(found.layout);
    }
}

void forget_range(uintptr_t start, uintptr_t end) {
    if (records_are_empty()) return;
    take();
    forget(start, end);
    give();
}

/* Where the large page ends that a program has up to `end`; 0 when there is none. */
static uintptr_t large_end(uintptr_t start, uintptr_t end) {
    for (int i = 0; i < count; i++)
        if (start < records[i].end && records[i].asked <= end && records[i].start < end && end < records[i].end) return records[i].end;
    return 0;
}

int unmap_range(uintptr_t start, uintptr_t end) {
    /* What is the caller's to unmap can have no record later if it has none now. */
    if (records_are_empty()) return kernel_munmap((void *)start, end - start);
    take();
    int error = errno, result = kernel_munmap((void *)start, end - start);
    uintptr_t last = result && errno == EINVAL && start < end ? large_end(start, end) : 0;
    if (last && (result = kernel_munmap((void *)start, last - start)) == 0) {
        errno = error;
        end = last;
    }
    if (result == 0) forget(start, end);
    give();
    return result;
}

void add_record(struct record record) {
    take();
    forget(record.start, record.end);
    put(record);
    give();
}

bool find_record(uintptr_t address, struct record *found) { return find_overlap(address, address + 1, found); }

bool find_overlap(uintptr_t start, uintptr_t end, struct record *found) {
    if (records_are_empty()) return false;
    take();
    const struct record *first = NULL;
    for (int i = 0; i < count; i++) {
        if (records[i].end <= start || end <= records[i].start) continue;
        if (!first || records[i].start < first->start) first = &records[i];
    }
    if (first) {
        *found = *first;
        share(found->layout);
    }
    give();
    return first;
}
