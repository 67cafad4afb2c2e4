#define _GNU_SOURCE
#include "mounts.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "text.h"

enum { RECORD = 1024, PLACE = 256, KNOWN = 32 };

/* --- The mount table ---------------------------------------------------------------------------------------------- */

static bool device_in(const char *word, dev_t *device) {
    uint64_t a, b;
    if (!number_at(&word, 10, &a) || *word++ != ':' || !number_at(&word, 10, &b)) return false;
    *device = makedev((unsigned)a, (unsigned)b);
    return a <= UINT32_MAX && b <= UINT32_MAX;
}

/* The user in a list of options, which the kernel wrote. */
static bool user_in(const char *options, uid_t *user) {
    const char *place = strstr(options, ",user_id=");
    uint64_t number;
    if (!place || (place += 9, !number_at(&place, 10, &number)) || number > UINT32_MAX) return false;
    *user = (uid_t)number;
    return *place == ',' || (*place == 0 && strlen(options) < WORD - 1);
}

/* One line of mountinfo: whether it is of a famfs, and whose. */
struct mount_line {
    dev_t device;
    bool is_famfs;
    uid_t user;
};

static bool next_mount(struct text *text, struct mount_line *line) {
    char word[WORD];
    int end = ' ', separator = 0;
    *line = (struct mount_line){0};
    for (int field = 0; end == ' '; field++) {
        end = next_word(text, word);
        if (end == EOF) return false;
        if (field == 2 && !device_in(word, &line->device)) line->device = 0;
        /* Fields that need not be there stand before a dash. */
        if (field >= 6 && !separator && !strcmp(word, "-")) separator = field;
        if (separator && field == separator + 1) line->is_famfs = !strcmp(word, "fuse.famfs");
        if (separator && field == separator + 3) line->is_famfs = line->is_famfs && user_in(word, &line->user);
        if (end != ' ' && (!separator || field < separator + 3)) line->is_famfs = false;
    }
    return true;
}

/* Whether a famfs of this number is mounted, and by a user who is believed: 0 or 1, or -1 when the table cannot be read. */
static int owner_of(dev_t device, uid_t *owner) {
    struct text text;
    struct mount_line line;
    bool found = false;
    if (!open_text(&text, "/proc/self/mountinfo")) return -1;
    while (!found && next_mount(&text, &line)) found = line.is_famfs && line.device == device;
    close_text(&text);
    *owner = line.user;
    return found && (line.user == 0 || line.user == geteuid());
}

/* --- Records ------------------------------------------------------------------------------------------------------ */

struct record {
    dev_t mount;
    uint64_t since;
    char device[64]; /* as the line says */
};

/* The rest of the line that begins with a word, or false. */
static bool line_of(const char *text, const char *word, char *rest, size_t size) {
    size_t length = strlen(word);
    for (const char *line = text; *line; line = strchrnul(line, '\n'), line += *line == '\n') {
        if (strncmp(line, word, length) || line[length] != ' ') continue;
        const char *start = line + length + 1;
        size_t count = strcspn(start, "\n");
        if (count >= size) return false;
        memcpy(rest, start, count);
        rest[count] = 0;
        return true;
    }
    return false;
}

static bool parse_record(const char *text, struct record *record) {
    char word[64];
    const char *place = word;
    return line_of(text, "famfs", word, sizeof word) && !strcmp(word, "mount 1") &&
           line_of(text, "mount", word, sizeof word) && device_in(word, &record->mount) &&
           line_of(text, "since", word, sizeof word) && number_at(&place, 10, &record->since) &&
           line_of(text, "device", record->device, sizeof record->device);
}

/* Whether only this user can have made or changed it. */
static bool is_own(int file, mode_t type, uid_t user) {
    struct stat status;
    return fstat(file, &status) == 0 && (status.st_mode & S_IFMT) == type && status.st_uid == user && !(status.st_mode & 022);
}

/* Reads the record of a daemon that lives: it holds the record locked. */
static bool read_record(int directory, const char *name, uid_t user, struct record *record) {
    int file = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) return false;
    char text[RECORD];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    bool lives = is_own(file, S_IFREG, user) && fcntl(file, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    ssize_t length = lives ? pread(file, text, sizeof text - 1, 0) : -1;
    close(file);
    if (length < 0) return false;
    text[length] = 0;
    return parse_record(text, record);
}

static bool is_record(const char *name) {
    size_t length = strlen(name);
    return length > 7 && !strncmp(name, "mount-", 6) && !strcmp(name + length - 7, ".record");
}

/* As getdents64(2) writes it. */
struct entry {
    uint64_t inode, next;
    unsigned short length;
    unsigned char type;
    char name[];
};

