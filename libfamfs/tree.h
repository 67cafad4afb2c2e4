/* What the entries of a log add up to: names, and what space they use. Which entries count is docs/SPEC-famfs.md's to
 * say ("Reading"); what they hold is another host's, and nothing of it is believed unseen. */
#ifndef FAMFS_TREE_H
#define FAMFS_TREE_H

#include <sys/types.h>
#include <time.h>

#include "layout.h"

enum { ENTRY_SIZE = 544, PATH_SIZE = 80, MOST_DEVICES = 24 };

struct run {
    struct extent extent;
    struct node *owner;
};

struct node {
    char path[PATH_SIZE]; /* from the root, without a slash in front; the root's is empty */
    size_t name;          /* where in the path its name begins */
    uint64_t index;       /* of the entry that made it */
    bool is_directory, is_gone, is_shared; /* shared: another file has its extents too */
    mode_t mode;
    struct timespec modified; /* where an entry says it, else 0 */
    uid_t owner;
    gid_t group;
    uint64_t size, chunk; /* bytes */
    uint64_t children, directories;
    struct node *parent, *first, *last, *next; /* in the order of the log, what is gone too */
    struct node *made_before;
    int run_count;
    struct run runs[];
};

/* One of the devices; number 0 has the log. */
struct member {
    uint64_t size;
    unsigned char uuid[16];
};

struct tree {
    uint64_t unit, data; /* bytes: the allocation unit, and where data begins on device 0 */
    int member_count;
    struct member members[MOST_DEVICES];
    struct node *root, *made;
    void *names, *space; /* trees of tsearch(3): by path, and by place */
    bool has_removed;    /* a file */
};

/* ENOMEM. Then, and afterwards, it can be freed. */
int tree_make(struct tree *tree, uint64_t unit, uint64_t data, struct member first);
void tree_free(struct tree *tree);

/* Whether the bytes of slot `index` are what somebody wrote there. */
bool entry_is_whole(const unsigned char *entry, uint64_t index);

/* Takes in the next entry, which is whole, or nothing when it is bad. ENOMEM: the tree is of no use any more. */
int tree_play(struct tree *tree, const unsigned char *entry);

/* The node at a path, relative to the root. ENOENT, ENOTDIR. */
int tree_find(const struct tree *tree, const char *path, struct node **found);

#endif
