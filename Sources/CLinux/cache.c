#include "CLinux.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <emmintrin.h>

enum method { CLFLUSH = 1, CLFLUSHOPT, CLWB };

static enum method method(void) {
    static enum method found;  // the same answer whichever thread comes first
    enum method known = __atomic_load_n(&found, __ATOMIC_RELAXED);
    if (known) return known;
    unsigned a, b = 0, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) b = 0;
    known = b & (1u << 24) ? CLWB : b & (1u << 23) ? CLFLUSHOPT : CLFLUSH;
    __atomic_store_n(&found, known, __ATOMIC_RELAXED);
    return known;
}

const char *weft_write_back_name(void) {
    enum method m = method();
    return m == CLWB ? "clwb" : m == CLFLUSHOPT ? "clflushopt" : "clflush";
}

enum { LINE = 64 };  // CLFLUSH line size: 64 on every x86-64 CPU made

static uintptr_t first_line(const void *start) { return (uintptr_t)start & ~(uintptr_t)(LINE - 1); }

__attribute__((target("clwb"))) static void lines_clwb(uintptr_t p, uintptr_t end) {
    for (; p < end; p += LINE) __builtin_ia32_clwb((void *)p);
}
__attribute__((target("clflushopt"))) static void lines_clflushopt(uintptr_t p, uintptr_t end) {
    for (; p < end; p += LINE) __builtin_ia32_clflushopt((void *)p);
}
static void lines_clflush(uintptr_t p, uintptr_t end) {
    for (; p < end; p += LINE) _mm_clflush((const void *)p);
}

void weft_write_back(const void *start, size_t count) {
    uintptr_t end = (uintptr_t)start + count;
    switch (method()) {
        case CLWB: lines_clwb(first_line(start), end); break;
        case CLFLUSHOPT: lines_clflushopt(first_line(start), end); break;
        case CLFLUSH: lines_clflush(first_line(start), end); break;
    }
}

void weft_invalidate(const void *start, size_t count) {
    uintptr_t end = (uintptr_t)start + count;
    _mm_mfence();
    if (method() == CLFLUSH) lines_clflush(first_line(start), end);
    else lines_clflushopt(first_line(start), end);
    _mm_mfence();
}

void weft_fence(void) { _mm_sfence(); }

void weft_stream(void *to, const void *from, size_t count) {
    char *d = to;
    const char *s = from;
    size_t head = -(uintptr_t)d & (LINE - 1);
    if (head > count) head = count;
    if (head) {
        memcpy(d, s, head);
        weft_write_back(d, head);
        d += head, s += head, count -= head;
    }
    for (; count >= LINE; d += LINE, s += LINE, count -= LINE) {
        __m128i w0 = _mm_loadu_si128((const __m128i *)s);
        __m128i w1 = _mm_loadu_si128((const __m128i *)(s + 16));
        __m128i w2 = _mm_loadu_si128((const __m128i *)(s + 32));
        __m128i w3 = _mm_loadu_si128((const __m128i *)(s + 48));
        _mm_stream_si128((__m128i *)d, w0);
        _mm_stream_si128((__m128i *)(d + 16), w1);
        _mm_stream_si128((__m128i *)(d + 32), w2);
        _mm_stream_si128((__m128i *)(d + 48), w3);
    }
    if (count) {
        memcpy(d, s, count);
        weft_write_back(d, count);
    }
}

#elif defined(__aarch64__)

static size_t line(void) {
    uint64_t ctr;
    __asm__("mrs %0, ctr_el0" : "=r"(ctr));
    return (size_t)4 << ((ctr >> 16) & 15);  // DminLine: log2 of words in the smallest data cache line
}

const char *weft_write_back_name(void) { return "dc cvac"; }

void weft_write_back(const void *start, size_t count) {
    size_t step = line();
    for (uintptr_t p = (uintptr_t)start & ~(step - 1), end = (uintptr_t)start + count; p < end; p += step)
        __asm__ volatile("dc cvac, %0" ::"r"(p) : "memory");
}

void weft_invalidate(const void *start, size_t count) {
    size_t step = line();
    for (uintptr_t p = (uintptr_t)start & ~(step - 1), end = (uintptr_t)start + count; p < end; p += step)
        __asm__ volatile("dc civac, %0" ::"r"(p) : "memory");
    __asm__ volatile("dsb sy" ::: "memory");
}

void weft_fence(void) { __asm__ volatile("dsb sy" ::: "memory"); }

void weft_stream(void *to, const void *from, size_t count) {
    memcpy(to, from, count);
    weft_write_back(to, count);
}

#else  // no instruction known: ordering only, which is all that coherent memory needs

const char *weft_write_back_name(void) { return "none"; }
void weft_write_back(const void *start, size_t count) { (void)start, (void)count; }
void weft_invalidate(const void *start, size_t count) { (void)start, (void)count; weft_fence(); }
void weft_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void weft_stream(void *to, const void *from, size_t count) { memcpy(to, from, count); }

#endif