/* Of the records in a directory the last that has the mount, or else the device. */
static void search(const char *path, uid_t user, dev_t mount, const char *device, struct record *best) {
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (directory < 0) return;
    _Alignas(8) char entries[2048];
    long count = 0;
    if (is_own(directory, S_IFDIR, user)) count = syscall(SYS_getdents64, directory, entries, sizeof entries);
    while (count > 0) {
        for (long at = 0; at < count;) {
            const struct entry *entry = (const struct entry *)(entries + at);
            at += entry->length;
            struct record record;
            if (!is_record(entry->name) || !read_record(directory, entry->name, user, &record)) continue;
            bool fits = device ? !strcmp(record.device, device) : record.mount == mount;
            if (fits && record.since >= best->since) *best = record;
        }
        count = syscall(SYS_getdents64, directory, entries, sizeof entries);
    }
    close(directory);
}

/* Finds the record of a mount, or else of a device, of a user's daemons that live. */
static bool find(uid_t user, dev_t mount, const char *device, struct record *found) {
    *found = (struct record){0};
    if (user == 0) {
        search("/run/famfs", 0, mount, device, found);
    } else {
        const char *own = getenv("XDG_RUNTIME_DIR");
        char path[PLACE];
        const char *bases[] = {own && *own == '/' ? own : NULL, "/tmp"};
        for (int i = 0; i < 2; i++) {
            int length = bases[i] ? snprintf(path, sizeof path, "%s/famfs-%u", bases[i], user) : 0;
            if (length > 0 && (size_t)length < sizeof path) search(path, user, mount, device, found);
        }
        snprintf(path, sizeof path, "/run/user/%u/famfs-%u", user, user);
        search(path, user, mount, device, found);
    }
    return found->since > 0;
}

bool mount_of_device(const struct stat *status, dev_t *mount) {
    char device[64];
    if (S_ISREG(status->st_mode)) {
        snprintf(device, sizeof device, "file %llu %llu", (unsigned long long)status->st_dev, (unsigned long long)status->st_ino);
    } else if (S_ISCHR(status->st_mode) || S_ISBLK(status->st_mode)) {
        const char *kind = S_ISCHR(status->st_mode) ? "char" : "block";
        snprintf(device, sizeof device, "%s %llu", kind, (unsigned long long)status->st_rdev);
    } else {
        return false;
    }
    uid_t users[] = {0, geteuid()}, owner;
    for (int i = 0; i < (users[1] ? 2 : 1); i++) {
        struct record found;
        if (!find(users[i], 0, device, &found) || owner_of(found.mount, &owner) != 1 || owner != users[i]) continue;
        *mount = found.mount;
        return true;
    }
    return false;
}

/* --- Files -------------------------------------------------------------------------------------------------------- */

/* What was found of mounts: a number that the kernel gives once, and in bit 0 whether the mount is believed. One word each, so
 * no reader sees a half. All of one user: another may believe others. */
static uint64_t known[KNOWN];
static unsigned next_known;
static uint64_t known_user; /* and one more; 0 before the first */

static bool may_remember(void) {
    uint64_t user = (uint64_t)geteuid() + 1, none = 0;
    return __atomic_compare_exchange_n(&known_user, &none, user, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED) || none == user;
}

static void remember(uint64_t number, bool is_believed) {
    if (!number || number >> 63) return;
    unsigned place = __atomic_fetch_add(&next_known, 1, __ATOMIC_RELAXED) % KNOWN;
    __atomic_store_n(&known[place], number << 1 | is_believed, __ATOMIC_RELAXED);
}

/* The device number of an open file, and the number of its mount that is never used again; 0 where there is none. No request
 * goes to a daemon. */
static bool look_at(int file, dev_t *device, uint64_t *number) {
    const unsigned unique = 0x4000; /* STATX_MNT_ID_UNIQUE */
    struct statx about;
    *number = 0;
    if (statx(file, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, unique, &about) == 0) {
        *device = makedev(about.stx_dev_major, about.stx_dev_minor);
        if (about.stx_mask & unique) *number = about.stx_mnt_id;
        return true;
    }
    struct stat status;
    if (fstat(file, &status)) return false;
    *device = status.st_dev;
    return true;
}

bool mount_is_believed(int file) {
    dev_t device;
    uint64_t number;
    if (!look_at(file, &device, &number) || major(device) != 0) return false;
    bool remembers = number && may_remember();
    for (int i = 0; remembers && i < KNOWN; i++) {
        uint64_t one = __atomic_load_n(&known[i], __ATOMIC_RELAXED);
        if (one >> 1 == number) return one & 1;
    }
    struct statfs system;
    /* Kernels that give no such number have each file looked at. */
    if (!number && (fstatfs(file, &system) || system.f_type != 0x65735546)) return false; /* FUSE */
    uid_t owner;
    struct record found;
    int is_famfs = owner_of(device, &owner);
    bool result = is_famfs == 1 && find(owner, device, NULL, &found);
    /* A daemon that was not found may be found later: perhaps no file could be opened. */
    if (remembers && (result || is_famfs == 0)) remember(number, result);
    return result;
}
