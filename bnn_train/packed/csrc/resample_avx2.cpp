// The passes of resample.h for three channels, on AVX2. A sum of products by weights of 22 bits is two of pmaddwd's.
#include "resample.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif
namespace bnn {
namespace {

constexpr int kSpare = 32;  // bytes behind a row that a vector may touch

struct Sums {
  __m256i high, low;
  void add(__m256i pairs, __m256i by_high, __m256i by_low) {
    high = _mm256_add_epi32(high, _mm256_madd_epi16(pairs, by_high));
    low = _mm256_add_epi32(low, _mm256_madd_epi16(pairs, by_low));
  }
  __m256i whole() const { return _mm256_add_epi32(_mm256_slli_epi32(high, kHalfBits), low); }
};

int32_t pair(int32_t a, int32_t b) { return int32_t(uint32_t(uint16_t(a)) | uint32_t(uint16_t(b)) << 16); }

// Weights of four taps each, as pmaddwd wants them: taps 0 and 1 in the lower lane, 2 and 3 in the upper.
std::vector<int32_t> spread(const Axis& axis) {
  std::vector<int32_t> found(axis.weights.size() * 4);
  int32_t* to = found.data();
  for (std::size_t i = 0; i < axis.weights.size(); i += 4, to += 16) {
    const int32_t* w = axis.weights.data() + i;
    for (int lane = 0; lane < 2; ++lane) {
      const int32_t a = w[2 * lane], b = w[2 * lane + 1], mask = (1 << kHalfBits) - 1;
      std::fill_n(to + 4 * lane, 4, pair(a >> kHalfBits, b >> kHalfBits));
      std::fill_n(to + 8 + 4 * lane, 4, pair(a & mask, b & mask));
    }
  }
  return found;
}

// One row: each output's r, g, b and a byte that the next overwrites.
void across_row(const uint8_t* row, const Axis& axis, const int32_t* spread_weights, bool flipped, uint8_t* to) {
  const __m256i order = _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,  //
                                         6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
  const __m128i half = _mm_set1_epi32(kHalf);
  for (int i = 0; i < axis.count; ++i, to += 3) {
    const int x = flipped ? axis.count - 1 - i : i;
    const uint8_t* from = row + 3 * axis.begin[x];
    const int32_t* weights = spread_weights + std::size_t(x) * axis.width * 4;
    Sums sums{_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int g = 0; g < axis.width / 4; ++g, from += 12, weights += 16) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
      const auto* w = reinterpret_cast<const __m256i*>(weights);
      sums.add(_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), order), _mm256_loadu_si256(w), _mm256_loadu_si256(w + 1));
    }
    const __m256i both = sums.whole();
    const __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    const __m128i value = _mm_srai_epi32(_mm_add_epi32(sum, half), kWeightBits);
    const __m128i bytes = _mm_packus_epi16(_mm_packs_epi32(value, value), value);
    const int32_t rgb = _mm_cvtsi128_si32(bytes);
    std::memcpy(to, &rgb, 4);
  }
}

// Pairs of weights, the high halves of each and then the low ones.
std::vector<int32_t> paired(const Axis& axis) {
  std::vector<int32_t> found(axis.weights.size());
  for (std::size_t i = 0; i < found.size(); i += 2) {
    const int32_t a = axis.weights[i], b = axis.weights[i + 1], mask = (1 << kHalfBits) - 1;
    found[i] = pair(a >> kHalfBits, b >> kHalfBits), found[i + 1] = pair(a & mask, b & mask);
  }
  return found;
}

// Sixteen bytes of one output row from the rows of its taps.
inline __m128i down_16(const uint8_t* from, int64_t stride, const int32_t* pairs, int taps) {
  const __m256i half = _mm256_set1_epi32(kHalf);
  Sums lower{_mm256_setzero_si256(), half}, upper = lower;
  for (int i = 0; i < taps; i += 2, from += 2 * stride) {
    const __m256i high = _mm256_set1_epi32(pairs[i]), low = _mm256_set1_epi32(pairs[i + 1]);
    const uint8_t* next = i + 1 < taps ? from + stride : from;  // the last of an odd number goes with itself and weight 0
    const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)), b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(next));
    lower.add(_mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b)), high, low);
    upper.add(_mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b)), high, low);
  }
  const __m256i first = _mm256_srai_epi32(lower.whole(), kWeightBits), second = _mm256_srai_epi32(upper.whole(), kWeightBits);
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(first, second), 0b11011000);
  return _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

void across_rows(const Rows& in, const Axis& axis, bool flipped, const Rows& out) {
  std::vector<uint8_t> from(3 * (std::size_t(in.width) + axis.width) + kSpare), to(out.bytes() + kSpare);
  const std::vector<int32_t> weights = spread(axis);
  for (int y = 0; y < in.count; ++y) {
    std::memcpy(from.data(), in.row(y), in.bytes());
    across_row(from.data(), axis, weights.data(), flipped, to.data());
    std::memcpy(out.row(y), to.data(), out.bytes());
  }
}

void down_rows(const Rows& in, const Axis& axis, const Rows& out) {
  const int bytes = in.bytes();
  if (bytes < 16) return portable_passes().down(in, axis, out);
  const std::vector<int32_t> pairs = paired(axis);
  for (int y = 0; y < axis.count; ++y) {
    const uint8_t* from = in.row(axis.begin[y]);
    const int32_t* weights = pairs.data() + std::size_t(y) * axis.width;
    for (int x = 0; x < bytes; x += 16) {
      const int at = std::min(x, bytes - 16);  // the last sixteen lie over those before
      const __m128i found = down_16(from + at, in.stride, weights, axis.taps[y]);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out.row(y) + at), found);
    }
  }
}

}  // namespace

Passes avx2_passes() { return {across_rows, down_rows}; }

}  // namespace bnn
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
