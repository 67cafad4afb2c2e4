/* Sets a word of a mapped file, or waits for it: between the two machines there is the memory and nothing else.
 * Prints what the kernel says of the mapping. usage: word set|wait FILE OFFSET VALUE */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What the kernel says of the mapping at an address: where it leads, its resident pages, its flags. */
static void tell(const void *place) {
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[4096];
    unsigned long from, to;
    int here = 0, end;
    while (maps && fgets(line, sizeof line, maps)) {
        end = 0;
        if (sscanf(line, "%lx-%lx %*s%n", &from, &to, &end) == 2 && end) {
            here = from <= (uintptr_t)place && (uintptr_t)place < to;
            if (here) fputs(line, stdout);
        } else if (here && (!strncmp(line, "Rss:", 4) || !strncmp(line, "VmFlags:", 8)))
            fputs(line, stdout);
    }
    fflush(stdout);
}

int main(int count, char **words) {
    if (count != 5) return 2;
    int sets = !strcmp(words[1], "set");
    int file = open(words[2], sets ? O_RDWR : O_RDONLY);
    size_t offset = strtoul(words[3], NULL, 0);
    uint64_t value = strtoul(words[4], NULL, 0);
    char *start = mmap(NULL, 2 << 20, PROT_READ | (sets ? PROT_WRITE : 0), MAP_SHARED, file, 0);
    if (start == MAP_FAILED) {
        perror(words[2]);
        return 1;
    }
    volatile uint64_t *word = (volatile uint64_t *)(start + offset);
    uint64_t before = *word;
    tell(start);
    if (sets) {
        *word = value;
        if (msync(start, 2 << 20, MS_SYNC) == 0 && munmap(start, 2 << 20) == 0) return 0;
        perror(words[2]);
        return 1;
    }
    if (before == value) {
        puts("it was there before");
        return 1;
    }
    puts("waits");
    fflush(stdout);
    while (*word != value) {}
    puts("seen");
    return 0;
}
