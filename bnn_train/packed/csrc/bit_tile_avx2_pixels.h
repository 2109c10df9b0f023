// From the words of two pixels' windows to the offsets of their tables. To be included after `#pragma GCC target`.
#pragma once
#include <cstring>
#include <immintrin.h>

#include "bit_tile.h"
#include "bit_tile_avx2_table.h"

namespace bnn {
namespace lut {
namespace {

// Words of a tap, `Words` at a time where their count is a multiple of it (0: any).
template <int Words>
inline void copy(const uint32_t* from, int words, uint32_t* to) {
  if (!Words) std::memcpy(to, from, size_t(words) * 4);
  for (int w = 0; Words && w < words; w += Words) std::memcpy(to + w, from + w, size_t(Words) * 4);
}

template <int Words>
inline void gather_taps(const BitShape& shape, const uint32_t* pixel, uint32_t* row) {
  const int words = Words == 1 || Words == 2 ? Words : shape.words;
  const int taps = shape.taps;
  const int32_t* offset = shape.tap_offset;
  for (int tap = 0; tap < taps; ++tap, row += words) copy<Words>(pixel + offset[tap], words, row);
}

// Words begin .. begin + count of the window, where these are not all of them.
inline void gather_part(const BitShape& shape, const uint32_t* pixel, int begin, int count, uint32_t* row) {
  for (int at = begin, end = begin + count; at < end;) {
    const int tap = at / shape.words, skip = at % shape.words;
    const int n = end - at < shape.words - skip ? end - at : shape.words - skip;
    copy<0>(pixel + shape.tap_offset[tap] + skip, n, row);
    row += n, at += n;
  }
}

// The window's words in a row, then zeros up to a multiple of 32 bytes.
inline void gather(const BitShape& shape, const uint32_t* pixel, int begin, int count, uint32_t* row) {
  if (count % 8) _mm256_store_si256(reinterpret_cast<__m256i*>(row + count / 8 * 8), _mm256_setzero_si256());
  if (count != shape.taps * shape.words) return gather_part(shape, pixel, begin, count, row);
  if (shape.words == 1) return gather_taps<1>(shape, pixel, row);
  if (shape.words == 2) return gather_taps<2>(shape, pixel, row);
  if (shape.words % 8 == 0) return gather_taps<8>(shape, pixel, row);
  if (shape.words % 4 == 0) return gather_taps<4>(shape, pixel, row);
  return gather_taps<0>(shape, pixel, row);
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
