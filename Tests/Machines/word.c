/* Sets a word of a mapped file, or waits for it: between the two machines there is the memory and nothing else.
 * usage: word set|wait FILE OFFSET VALUE */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What the kernel says is mapped at an address. */
static void tell(const void *place) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[4096];
    unsigned long from, to;
    while (maps && fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from <= (uintptr_t)place && (uintptr_t)place < to) fputs(line, stdout);
    fflush(stdout);
}

int main(int count, char **words) {
    if (count != 5) return 2;
    int file = open(words[2], O_RDWR);
    size_t offset = strtoul(words[3], NULL, 0);
    uint64_t value = strtoul(words[4], NULL, 0);
    char *start = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (start == MAP_FAILED) {
        perror(words[2]);
        return 1;
    }
    volatile uint64_t *word = (volatile uint64_t *)(start + offset);
    tell(start);
    if (!strcmp(words[1], "set")) {
        *word = value;
        return 0;
    }
    while (*word != value) {}
    puts("seen");
    return 0;
}
