/* Reads a file that it has mapped, and prints in one line: seconds to the first byte; seconds, of the clock and of CPU time,
 * for all bytes in sequence; page faults meanwhile; and the same seconds for 4 Mi random loads. CPU time says on a busy
 * machine what the clock says on a quiet one, where nobody else works for the program.
 *
 * usage: mapped file FILE                  by mmap(2): the plain mount's page cache, or under famfs exec the memory itself
 *        mapped library VOLUME FILE        by libfamfs; VOLUME is a mount point, or a device that is not mounted
 *        mapped raw DEVICE OFFSET LENGTH   by mmap(2) of the device, aligned for pages of 2 MiB
 *        mapped memory LENGTH              memory of this process, written before */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "famfs.h"

enum { PIECE = 1 << 20, LOADS = 4 << 20, LARGE_PAGE = 2 << 20 };

static double seconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

struct times {
    double clock, cpu;
};

static struct times now(void) { return (struct times){seconds(CLOCK_MONOTONIC), seconds(CLOCK_PROCESS_CPUTIME_ID)}; }

static struct times since(struct times start) {
    struct times end = now();
    return (struct times){end.clock - start.clock, end.cpu - start.cpu};
}

static long faults(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

static void fail(const char *what, int error) {
    fprintf(stderr, "mapped: %s: %s\n", what, strerror(error));
    exit(1);
}

static struct famfs_mapping map_part(const char *path, off_t offset, size_t length, void *place) {
    int file = open(path, O_RDONLY);
    struct stat status;
    if (file < 0 || fstat(file, &status)) fail(path, errno);
    if (length == 0) length = (size_t)status.st_size;
    void *start = mmap(place, length, PROT_READ, MAP_SHARED | (place ? MAP_FIXED : 0), file, offset);
    if (start == MAP_FAILED) fail(path, errno);
    return (struct famfs_mapping){start, length};
}

/* Where pages of 2 MiB can be used, if the device has them. */
static struct famfs_mapping map_device(const char *path, off_t offset, size_t length) {
    char *room = mmap(NULL, length + LARGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) fail("memory", errno);
    return map_part(path, offset, length, room + ((size_t)offset - (uintptr_t)room) % LARGE_PAGE);
}

static struct famfs_mapping map_by_library(const char *place, const char *path) {
    famfs_volume *volume;
    struct famfs_mapping mapping = {NULL, 0};
    int result = famfs_open(place, &volume);
    if (result == 0) result = famfs_map(volume, path, FAMFS_DIRECT, &mapping);
    if (result < 0) fail(path, -result);
    return mapping;
}

static struct famfs_mapping make_memory(size_t length) {
    void *start = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) fail("memory", errno);
    madvise(start, length, MADV_HUGEPAGE);
    memset(start, 7, length);
    return (struct famfs_mapping){start, length};
}

static struct famfs_mapping map(int count, char **words) {
    if (count == 3 && !strcmp(words[1], "file")) return map_part(words[2], 0, 0, NULL);
    if (count == 4 && !strcmp(words[1], "library")) return map_by_library(words[2], words[3]);
    if (count == 5 && !strcmp(words[1], "raw")) return map_device(words[2], strtoll(words[3], NULL, 0), strtoull(words[4], NULL, 0));
    if (count == 3 && !strcmp(words[1], "memory")) return make_memory(strtoull(words[2], NULL, 0));
    fprintf(stderr, "usage: mapped file FILE | library VOLUME FILE | raw DEVICE OFFSET LENGTH | memory LENGTH\n");
    exit(2);
}

int main(int count, char **words) {
    static unsigned char piece[PIECE];
    volatile unsigned char first;
    memset(piece, 1, sizeof piece);  // its own page faults are not counted
    struct times start = now();
    struct famfs_mapping mapping = map(count, words);
    const unsigned char *bytes = mapping.address;
    first = bytes[0];
    struct times to_first = since(start);

    long before = faults();
    start = now();
    for (size_t done = 0; done + PIECE <= mapping.length; done += PIECE) {
        memcpy(piece, bytes + done, PIECE);
        __asm__ volatile("" ::"r"(piece) : "memory");
    }
    struct times in_sequence = since(start);
    long met = faults() - before;

    uint64_t random = 88172645463325252, sum = first;
    start = now();
    for (int i = 0; i < LOADS; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        uint64_t word;
        memcpy(&word, bytes + random % (mapping.length / 8) * 8, 8);
        sum += word;
    }
    struct times at_random = since(start);
    __asm__ volatile("" ::"r"(sum));
    printf("%.7f %.4f %.4f %ld %.4f %.4f\n", to_first.clock, in_sequence.clock, in_sequence.cpu, met, at_random.clock,
           at_random.cpu);
    return 0;
}
