/* What one core of this machine can do at most with operands in registers. Each function does `n` turns and
   returns the multiply-accumulates of a turn; 0 where the CPU has no such instruction. */
#include <immintrin.h>

#define KEEP(v) __asm__ volatile("" : "+v"(v))

/* 5 × 4 tile of xor, vpopcntd, vpaddd: as many independent sums as 32 registers hold. */
__attribute__((target("avx512f,avx512vpopcntdq"))) long limit_binary(long n) {
  if (!__builtin_cpu_supports("avx512vpopcntdq")) return 0;
  __m512i a[5], w[4], sum[20];
#pragma GCC unroll 5
  for (int i = 0; i < 5; i++) a[i] = _mm512_set1_epi32(i + 3);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    w[i] = _mm512_set1_epi32(77 * i);
    KEEP(w[i]);  /* not a constant that an xor could be saved for */
  }
#pragma GCC unroll 20
  for (int i = 0; i < 20; i++) sum[i] = _mm512_setzero_si512();
  for (long t = 0; t < n; t++) {
#pragma GCC unroll 5
    for (int i = 0; i < 5; i++) KEEP(a[i]);
#pragma GCC unroll 20
    for (int k = 0; k < 20; k++)
      sum[k] = _mm512_add_epi32(sum[k], _mm512_popcnt_epi32(_mm512_xor_si512(a[k / 4], w[k % 4])));
  }
#pragma GCC unroll 20
  for (int k = 0; k < 20; k++) KEEP(sum[k]);
  return 20L * 512;
}

__attribute__((target("avx512f"))) long limit_fp32(long n) {
  if (!__builtin_cpu_supports("avx512f")) return 0;
  __m512 a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.25f), sum[20];
#pragma GCC unroll 20
  for (int i = 0; i < 20; i++) sum[i] = _mm512_setzero_ps();
  for (long t = 0; t < n; t++) {
#pragma GCC unroll 20
    for (int k = 0; k < 20; k++) {
      sum[k] = _mm512_fmadd_ps(a, b, sum[k]);
      KEEP(sum[k]);
    }
  }
  return 20L * 16;
}

__attribute__((target("avx512f,avx512vnni"))) long limit_int8(long n) {
  if (!__builtin_cpu_supports("avx512vnni")) return 0;
  __m512i a = _mm512_set1_epi32(0x01020304), b = _mm512_set1_epi32(0x01020301), sum[20];
#pragma GCC unroll 20
  for (int i = 0; i < 20; i++) sum[i] = _mm512_setzero_si512();
  for (long t = 0; t < n; t++) {
#pragma GCC unroll 20
    for (int k = 0; k < 20; k++) {
      sum[k] = _mm512_dpbusd_epi32(sum[k], a, b);
      KEEP(sum[k]);
    }
  }
  return 20L * 64;
}

__attribute__((target("avx2,fma"))) long limit_fp32_avx2(long n) {
  if (!__builtin_cpu_supports("fma")) return 0;
  __m256 a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.25f), sum[12];
#pragma GCC unroll 12
  for (int i = 0; i < 12; i++) sum[i] = _mm256_setzero_ps();
  for (long t = 0; t < n; t++) {
#pragma GCC unroll 12
    for (int k = 0; k < 12; k++) {
      sum[k] = _mm256_fmadd_ps(a, b, sum[k]);
      KEEP(sum[k]);
    }
  }
  return 12L * 8;
}

/* xor and a popcount of each byte by two table look-ups: the usual way without VPOPCNTDQ. */
__attribute__((target("avx2"))) long limit_lookup_avx2(long n) {
  if (!__builtin_cpu_supports("avx2")) return 0;
  __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  __m256i low = _mm256_set1_epi8(15), a = _mm256_set1_epi8(9), w[4], sum[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    sum[i] = _mm256_setzero_si256(), w[i] = _mm256_set1_epi8(7 * i);
    KEEP(w[i]);
  }
  for (long t = 0; t < n; t++) {
    KEEP(a);
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
      __m256i x = _mm256_xor_si256(a, w[k]);
      __m256i high = _mm256_and_si256(_mm256_srli_epi16(x, 4), low);
      sum[k] = _mm256_add_epi8(sum[k], _mm256_shuffle_epi8(table, _mm256_and_si256(x, low)));
      sum[k] = _mm256_add_epi8(sum[k], _mm256_shuffle_epi8(table, high));
    }
  }
#pragma GCC unroll 4
  for (int k = 0; k < 4; k++) KEEP(sum[k]);
  return 4L * 256;
}
