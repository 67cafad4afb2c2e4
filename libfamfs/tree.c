#define _GNU_SOURCE
#include "tree.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "memory.h"

static const uint64_t superblock_area = 2 << 20;

/* "weft": marks what the public format does not have; "attr": the type of entries that change attributes. */
enum { OURS = 0x74666577, ATTRIBUTES = 0x72747461 };

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct node *)a)->path, ((const struct node *)b)->path);
}

/* Runs that overlap are the same one: those in the tree never do. */
static int by_place(const void *a, const void *b) {
    const struct extent *x = &((const struct run *)a)->extent, *y = &((const struct run *)b)->extent;
    if (x->device != y->device) return x->device < y->device ? -1 : 1;
    if (x->offset + x->length <= y->offset) return -1;
    return y->offset + y->length <= x->offset;
}

static void keep(void *item) { (void)item; }

int tree_make(struct tree *tree, uint64_t unit, uint64_t data, struct member first) {
    *tree = (struct tree){.unit = unit, .data = data, .member_count = 1, .members = {first}};
    tree->root = tree->made = calloc(1, sizeof *tree->root);
    if (!tree->root) return -ENOMEM;
    tree->root->is_directory = true;
    tree->root->mode = 0755;
    return 0;
}

void tree_free(struct tree *tree) {
    tdestroy(tree->names, keep);
    tdestroy(tree->space, keep);
    for (struct node *node = tree->made, *before; node; node = before) {
        before = node->made_before;
        free(node);
    }
}

/* --- Names -------------------------------------------------------------------------------------------------------- */

static struct node *at_path(const struct tree *tree, const char *path, size_t length) {
    if (length == 0) return tree->root;
    struct node key;
    memcpy(key.path, path, length);
    key.path[length] = 0;
    struct node **found = tfind(&key, &tree->names, by_path);
    return found ? *found : NULL;
}

int tree_find(const struct tree *tree, const char *path, struct node **found) {
    struct node *place = tree->root;
    while (*path) {
        size_t length = strcspn(path, "/");
        if (!place->is_directory) return -ENOTDIR;
        if (length == 2 && path[0] == '.' && path[1] == '.') {
            if (place->parent) place = place->parent;
        } else if (length > 1 || (length == 1 && path[0] != '.')) {
            size_t before = strlen(place->path);
            char whole[PATH_SIZE];
            if (before) {
                memcpy(whole, place->path, before);
                whole[before++] = '/';
            }
            if (before >= PATH_SIZE || length >= PATH_SIZE - before) return -ENOENT;
            memcpy(whole + before, path, length);
            place = at_path(tree, whole, before + length);
            if (!place) return -ENOENT;
        }
        path += length;
        if (*path == '/') {
            if (!place->is_directory) return -ENOTDIR;
            path++;
        }
    }
    *found = place;
    return 0;
}

/* Whether a field holds a path that can be, and where its last component begins. */
static bool is_path(const unsigned char *field, size_t *name) {
    const char *path = (const char *)field;
    size_t length = strnlen(path, PATH_SIZE);
    if (length == 0 || length == PATH_SIZE) return false;
    *name = 0;
    for (size_t end = 0; end <= length; end++) {
        if (path[end] && path[end] != '/') continue;
        size_t count = end - *name;
        const char *start = path + *name;
        if (count == 0 || (count == 1 && start[0] == '.') || (count == 2 && start[0] == '.' && start[1] == '.')) return false;
        if (path[end]) *name = end + 1;
    }
    /* The volume's own files. */
    return strncmp(path, ".meta", 5) || (path[5] && path[5] != '/');
}

/* Makes a node of a name that is free, in a directory that is there, and adds it to nothing; NULL in `made` when the name
 * cannot be. */
static int make_node(struct tree *tree, const unsigned char *path, int runs, struct node **made) {
    *made = NULL;
    size_t name;
    if (!is_path(path, &name)) return 0;
    struct node *parent = at_path(tree, (const char *)path, name ? name - 1 : 0);
    if (!parent || !parent->is_directory || at_path(tree, (const char *)path, strlen((const char *)path))) return 0;
    struct node *node = calloc(1, sizeof *node + (size_t)runs * sizeof node->runs[0]);
    if (!node) return -ENOMEM;
    strcpy(node->path, (const char *)path);
    node->name = name;
    node->parent = parent;
    node->run_count = runs;
    *made = node;
    return 0;
}

