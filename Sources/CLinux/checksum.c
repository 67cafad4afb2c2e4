#include "CLinux.h"

#include <string.h>

// CRC-32C (Castagnoli, reflected 82F63B78h) in the form that ext4 uses: the seed is the register as it is, and nothing
// is inverted at the end.

static uint32_t by_table(uint32_t crc, const uint8_t *at, size_t count) {
    // The register after four more zero bits, for each value of its low four bits.
    static const uint32_t nibble[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    while (count--) {
        crc ^= *at++;
        crc = crc >> 4 ^ nibble[crc & 15];
        crc = crc >> 4 ^ nibble[crc & 15];
    }
    return crc;
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *at, size_t count) {
    uint64_t wide = crc;
    for (; count >= 8; at += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    while (count--) crc = _mm_crc32_u8(crc, *at++);
    return crc;
}

static bool has_instruction(void) {
    unsigned a, b, c = 0, d;
    return __get_cpuid(1, &a, &b, &c, &d) && c & bit_SSE4_2;
}

#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>

#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif

__attribute__((target("crc"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *at, size_t count) {
    for (; count >= 8; at += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        crc = __crc32cd(crc, word);
    }
    while (count--) crc = __crc32cb(crc, *at++);
    return crc;
}

static bool has_instruction(void) { return getauxval(AT_HWCAP) & HWCAP_CRC32; }

#else
static uint32_t by_instruction(uint32_t crc, const uint8_t *at, size_t count) { return by_table(crc, at, count); }
static bool has_instruction(void) { return false; }
#endif

uint32_t weft_crc32c(uint32_t seed, const void *bytes, size_t count) {
    enum { UNKNOWN, TABLE, INSTRUCTION };
    static int found;  // the same answer whichever thread comes first
    int known = __atomic_load_n(&found, __ATOMIC_RELAXED);
    if (known == UNKNOWN) {
        known = has_instruction() ? INSTRUCTION : TABLE;
        __atomic_store_n(&found, known, __ATOMIC_RELAXED);
    }
    return known == INSTRUCTION ? by_instruction(seed, bytes, count) : by_table(seed, bytes, count);
}

uint32_t weft_crc32c_by_table(uint32_t seed, const void *bytes, size_t count) { return by_table(seed, bytes, count); }
