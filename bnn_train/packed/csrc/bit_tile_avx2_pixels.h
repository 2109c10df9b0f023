// From the words of two pixels' windows to the offsets of their tables. To be included after `#pragma GCC target`.
#pragma once
#include <cstring>
#include <immintrin.h>

#include "bit_tile.h"
#include "bit_tile_avx2_table.h"

namespace bnn {
namespace lut {
namespace {

// Words that lie side by side: taps whose words adjoin are one run.
struct Run {
  int32_t offset, words;
};

// The runs of words begin .. begin + count of a window; at most one more than there are taps.
inline int find_runs(const BitShape& shape, int begin, int count, Run* runs) {
  int found = 0;
  for (int at = begin, end = begin + count; at < end;) {
    const int tap = at / shape.words, skip = at % shape.words;
    const int left = shape.words - skip, words = end - at < left ? end - at : left;
    const int32_t offset = shape.tap_offset[tap] + skip;
    if (found && runs[found - 1].offset + runs[found - 1].words == offset)
      runs[found - 1].words += words;
    else
      runs[found++] = {offset, words};
    at += words;
  }
  return found;
}

template <size_t Bytes>
inline void copy(const uint32_t*& from, uint32_t*& to) {
  std::memcpy(to, from, Bytes);
  from += Bytes / 4, to += Bytes / 4;
}

// `count` words in a row, then zeros up to a multiple of 32 bytes.
inline void gather(const Run* runs, int found, const uint32_t* pixel, int count, uint32_t* row) {
  if (count % 8) _mm256_store_si256(reinterpret_cast<__m256i*>(row + count / 8 * 8), _mm256_setzero_si256());
  for (int i = 0; i < found; ++i) {
    const uint32_t* from = pixel + runs[i].offset;
    int words = runs[i].words;
    for (; words >= 8; words -= 8) copy<32>(from, row);
    if (words & 4) copy<16>(from, row);
    if (words & 2) copy<8>(from, row);
    if (words & 1) copy<4>(from, row);
  }
}

inline void put_offsets(uint16_t* to, __m256i nibbles) {
  const __m256i low = _mm256_cvtepu8_epi16(_mm256_castsi256_si128(nibbles));
  const __m256i high = _mm256_cvtepu8_epi16(_mm256_extracti128_si256(nibbles, 1));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_slli_epi16(low, 4));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 16), _mm256_slli_epi16(high, 4));
}

inline uint16_t byte_sum(__m256i v) {
  const __m256i s = _mm256_sad_epu8(v, _mm256_setzero_si256());
  const __m128i t = _mm_add_epi64(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
  return static_cast<uint16_t>(_mm_cvtsi128_si32(t) + _mm_extract_epi32(t, 2));
}

// offset[j] = 16 * (nibble j of a + 16 * nibble j of b), behind them 16 zeros and room for 80 entries; parity: Σ p of a and b.
inline void prepare(const uint32_t* a, const uint32_t* b, int words, uint16_t* offset, uint16_t* parity) {
  const __m256i low = _mm256_set1_epi8(15);
  const __m256i odd = _mm256_setr_epi8(0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0,  //
                                       0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0);
  __m256i odd_a = _mm256_setzero_si256(), odd_b = odd_a;
  uint16_t* end = offset + words * 8;
  unsigned sum_a = 0, sum_b = 0;
  for (int w = 0; w < words; w += 8, offset += 64) {
    const __m256i va = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a + w));
    const __m256i vb = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + w));
    const __m256i a0 = _mm256_and_si256(va, low), a1 = _mm256_and_si256(_mm256_srli_epi16(va, 4), low);
    const __m256i b0 = _mm256_and_si256(vb, low), b1 = _mm256_and_si256(_mm256_srli_epi16(vb, 4), low);
    odd_a = _mm256_add_epi8(odd_a, _mm256_add_epi8(_mm256_shuffle_epi8(odd, a0), _mm256_shuffle_epi8(odd, a1)));
    odd_b = _mm256_add_epi8(odd_b, _mm256_add_epi8(_mm256_shuffle_epi8(odd, b0), _mm256_shuffle_epi8(odd, b1)));
    put_offsets(offset, _mm256_or_si256(a0, _mm256_slli_epi16(b0, 4)));
    put_offsets(offset + (words - w < 8 ? (words - w) * 4 : 32), _mm256_or_si256(a1, _mm256_slli_epi16(b1, 4)));
    if (w % 512 == 504) {  // 2 a step in each byte
      sum_a += byte_sum(odd_a), sum_b += byte_sum(odd_b);
      odd_a = odd_b = _mm256_setzero_si256();
    }
  }
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(end), _mm256_setzero_si256());
  parity[0] = static_cast<uint16_t>(sum_a + byte_sum(odd_a));
  parity[1] = static_cast<uint16_t>(sum_b + byte_sum(odd_b));
}

}  // namespace
}  // namespace lut
}  // namespace bnn
