#define _GNU_SOURCE
#include "records.h"

#include <pthread.h>
#include <sys/mman.h>

enum { LIMIT = 16384 };

struct held_layout {
    int users;
    struct layout layout;
};

/* In no order: programs map tens of files, not thousands. */
static struct record records[LIMIT];
static int count;
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

bool records_are_empty(void) { return __atomic_load_n(&count, __ATOMIC_ACQUIRE) == 0; }
/* Room is left for ranges that are cut in two. */
bool records_are_full(void) { return __atomic_load_n(&count, __ATOMIC_ACQUIRE) >= LIMIT / 2; }

static void put(struct record record) {
    if (count == LIMIT) return;
    share(record.layout);
    records[count] = record;
    __atomic_store_n(&count, count + 1, __ATOMIC_RELEASE);
}

static void forget(uintptr_t start, uintptr_t end) {
    for (int i = 0; i < count; i++) {
        struct record found = records[i];
        if (found.end <= start || end <= found.start) continue;
        records[i] = records[count - 1];
        __atomic_store_n(&count, count - 1, __ATOMIC_RELEASE);
        i--;
        struct record before = found, behind = found;
        before.end = start;
        behind.start = end;
        behind.offset += end - found.start;
        if (found.start < start) put(before);
        if (end < found.end) put(behind);
        release_layout(found.layout);
    }
}

void forget_range(uintptr_t start, uintptr_t end) {
    if (records_are_empty()) return;
    take();
    forget(start, end);
    give();
}

int unmap_range(uintptr_t start, uintptr_t end) {
    /* What is the caller's to unmap can have no record later if it has none now. */
    if (records_are_empty()) return kernel_munmap((void *)start, end - start);
    take();
    int result = kernel_munmap((void *)start, end - start);
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
    bool result = false;
    for (int i = 0; i < count && !result; i++) {
        if (records[i].end <= start || end <= records[i].start) continue;
        *found = records[i];
        share(found->layout);
        result = true;
    }
    give();
    return result;
}
