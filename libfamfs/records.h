/* Which ranges of the address space are files of a famfs that were mapped directly. */
#ifndef FAMFS_RECORDS_H
#define FAMFS_RECORDS_H

#include "layout.h"

struct held_layout; /* a layout that several records share */

struct record {
    uintptr_t start, end;
    uintptr_t asked; /* up to where the program has it; before the end where only large pages can be mapped */
    uint64_t offset; /* of the file, at start */
    struct held_layout *layout;
    int type;      /* MAP_SHARED or MAP_PRIVATE */
    bool writable; /* whether the device was opened for writing */
};

struct held_layout *hold_layout(void); /* a new one, to be filled; NULL when there is no memory */
void release_layout(struct held_layout *layout);
struct layout *layout_in(struct held_layout *layout);

/* Whether one more mapping of this many bytes leaves the program enough of the areas that the kernel gives to a process. */
bool records_have_room(const struct layout *layout, uint64_t length);
/* Whether there were more ranges than there is room for: then any address may be of one. */
bool records_are_lost(void);
/* Takes a range out: something else is there now, which is the caller's. */
void forget_range(uintptr_t start, uintptr_t end);
/* Unmaps a range and takes it out, before another thread can have mapped something there. Of large pages all that the
 * program has of the last one must be in the range. */
int unmap_range(uintptr_t start, uintptr_t end);
/* Adds a range, and takes its share of the layout. What was there before is taken out. */
void add_record(struct record record);
/* Finds the record of an address, with a share of its layout, to be released; false when there is none. */
bool find_record(uintptr_t address, struct record *found);
/* The same for the record with the lowest address that has a part of a range. */
bool find_overlap(uintptr_t start, uintptr_t end, struct record *found);

#endif
