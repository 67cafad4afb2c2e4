/* Shows what libfamfs says of a volume, and does as it is told on standard input:
 *   open          opens it
 *   list          a line for each file and directory, by its path in hexadecimal: kind, mode, owner, group, size, and what
 *                 mapping it gave, with the CRC of what is there
 *   put AT HEX    writes bytes into the device, behind the library's back
 *   close
 * usage: lister DEVICE-OR-MOUNT... */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "famfs.h"

static famfs_volume *volume;

static void show_path(const char *path) {
    for (; *path; path++) printf("%02x", (unsigned char)*path);
}

/* Nanoseconds since 1970, as near as 64 bits come. */
static long long nanoseconds(const struct timespec *time) {
    __int128 all = (__int128)time->tv_sec * 1000000000 + time->tv_nsec;
    return all < INT64_MIN ? INT64_MIN : all > INT64_MAX ? INT64_MAX : (long long)all;
}

static void show(const char *path) {
    struct stat status;
    struct famfs_mapping mapping;
    show_path(path);
    int result = famfs_stat(volume, path, &status);
    if (result) {
        printf(" %d\n", result);
        return;
    }
    printf(" %s %o %u %u", S_ISDIR(status.st_mode) ? "dir" : "file", status.st_mode & 07777, status.st_uid, status.st_gid);
    if (S_ISREG(status.st_mode)) {
        result = famfs_map(volume, path, 0, &mapping);
        printf(" %llu %lld %d", (unsigned long long)status.st_size, nanoseconds(&status.st_mtim), result);
        if (result >= 0) {
            printf(" %08lx", crc32(0, mapping.address, (uInt)mapping.length));
            if (famfs_flush(mapping.address, mapping.length)) printf(" not flushed");
            if (famfs_unmap(&mapping)) printf(" not unmapped");
        }
    }
    putchar('\n');
}

static void list(const char *path);

static int visit(const char *name, void *directory) {
    char path[4096];
    struct stat status;
    snprintf(path, sizeof path, "%s%s%s", (char *)directory, *(char *)directory ? "/" : "", name);
    if (!strcmp(path, ".meta")) return 0;
    show(path);
    if (famfs_stat(volume, path, &status) == 0 && S_ISDIR(status.st_mode)) list(path);
    return 0;
}

static void list(const char *path) {
    int result = famfs_list(volume, path, visit, (void *)path);
    if (result) printf("list %d\n", result);
}

static void put(const char *device, const char *line) {
    unsigned char bytes[4096];
    char *rest;
    size_t count = 0;
    off_t at = (off_t)strtoull(line, &rest, 10);
    for (rest++; count < sizeof bytes && sscanf(rest, "%2hhx", &bytes[count]) == 1; rest += 2) count++;
    int file = open(device, O_WRONLY);
    if (file < 0 || pwrite(file, bytes, count, at) != (ssize_t)count) {
        perror(device);
        exit(1);
    }
    close(file);
}

int main(int count, char **words) {
    char line[16384];
    if (count < 2) return 2;
    while (fgets(line, sizeof line, stdin)) {
        if (!strncmp(line, "put ", 4)) put(words[1], line + 4);
        else if (!strcmp(line, "open\n")) printf("open %d\n", famfs_open_devices((const char *const *)words + 1, (size_t)count - 1, &volume));
        else if (!strcmp(line, "list\n") && volume) list("");
        else if (!strcmp(line, "close\n")) {
            famfs_close(volume);
            volume = NULL;
        }
        if (!strcmp(line, "list\n")) puts("end");
    }
    return 0;
}
