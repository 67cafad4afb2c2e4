#define _GNU_SOURCE
#include "log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "memory.h"

/* So many slots in a row that hold no entry end the log: its index is not believed (SPEC-famfs, "Reading"). */
enum { MOST_EMPTY = 8192 };

enum { LOG = 2 << 20, HEADER_SIZE = 48, NEXT_INDEX = LOG + 40, FEATURES = 512 << 10, BATCH = 60, FIRST_INODE = 5 };

struct log {
    pthread_mutex_t lock;
    struct memory memory;
    unsigned char volume[16];
    struct tree tree;
    uint64_t played, capacity; /* entries */
    uint64_t empty;            /* slots before `played` that hold no entry */
    bool is_stuck;             /* the index says what cannot be: nothing is followed any more */
    bool may_remove;           /* the volume was made so */
    int failure;               /* why nothing can be said any more: an errno */
    char **named;              /* where further devices may be */
    size_t named_count;
};

static bool is_sealed(const unsigned char *bytes, size_t count, size_t place) {
    return u64(bytes + place) == crc32(0, bytes, (uInt)count);
}

/* --- Opening ------------------------------------------------------------------------------------------------------ */

/* Reads a superblock: 0, or ENODEV when there is none and EBADMSG when it is of no use. */
static int read_superblock(struct memory *memory, unsigned char superblock[200]) {
    int result = memory_read(memory, 0, superblock, 200);
    if (result) return result == -ENXIO ? -ENODEV : result;
    if (u64(superblock) != 0x87b282ff) return -ENODEV;
    uint64_t log_length = u64(superblock + 24), unit = u64(superblock + 32);
    bool good = u64(superblock + 8) == 48 && is_sealed(superblock, 96, 96) && u32(superblock + 40) == 2 &&
                u64(superblock + 16) == LOG && log_length >= 8 << 20 && (log_length & (log_length - 1)) == 0 &&
                log_length <= (uint64_t)16 << 30 && (unit == 4096 || unit == 2 << 20);
    return good ? 0 : -EBADMSG;
}

/* Whether files can be removed from it. What is damaged may have said so. */
static bool may_remove(struct memory *memory, const unsigned char *volume) {
    unsigned char features[40];
    if (memory_read(memory, FEATURES, features, sizeof features)) return true;
    if (u64(features) != 0x7461656674666577) return false;
    return !is_sealed(features, 32, 32) || (!memcmp(features + 16, volume, 16) && features[8] & 1);
}

static int read_heads(struct log *log) {
    unsigned char superblock[200], header[HEADER_SIZE];
    int result = read_superblock(&log->memory, superblock);
    if (result) return result;
    uint64_t length = u64(superblock + 24), unit = u64(superblock + 32);
    if (superblock[104] & 2 || log->memory.size < LOG + length) return -EBADMSG;
    result = memory_read(&log->memory, LOG, header, sizeof header);
    if (result) return result;
    log->capacity = (length - HEADER_SIZE) / ENTRY_SIZE;
    if (u64(header) != 0xbadcafef00d || !is_sealed(header, 24, 24) || u64(header + 8) != length ||
        u64(header + 16) != log->capacity - 1)
        return -EBADMSG;
    memcpy(log->volume, superblock + 48, 16);
    log->may_remove = may_remove(&log->memory, log->volume);
    struct member first = {.size = log->memory.size};
    memcpy(first.uuid, superblock + 64, 16);
    return tree_make(&log->tree, unit, LOG + length, first);
}

