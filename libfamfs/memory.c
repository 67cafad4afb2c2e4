#define _GNU_SOURCE
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../Sources/CLinux/include/CLinux.h"
#include "layout.h"

static const uint64_t large_page = 2 << 20;

/* The size of a dax device, by sysfs; other character devices have none. */
static int dax_size(dev_t device, uint64_t *size) {
    char folder[64], place[128], real[4096];
    snprintf(folder, sizeof folder, "/sys/dev/char/%u:%u", major(device), minor(device));
    snprintf(place, sizeof place, "%s/subsystem", folder);
    size_t length = realpath(place, real) ? strlen(real) : 0;
    if (length < 4 || strcmp(real + length - 4, "/dax")) return -ENODEV;
    snprintf(place, sizeof place, "%s/size", folder);
    FILE *file = fopen(place, "re");
    if (!file) return -errno;
    unsigned long long found;
    int result = fscanf(file, "%llu", &found) == 1 ? 0 : -ENODEV;
    fclose(file);
    if (result == 0) *size = found;
    return result;
}

int memory_open(const char *path, struct memory *memory) {
    *memory = (struct memory){.file = -1};
    struct stat status;
    /* Before it is opened, which means something to some devices. */
    if (!realpath(path, memory->path) || stat(memory->path, &status)) return -errno;
    bool is_file = S_ISREG(status.st_mode);
    int result = is_file ? 0 : S_ISCHR(status.st_mode) ? dax_size(status.st_rdev, &memory->size) : -ENODEV;
    if (result) return result;
    memory->file = open(memory->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (memory->file < 0) return -errno;
    dev_t device = status.st_rdev;
    if (fstat(memory->file, &status)) result = -errno;
    else if (is_file ? !S_ISREG(status.st_mode) : !S_ISCHR(status.st_mode) || status.st_rdev != device) result = -ENODEV;
    else if (is_file) memory->size = (uint64_t)status.st_size;
    memory->is_dax = !is_file;
    if (result) memory_close(memory);
    return result;
}

void memory_close(struct memory *memory) {
    if (memory->start) kernel_munmap(memory->start, memory->mapped);
    if (memory->file >= 0) close(memory->file);
    *memory = (struct memory){.file = -1};
}

/* By the kernel, through a pipe: from memory that fails it copies nothing and says so, where a load would be a signal. */
static int copy(const int pipe[2], const unsigned char *from, unsigned char *to, size_t count) {
    while (count > 0) {
        ssize_t piece = write(pipe[1], from, count < 4096 ? count : 4096);
        if (piece <= 0 || read(pipe[0], to, (size_t)piece) != piece) return -EIO;
        from += piece, to += piece, count -= (size_t)piece;
    }
    return 0;
}

static int read_mapped(struct memory *memory, uint64_t offset, void *bytes, size_t count) {
    if (offset + count > memory->mapped) {
        size_t length = (size_t)((offset + count + large_page - 1) / large_page * large_page);
        if (length > memory->size) return -ENXIO;
        void *start = kernel_mmap(NULL, length, PROT_READ, MAP_SHARED, memory->file, 0);
        if (start == MAP_FAILED) return -errno;
        if (memory->start) kernel_munmap(memory->start, memory->mapped);
        memory->start = start;
        memory->mapped = length;
    }
    int pipe[2]; /* this call's own: one that is kept would be shared with a child of fork */
    if (pipe2(pipe, O_CLOEXEC | O_NONBLOCK)) return -errno;
    /* Once to see that it can be read, for what cannot must not be invalidated either. */
    int result = copy(pipe, memory->start + offset, bytes, count);
    if (result == 0) {
        weft_invalidate(memory->start + offset, count);
        result = copy(pipe, memory->start + offset, bytes, count);
    }
    close(pipe[0]);
    close(pipe[1]);
    return result;
}

int memory_read(struct memory *memory, uint64_t offset, void *bytes, size_t count) {
    if (offset > memory->size || count > memory->size - offset) return -ENXIO;
    if (memory->is_dax) return read_mapped(memory, offset, bytes, count);
    for (size_t done = 0; done < count;) {
        ssize_t piece = pread(memory->file, (char *)bytes + done, count - done, (off_t)(offset + done));
        if (piece < 0 && errno == EINTR) continue;
        if (piece <= 0) return -EIO;
        done += (size_t)piece;
    }
    return 0;
}
