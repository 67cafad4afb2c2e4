#define _GNU_SOURCE
#include "areas.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../Sources/CLinux/include/CLinux.h"
#include "layout.h"
#include "text.h"

struct area {
    uintptr_t start, end;
    int protection;
};

/* The kernel's next area that has a part of a range. */
static bool next_area(struct text *maps, uintptr_t start, uintptr_t end, struct area *area) {
    char word[WORD], rights[WORD];
    for (int byte; (byte = next_word(maps, word)) != EOF;) {
        const char *place = word;
        uint64_t from, to;
        bool is_area = number_at(&place, 16, &from) && *place++ == '-' && number_at(&place, 16, &to) && byte == ' ';
        if (is_area) byte = next_word(maps, rights);
        while (byte != '\n' && byte != EOF) byte = next_byte(maps);
        if (!is_area || to <= start || end <= from) continue;
        area->start = from > start ? from : start;
        area->end = to < end ? to : end;
        area->protection = (rights[0] == 'r') * PROT_READ | (rights[1] == 'w') * PROT_WRITE | (rights[2] == 'x') * PROT_EXEC;
        return true;
    }
    return false;
}

static bool open_maps(struct text *maps) { return open_text(maps, "/proc/self/maps"); }

void write_back_areas(uintptr_t start, uintptr_t end) {
    struct area area;
    struct text maps;
    /* One call instead of a file to read, where all of it can be read. */
    if (syscall(SYS_madvise, start, end - start, 22 /* MADV_POPULATE_READ */) == 0 || !open_maps(&maps)) {
        weft_write_back((void *)start, end - start);
        return;
    }
    while (next_area(&maps, start, end, &area))
        if (area.protection) weft_write_back((void *)area.start, area.end - area.start);
    close_text(&maps);
}

int protection_of(uintptr_t start, uintptr_t end, bool *is_one) {
    struct text maps;
    struct area area;
    if (!open_maps(&maps)) return -errno;
    int result = -EFAULT;
    uintptr_t done = start;
    *is_one = true;
    while (done < end && next_area(&maps, start, end, &area) && area.start == done) {
        if (done > start && result != area.protection) *is_one = false;
        done = area.end;
        result = area.protection;
    }
    close_text(&maps);
    return done == end ? result : -EFAULT;
}

int move_areas(uintptr_t start, uintptr_t end, char *target) {
    struct text maps;
    struct area area;
    if (!open_maps(&maps)) return -errno;
    int result = 0;
    /* What has been moved is not looked at again: another thread may have mapped something of its own there, and the kernel may
     * show that late, as a part of a higher area that it has joined. */
    for (uintptr_t rest = start; result == 0 && rest < end && next_area(&maps, rest, end, &area); rest = area.end) {
        size_t length = area.end - area.start;
        if (syscall(SYS_mremap, area.start, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, target + (area.start - start)) == -1) result = -errno;
    }
    close_text(&maps);
    return result;
}

bool kernel_moves_several(void) {
    static int known; /* 1: yes, -1: no */
    int answer = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (answer) return answer > 0;
    size_t one = page_size();
    char *pages = kernel_mmap(NULL, 4 * one, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return false;
    answer = mprotect(pages, one, PROT_READ) == 0 &&
             syscall(SYS_mremap, pages, 2 * one, 2 * one, MREMAP_MAYMOVE | MREMAP_FIXED, pages + 2 * one) != -1 ? 1 : -1;
    kernel_munmap(pages, 4 * one);
    __atomic_store_n(&known, answer, __ATOMIC_RELAXED);
    return answer > 0;
}

bool is_one_of_kernel(uintptr_t start, uintptr_t end) {
    struct text maps;
    struct area area;
    if (!open_maps(&maps)) return false;
    bool result = next_area(&maps, start, end, &area) && area.start == start && area.end == end;
    close_text(&maps);
    return result;
}
