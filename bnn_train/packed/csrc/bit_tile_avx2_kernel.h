// The inner loops of the AVX2 tile. To be included after `#pragma GCC target`.
#pragma once
#include <immintrin.h>

#include "bit_tile_avx2_table.h"

namespace bnn {
namespace lut {
namespace {

#define BNN_UNROLL _Pragma("GCC unroll 16")

// Keeps the compiler from reordering a sum of seven into a tree, whose leaves would not fit in the registers.
#define BNN_PIN(v) __asm__("" : "+x"(v))

inline __m256i load(const void* p) { return _mm256_load_si256(static_cast<const __m256i*>(p)); }
inline void store(void* p, __m256i v) { _mm256_store_si256(static_cast<__m256i*>(p), v); }
inline __m256i table(uint16_t offset) {
  return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(kTable.byte + offset)));
}

// Byte sums of r over a block of look-ups: total = Σ s and high = Σ (s >> 4), both modulo 256 in each byte; s >> 4 is
// shifted in 16 bits, so the neighbour's low half falls into the upper half of the even bytes (`split` undoes that).
template <int N>
struct Sums {
  __m256i total[N], high[N];
};

template <int N>
inline void fold(Sums<N>& sums, const __m256i (&s)[N]) {
  BNN_UNROLL for (int i = 0; i < N; ++i) {
    sums.total[i] = _mm256_add_epi8(sums.total[i], s[i]);
    sums.high[i] = _mm256_add_epi8(sums.high[i], _mm256_srli_epi16(s[i], 4));
  }
}

// `index`: count × O vectors of weight nibbles; offset[p]: where the tables of pair p's nibbles begin, in bytes.
template <int P, int O>
inline void look_up(const uint8_t* index, const uint16_t* const (&offset)[P], int j, int count, Sums<P * O>& sums) {
  __m256i s[P * O];
  BNN_UNROLL for (int i = 0; i < P * O; ++i) s[i] = _mm256_setzero_si256();
  for (int k = 0; k < count; ++k, ++j) {
    __m256i w[O];
    BNN_UNROLL for (int o = 0; o < O; ++o) w[o] = load(index + (j * O + o) * kLanes);
    BNN_UNROLL for (int p = 0; p < P; ++p) {
      const __m256i t = table(offset[p][j]);
      BNN_UNROLL for (int o = 0; o < O; ++o)
        s[p * O + o] = _mm256_add_epi8(s[p * O + o], _mm256_shuffle_epi8(t, w[o]));
    }
  }
  fold(sums, s);
}

template <int P, int O>
inline void block_sums(const uint8_t* index, const uint16_t* const (&offset)[P], int count, Sums<P * O>& sums) {
  BNN_UNROLL for (int i = 0; i < P * O; ++i) sums.total[i] = sums.high[i] = _mm256_setzero_si256();
  int j = 0;
  for (; j + kStep <= count; j += kStep) {
    __m256i s[P * O];
    BNN_UNROLL for (int k = 0; k < kStep; ++k) {
      __m256i w[O];
      BNN_UNROLL for (int o = 0; o < O; ++o) w[o] = load(index + ((j + k) * O + o) * kLanes);
#ifdef PINW
      BNN_UNROLL for (int o = 0; o < O; ++o) if (o<PINW) BNN_PIN(w[o]);
#endif
      BNN_UNROLL for (int p = 0; p < P; ++p) {
        const __m256i t = table(offset[p][j + k]);
        BNN_UNROLL for (int o = 0; o < O; ++o) {
          const __m256i r = _mm256_shuffle_epi8(t, w[o]);
          s[p * O + o] = k == 0 ? r : _mm256_add_epi8(s[p * O + o], r);
          BNN_PIN(s[p * O + o]);
        }
      }
    }
    fold(sums, s);
  }
  if (j < count) look_up<P, O>(index, offset, j, count - j, sums);
}

// The four 16-bit sums of r in one pair of byte sums: [0] pixel a, filters 0..15, [1] b of the same, [2] and [3] filters 16..31.
inline void split(__m256i total, __m256i high, __m256i (&r)[4]) {
  const __m256i byte = _mm256_set1_epi16(255);
  r[3] = _mm256_srli_epi16(high, 8);
  r[2] = _mm256_and_si256(_mm256_sub_epi16(_mm256_srli_epi16(total, 8), _mm256_slli_epi16(r[3], 4)), byte);
  r[1] = _mm256_and_si256(_mm256_sub_epi16(high, _mm256_slli_epi16(r[2], 4)), byte);
  r[0] = _mm256_and_si256(_mm256_sub_epi16(total, _mm256_slli_epi16(r[1], 4)), byte);
}

}  // namespace
}  // namespace lut
}  // namespace bnn
