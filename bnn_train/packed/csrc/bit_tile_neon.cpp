// BitTile for 64-bit Arm: vectors of 32 channels of 4 filters, counted byte by byte (`cnt`) and added in bytes.
#include "bit_tile.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#include <cstring>

namespace bnn {
namespace {

constexpr int kVectors = 4, kFilters = 4 * kVectors, kPixels = 4;
constexpr int kBlock = 31;  // words added in bytes: 31 * 8 <= 255

size_t filter_words(const BitShape& s) { return size_t(s.taps) * size_t(s.words); }
size_t rows(const BitShape& s) { return size_t(s.outputs + kFilters - 1) / kFilters * kFilters; }
size_t packed_bytes(const BitShape& s) { return rows(s) * filter_words(s) * 4; }
size_t scratch_bytes(const BitShape&) { return 0; }

// [group of 16 filters][word][filter]
void pack(const BitShape& s, const uint32_t* weights, void* packed) {
  auto* to = static_cast<uint32_t*>(packed);
  const size_t words = filter_words(s);
  for (size_t o = 0; o < rows(s); ++o)
    for (size_t w = 0; w < words; ++w)
      to[(o / kFilters * words + w) * kFilters + o % kFilters] = o < size_t(s.outputs) ? weights[o * words + w] : 0;
}

// P pixels by 16 filters.
template <int P>
struct Counts {
  uint8x16_t bytes[P][kVectors];
  uint32x4_t sums[P][kVectors];
  Counts() {
    for (int p = 0; p < P; ++p)
      for (int v = 0; v < kVectors; ++v) bytes[p][v] = vdupq_n_u8(0), sums[p][v] = vdupq_n_u32(0);
  }
  void add(const uint32_t* const (&pixel)[P], int word, const uint32_t* weights) {
    uint32x4_t w[kVectors];
    for (int v = 0; v < kVectors; ++v) w[v] = vld1q_u32(weights + 4 * v);
    for (int p = 0; p < P; ++p) {
      const uint32x4_t x = vld1q_dup_u32(pixel[p] + word);
      for (int v = 0; v < kVectors; ++v)
        bytes[p][v] = vaddq_u8(bytes[p][v], vcntq_u8(vreinterpretq_u8_u32(veorq_u32(x, w[v]))));
    }
  }
  void widen() {
    for (int p = 0; p < P; ++p)
      for (int v = 0; v < kVectors; ++v) {
        sums[p][v] = vpadalq_u16(sums[p][v], vpaddlq_u8(bytes[p][v]));
        bytes[p][v] = vdupq_n_u8(0);
      }
  }
};

void put(const uint32x4_t (&sums)[kVectors], int filters, int32_t* pops) {
  int32_t some[kFilters];
  int32_t* to = filters < kFilters ? some : pops;
  for (int v = 0; v < kVectors; ++v) vst1q_s32(to + 4 * v, vreinterpretq_s32_u32(sums[v]));
  if (filters < kFilters) std::memcpy(pops, some, size_t(filters) * 4);
}

template <int P>
void tile(const BitShape& s, const uint32_t* weights, const uint32_t* const* pixels, int filters, int32_t* pops, int stride) {
  Counts<P> counts;
  int room = kBlock;
  for (int t = 0; t < s.taps; ++t) {
    const uint32_t* pixel[P];
    for (int p = 0; p < P; ++p) pixel[p] = pixels[p] + s.tap_offset[t];
    for (int w = 0; w < s.words; ++w, weights += kFilters) {
      counts.add(pixel, w, weights);
      if (--room == 0) counts.widen(), room = kBlock;
    }
  }
  counts.widen();
  for (int p = 0; p < P; ++p) put(counts.sums[p], filters, pops + size_t(p) * size_t(stride));
}

void run(const BitShape& s, const void* packed, const uint32_t* const* pixels, int count, int32_t* pops, int stride, void*) {
  const auto* weights = static_cast<const uint32_t*>(packed);
  const size_t group = filter_words(s) * kFilters;
  for (int o = 0; o < s.outputs; o += kFilters, weights += group) {
    const int left = s.outputs - o < kFilters ? s.outputs - o : kFilters;
    int i = 0;
    for (; i + kPixels <= count; i += kPixels)
      tile<kPixels>(s, weights, pixels + i, left, pops + size_t(i) * size_t(stride) + o, stride);
    for (; i < count; ++i) tile<1>(s, weights, pixels + i, left, pops + size_t(i) * size_t(stride) + o, stride);
  }
}

}  // namespace

const BitTile bit_tile_neon = {"neon", packed_bytes, pack, scratch_bytes, run, 16 * kPixels};

}  // namespace bnn
#endif
