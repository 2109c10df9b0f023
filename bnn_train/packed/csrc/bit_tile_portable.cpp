// The bit tile in plain C++: 64 signs at a time, 4 filters by 2 pixels.
#include <cstring>

#include "bit_tile.h"

namespace bnn {
namespace {

constexpr int kFilters = 4;

size_t filter_words(const BitShape& s) { return size_t(s.taps) * size_t(s.words); }
size_t rows(const BitShape& s) { return size_t(s.outputs + kFilters - 1) / kFilters * kFilters; }

size_t packed_bytes(const BitShape& s) { return rows(s) * filter_words(s) * 4; }

// [group of 4 filters][word][filter]
void pack(const BitShape& s, const uint32_t* weights, void* packed) {
  auto* to = static_cast<uint32_t*>(packed);
  const size_t words = filter_words(s);
  for (size_t o = 0; o < rows(s); ++o)
    for (size_t w = 0; w < words; ++w)
      to[(o / kFilters * words + w) * kFilters + o % kFilters] = o < size_t(s.outputs) ? weights[o * words + w] : 0;
}

size_t scratch_bytes(const BitShape&) { return 0; }

int32_t popcount(uint64_t x) {
  x -= (x >> 1) & 0x5555555555555555u;
  x = (x & 0x3333333333333333u) + ((x >> 2) & 0x3333333333333333u);
  x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
  return int32_t((x * 0x0101010101010101u) >> 56);
}

uint64_t wide(const uint32_t* p) {
  uint64_t x;
  std::memcpy(&x, p, 8);
  return x;
}

void filters(const BitShape& s, const uint32_t* weights, const uint32_t* pixel, int32_t (&sum)[kFilters]) {
  for (int t = 0; t < s.taps; ++t) {
    const uint32_t* x = pixel + s.tap_offset[t];
    for (int w = 0; w < s.words; ++w, weights += kFilters) {
      const uint64_t twice = uint64_t(x[w]) << 32 | x[w];
      for (int f = 0; f < kFilters; f += 2) {
        const uint64_t difference = twice ^ wide(weights + f);
        sum[f] += popcount(difference & 0xffffffffu);
        sum[f + 1] += popcount(difference >> 32);
      }
    }
  }
}

void run(const BitShape& s, const void* packed, const uint32_t* const* pixels, int count, int32_t* pops, int stride, void*) {
  const auto* weights = static_cast<const uint32_t*>(packed);
  const size_t group = filter_words(s) * kFilters;
  for (int o = 0; o < s.outputs; o += kFilters, weights += group)
    for (int i = 0; i < count; ++i) {
      int32_t sum[kFilters] = {};
      filters(s, weights, pixels[i], sum);
      const int left = s.outputs - o < kFilters ? s.outputs - o : kFilters;
      std::memcpy(pops + size_t(i) * size_t(stride) + o, sum, size_t(left) * 4);
    }
}

}  // namespace

const BitTile bit_tile_portable = {"portable", packed_bytes, pack, scratch_bytes, run, 1};

}  // namespace bnn
