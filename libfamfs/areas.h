/* The areas of this process's address space, as /proc/self/maps has them. Nothing here calls malloc: the caller may be an
 * allocator's realloc. */
#ifndef FAMFS_AREAS_H
#define FAMFS_AREAS_H

#include <stdbool.h>
#include <stdint.h>

/* Writes back the CPU's caches for a range, but for what the program has made inaccessible: that would be a fault. */
void write_back_areas(uintptr_t start, uintptr_t end);

/* Finds the protection of a range that is mapped without a gap, or of its end where that is another: then `*is_one` is false,
 * for the kernel would have several areas there. A negative errno when it is not mapped. */
int protection_of(uintptr_t start, uintptr_t end, bool *is_one);

/* Moves a range to `target` area by area: kernels before 6.17 move one at a time, and later ones not each. Gaps stay. */
int move_areas(uintptr_t start, uintptr_t end, char *target);

/* Whether this kernel moves several areas by one call (Linux 6.17). Tried once, with pages of its own. */
bool kernel_moves_several(void);

/* Whether a range is a part of one of the kernel's areas. */
bool is_one_of_kernel(uintptr_t start, uintptr_t end);

#endif