static int add(struct tree *tree, struct node *node, uint64_t index) {
    node->index = index;
    node->made_before = tree->made;
    tree->made = node;
    if (!tsearch(node, &tree->names, by_path)) return -ENOMEM;
    struct node *parent = node->parent;
    if (parent->last) parent->last->next = node;
    else parent->first = node;
    parent->last = node;
    parent->children++;
    parent->directories += node->is_directory;
    return 0;
}

/* --- Space -------------------------------------------------------------------------------------------------------- */

static struct run *taken(const struct tree *tree, const struct run *run) {
    struct run **found = tfind(run, &tree->space, by_place);
    return found ? *found : NULL;
}

/* Whether a file's extents can be what they say: aligned, in the data area, long enough. */
static bool is_sound(const struct tree *tree, const struct node *node) {
    uint64_t total = 0, unit = tree->unit;
    for (int i = 0; i < node->run_count; i++) {
        struct extent e = node->runs[i].extent;
        if (e.device >= (uint64_t)tree->member_count) return false;
        uint64_t start = e.device ? superblock_area : tree->data, end = tree->members[e.device].size / unit * unit;
        if (e.length == 0 || e.offset % unit || e.length % unit) return false;
        if (e.offset < start || e.offset > end || e.length > end - e.offset) return false;
        if (__builtin_add_overflow(total, e.length, &total)) return false;
    }
    if (node->size > total) return false;
    if (node->chunk == 0) return true;
    if (node->chunk % unit) return false;
    uint64_t count = (uint64_t)node->run_count, length = node->runs[0].extent.length;
    for (int i = 1; i < node->run_count; i++)
        if (node->runs[i].extent.length != length) return false;
    if (node->size == 0) return true;
    /* The last byte of the longest strip: a full chunk of the last row, unless the file ends in the row's first. */
    uint64_t last = (node->size - 1) / node->chunk, row = last / count, most;
    uint64_t in_row = last % count ? node->chunk : node->size - last * node->chunk;
    return !__builtin_mul_overflow(row, node->chunk, &most) && !__builtin_add_overflow(most, in_row, &most) && most <= length;
}

/* The file that has the very same extents, if there is one. */
static struct node *original(const struct node *node, const struct run *found) {
    struct node *owner = found->owner;
    if (found != owner->runs || owner->run_count != node->run_count || owner->chunk != node->chunk) return NULL;
    for (int i = 0; i < node->run_count; i++)
        if (memcmp(&owner->runs[i].extent, &node->runs[i].extent, sizeof node->runs[i].extent)) return NULL;
    return owner;
}

/* Takes a file's extents, all or none, unless they are another's, which must have all of them. */
static int take(struct tree *tree, struct node *node, bool *may) {
    *may = true;
    struct run *first = node->run_count ? taken(tree, &node->runs[0]) : NULL;
    if (first) {
        struct node *twin = original(node, first);
        *may = twin;
        if (twin) node->is_shared = twin->is_shared = true;
        return 0;
    }
    for (int i = 1; i < node->run_count; i++) {
        if (taken(tree, &node->runs[i])) *may = false;
        for (int j = 0; j < i; j++)
            if (by_place(&node->runs[i], &node->runs[j]) == 0) *may = false;
    }
    for (int i = 0; *may && i < node->run_count; i++)
        if (!tsearch(&node->runs[i], &tree->space, by_place)) return -ENOMEM;
    return 0;
}

/* --- Entries ------------------------------------------------------------------------------------------------------ */

bool entry_is_whole(const unsigned char *entry, uint64_t index) {
    return u64(entry) == index && u64(entry + 536) == crc32(0, entry, 536);
}

/* Reads a time of an entry: false when no clock shows that. */
static bool read_time(const unsigned char *bytes, struct timespec *time) {
    *time = (struct timespec){(time_t)u64(bytes), (long)u32(bytes + 8)};
    return time->tv_nsec < 1000000000;
}

/* The time stamp of a directory's or simple file's entry, which is in a gap of the public format. */
static void read_stamp(const unsigned char *entry, struct node *node) {
    struct timespec time;
    if (u32(entry + 532) == OURS && read_time(entry + 520, &time)) node->modified = time;
}