/* Not while a volume is made or repaired there (SPEC-famfs, "Not on media"). */
static int lock_device(struct log *log) {
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    if (fcntl(log->memory.file, F_OFD_SETLK, &lock) == 0) return 0;
    return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

static int follow(struct log *log, bool is_new);

int log_open(const char *const *paths, size_t count, struct log **log) {
    struct log *made = calloc(1, sizeof *made);
    if (!made) return -ENOMEM;
    int result = memory_open(paths[0], &made->memory);
    if (result == 0) {
        result = lock_device(made);
        if (result == 0) result = read_heads(made);
        if (result == 0 && !(made->named = calloc(count, sizeof *made->named))) result = -ENOMEM;
        for (size_t i = 1; result == 0 && i < count; i++) {
            made->named[made->named_count] = realpath(paths[i], NULL);
            if (made->named[made->named_count]) made->named_count++;
            else result = -errno;
        }
        if (result == 0) result = follow(made, true);
    }
    pthread_mutex_init(&made->lock, NULL);
    if (result) log_close(made);
    else *log = made;
    return result;
}

void log_close(struct log *log) {
    tree_free(&log->tree);
    for (size_t i = 0; i < log->named_count; i++) free(log->named[i]);
    free(log->named);
    memory_close(&log->memory);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

/* --- Following ---------------------------------------------------------------------------------------------------- */

static int play(struct log *log, uint64_t end) {
    unsigned char batch[BATCH * ENTRY_SIZE];
    while (log->played < end) {
        uint64_t start = LOG + HEADER_SIZE + log->played * ENTRY_SIZE;
        size_t count = end - log->played < BATCH ? (size_t)(end - log->played) : BATCH;
        /* Where memory fails, what can be read one by one is. */
        bool all = memory_read(&log->memory, start, batch, count * ENTRY_SIZE) == 0;
        for (size_t i = 0; i < count; i++, log->played++) {
            unsigned char *entry = batch + i * ENTRY_SIZE;
            bool good = all && entry_is_whole(entry, log->played);
            /* A stale cache line looks like a bad entry: once more. */
            if (!good && memory_read(&log->memory, start + i * ENTRY_SIZE, entry, ENTRY_SIZE) == 0)
                good = entry_is_whole(entry, log->played);
            if (good && tree_play(&log->tree, entry)) return -(log->failure = ENOMEM);
            log->empty = good ? 0 : log->empty + 1;
            if (log->empty == MOST_EMPTY) {
                log->is_stuck = true;
                return 0;
            }
        }
    }
    return 0;
}

/* The number of entries. It changes by one store, of which a read may see a half: what two reads agree on is whole. */
static int read_index(struct log *log, uint64_t *index) {
    unsigned char bytes[8], again[8];
    int result = memory_read(&log->memory, NEXT_INDEX, bytes, 8);
    while (result == 0 && u64(bytes) != log->played) {
        result = memory_read(&log->memory, NEXT_INDEX, again, 8);
        if (result || !memcmp(bytes, again, 8)) break;
        memcpy(bytes, again, 8);
    }
    *index = u64(bytes);
    return result;
}

/* Takes in what the log has more. */
static int follow(struct log *log, bool is_new) {
    if (log->failure) return -log->failure;
    uint64_t index;
    unsigned char volume[16];
    /* The index first: whoever makes a new volume wipes the superblock before the log. */
    int result = read_index(log, &index);
    if (result == 0) result = memory_read(&log->memory, 48, volume, sizeof volume);
    if (result) return result;
    if (memcmp(volume, log->volume, sizeof volume)) return -(log->failure = ESTALE);
    if (log->is_stuck || index == log->played) return 0;
    if (index < log->played) return -(log->failure = ESTALE);
    log->is_stuck = index > log->capacity;
    if (log->is_stuck && !is_new) return 0;
    return play(log, log->is_stuck ? log->capacity : index);
}

/* Takes the lock, unless it fails. */
static int find(struct log *log, const char *path, struct node **node) {
    pthread_mutex_lock(&log->lock);
    int result = follow(log, false);
    if (result == 0) result = tree_find(&log->tree, path, node);
    if (result) pthread_mutex_unlock(&log->lock);
    return result;
}

int log_stat(struct log *log, const char *path, struct stat *status) {
    struct node *node;
    int result = find(log, path, &node);
    if (result) return result;
    *status = (struct stat){
        .st_mode = (node->is_directory ? S_IFDIR : S_IFREG) | node->mode,
        .st_ino = node->parent ? node->index + FIRST_INODE : 1,
        .st_nlink = node->is_directory ? node->directories + 2 : 1,
        .st_uid = node->owner,
        .st_gid = node->group,
        .st_size = (off_t)node->size,
        .st_blksize = 4096,
        .st_mtim = node->modified,
    };
    for (int i = 0; i < node->run_count; i++) status->st_blocks += (blkcnt_t)(node->runs[i].extent.length / 512);
    pthread_mutex_unlock(&log->lock);
    return 0;
}

int log_names(struct log *log, const char *path, char (**names)[PATH_SIZE], size_t *count) {
    struct node *node;
    int result = find(log, path, &node);
    if (result) return result;
    char(*made)[PATH_SIZE] = NULL;
    size_t found = 0;
    if (!node->is_directory) result = -ENOTDIR;
    else if (node->children && !(made = calloc(node->children, sizeof *made))) result = -ENOMEM;
    for (struct node *child = made ? node->first : NULL; child; child = child->next)
        if (!child->is_gone) strcpy(made[found++], child->path + child->name);
    pthread_mutex_unlock(&log->lock);
    *names = made;
    *count = found;
    return result;
}

/* --- Devices ------------------------------------------------------------------------------------------------------ */

static bool is_member(struct log *log, const struct member *member, const char *path) {
    struct memory memory;
    unsigned char superblock[200];
    if (memory_open(path, &memory)) return false;
    bool result = memory.size >= member->size && read_superblock(&memory, superblock) == 0 &&
                  !memcmp(superblock + 48, log->volume, 16) && !memcmp(superblock + 64, member->uuid, 16);
    memory_close(&memory);
    return result;
}

/* Finds a device by its UUIDs, where somebody said or among this host's dax devices. */
static bool find_member(struct log *log, const struct member *member, char path[4096]) {
    for (size_t i = 0; i < log->named_count; i++) {
        snprintf(path, 4096, "%s", log->named[i]);
        if (is_member(log, member, path)) return true;
    }
    DIR *directory = opendir("/dev");
    bool found = false;
    for (struct dirent *entry; directory && !found && (entry = readdir(directory));) {
        snprintf(path, 4096, "/dev/%s", entry->d_name);
        found = !strncmp(entry->d_name, "dax", 3) && is_member(log, member, path);
    }
    if (directory) closedir(directory);
    return found;
}

static int add_device(struct log *log, uint64_t index, struct layout *layout) {
    for (int i = 0; i < layout->device_count; i++)
        if (layout->devices[i].index == index) return 0;
    const struct member *member = &log->tree.members[index];
    struct device *device = &layout->devices[layout->device_count];
    device->index = index;
    memcpy(device->volume, log->volume, 16);
    memcpy(device->uuid, member->uuid, 16);
    if (index == 0) strcpy(device->path, log->memory.path);
    else if (!find_member(log, member, device->path)) return -ENODEV;
    layout->device_count++;
    return 0;
}

int log_layout(struct log *log, const char *path, struct layout *layout) {
    struct node *node;
    int result = find(log, path, &node);
    if (result) return result;
    if (node->is_directory) result = -EISDIR;
    else if (node->size == 0) result = -EINVAL;
    else if (log->may_remove || log->tree.has_removed) result = -EOPNOTSUPP;
    layout->size = node->size;
    layout->chunk = node->chunk;
    layout->extent_count = node->run_count;
    layout->device_count = 0;
    for (int i = 0; result == 0 && i < node->run_count; i++) {
        layout->extents[i] = node->runs[i].extent;
        result = add_device(log, node->runs[i].extent.device, layout);
    }
    pthread_mutex_unlock(&log->lock);
    return result;
}
