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

// Weight nibbles, a byte each, in steps of 7: `index` holds O vectors for each.
template <int O>
struct Spread {
  static constexpr int kTurn = 1, kTurns = kStep;
  static void at(const uint8_t* index, size_t, int j, __m256i (&w)[1][O]) {
    BNN_UNROLL for (int o = 0; o < O; ++o) w[0][o] = load(index + (j * O + o) * kLanes);
  }
};

// Weight nibbles as they are packed, two in a byte, in steps of 6: vector o begins o * `stride` bytes after `index`.
template <int O>
struct Packed {
  static constexpr int kTurn = 2, kTurns = kStep / 2;
  static void at(const uint8_t* index, size_t stride, int j, __m256i (&w)[2][O]) {
    const __m256i low = _mm256_set1_epi8(15);
    BNN_UNROLL for (int o = 0; o < O; ++o) {
      const __m256i v = load(index + size_t(o) * stride + j / 2 * kLanes);
      w[0][o] = _mm256_and_si256(v, low);
      w[1][o] = _mm256_and_si256(_mm256_srli_epi16(v, 4), low);
    }
  }
};

// `count` look-ups (at most kBlock) of P pairs with O vectors of filters; up to 6 more are made to complete a step: there both
// tables and indices are 0, and so is r. offset[p]: where the tables of pair p's nibbles begin, in bytes.
template <template <int> class Index, int P, int O>
inline void block_sums(const uint8_t* index, size_t stride, const uint16_t* const (&offset)[P], int count,
                       Sums<P * O>& sums) {
  constexpr int kTurn = Index<O>::kTurn, kTurns = Index<O>::kTurns;
  __m256i total[P * O], high[P * O], s[P * O];
  BNN_UNROLL for (int i = 0; i < P * O; ++i) total[i] = high[i] = _mm256_setzero_si256();
  for (int j = 0; j < count; j += kTurn * kTurns) {
    BNN_UNROLL for (int turn = 0; turn < kTurns; ++turn) {
      __m256i w[kTurn][O];
      Index<O>::at(index, stride, j + turn * kTurn, w);
      BNN_UNROLL for (int k = 0; k < kTurn; ++k)
        BNN_UNROLL for (int p = 0; p < P; ++p) {
          const __m256i t = table(offset[p][j + turn * kTurn + k]);
          BNN_UNROLL for (int o = 0; o < O; ++o) {
            const __m256i r = _mm256_shuffle_epi8(t, w[k][o]);
            s[p * O + o] = turn + k == 0 ? r : _mm256_add_epi8(s[p * O + o], r);
            BNN_PIN(s[p * O + o]);
          }
        }
    }
    BNN_UNROLL for (int i = 0; i < P * O; ++i) {
      total[i] = _mm256_add_epi8(total[i], s[i]);
      high[i] = _mm256_add_epi8(high[i], _mm256_srli_epi16(s[i], 4));
      BNN_PIN(total[i]);
      BNN_PIN(high[i]);
    }
  }
  BNN_UNROLL for (int i = 0; i < P * O; ++i) sums.total[i] = total[i], sums.high[i] = high[i];
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