static int play_file(struct tree *tree, const unsigned char *entry) {
    uint32_t type = u32(entry + 120);
    uint64_t count = u32(entry + 128), chunk = 0;
    if (type > 1) return 0;
    if (type == 1) {
        if (count != 1) return 0;
        count = u64(entry + 136);
        chunk = u64(entry + 144);
        if (count < 2 || chunk < 4096 || chunk & (chunk - 1)) return 0;
    }
    if (count > FAMFS_EXTENTS) return 0;
    struct node *node;
    int result = make_node(tree, entry + 40, (int)count, &node);
    if (!node) return result;
    node->size = u64(entry + 16);
    node->owner = u32(entry + 28);
    node->group = u32(entry + 32);
    node->mode = u32(entry + 36) & 07777;
    node->chunk = chunk;
    if (type == 0) read_stamp(entry, node);
    const unsigned char *place = entry + (chunk ? 152 : 136);
    for (int i = 0; i < node->run_count; i++, place += 24)
        node->runs[i] = (struct run){{u64(place), u64(place + 8), u64(place + 16)}, node};
    bool may = is_sound(tree, node);
    if (may) result = take(tree, node, &may);
    if (may) return result ? result : add(tree, node, u64(entry));
    free(node);
    return 0;
}

static int play_directory(struct tree *tree, const unsigned char *entry) {
    struct node *node;
    int result = make_node(tree, entry + 28, 0, &node);
    if (!node) return result;
    node->is_directory = true;
    node->owner = u32(entry + 16);
    node->group = u32(entry + 20);
    node->mode = u32(entry + 24) & 07777;
    read_stamp(entry, node);
    return add(tree, node, u64(entry));
}

static void play_removal(struct tree *tree, const unsigned char *entry) {
    size_t name;
    const char *path = (const char *)entry + 28;
    if (u32(entry + 24) != OURS || !is_path(entry + 28, &name)) return;
    struct node *node = at_path(tree, path, strlen(path));
    if (!node || node->index != u64(entry + 16) || node->children || node->is_shared) return;
    for (int i = 0; i < node->run_count; i++) tdelete(&node->runs[i], &tree->space, by_place);
    tdelete(node, &tree->names, by_path);
    node->is_gone = true;
    node->parent->children--;
    node->parent->directories -= node->is_directory;
    if (!node->is_directory) tree->has_removed = true;
}

static void play_attributes(struct tree *tree, const unsigned char *entry) {
    size_t name;
    const char *path = (const char *)entry + 28;
    struct timespec modified, other;
    bool is_root = u64(entry + 16) == UINT64_MAX;
    if (u32(entry + 24) != OURS || u32(entry + 108) != 1 || u32(entry + 112) & ~07777u) return;
    if (!read_time(entry + 128, &modified) || !read_time(entry + 144, &other) || !read_time(entry + 160, &other)) return;
    if (is_root ? *path : !is_path(entry + 28, &name)) return;
    struct node *node = is_root ? tree->root : at_path(tree, path, strlen(path));
    if (!node || (!is_root && node->index != u64(entry + 16))) return;
    node->mode = u32(entry + 112);
    node->owner = u32(entry + 116);
    node->group = u32(entry + 120);
    node->modified = modified;
}

static void play_device(struct tree *tree, const unsigned char *entry) {
    struct member member = {.size = u64(entry + 16)};
    memcpy(member.uuid, entry + 24, 16);
    if (u32(entry + 40) != (uint32_t)tree->member_count || tree->member_count == MOST_DEVICES) return;
    if (member.size < superblock_area + tree->unit || member.size / tree->unit > (uint64_t)1 << 32) return;
    for (int i = 0; i < tree->member_count; i++)
        if (!memcmp(tree->members[i].uuid, member.uuid, 16)) return;
    tree->members[tree->member_count++] = member;
}

int tree_play(struct tree *tree, const unsigned char *entry) {
    switch (u32(entry + 8)) {
        case 0: return play_file(tree, entry);
        case 1: return play_directory(tree, entry);
        case 2: play_removal(tree, entry); break;
        case 3: play_device(tree, entry); break;
        case ATTRIBUTES: play_attributes(tree, entry); break;
    }
    return 0;
}
