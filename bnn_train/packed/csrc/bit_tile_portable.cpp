// The bit tile in plain C++: vectors of 4 filters, which any processor has. Counts grow in fields of 2, 4 and 8 bits side by
// side (Warren, Hacker's Delight, 5-1); three words meet in one field of 4 bits, 30 in one of 8.
#include <cstring>

#include "bit_tile.h"

namespace bnn {
namespace {

constexpr int kLanes = 4, kVectors = 2, kFilters = kLanes * kVectors, kPixels = 2;
constexpr int kWords = 30;  // 8 · 30 < 256
using Vector = uint32_t __attribute__((vector_size(4 * kLanes)));

size_t filter_words(const BitShape& s) { return size_t(s.taps) * size_t(s.words); }
size_t rows(const BitShape& s) { return size_t(s.outputs + kFilters - 1) / kFilters * kFilters; }
size_t packed_bytes(const BitShape& s) { return rows(s) * filter_words(s) * 4; }

// [group of filters][word][filter]
void pack(const BitShape& s, const uint32_t* weights, void* packed) {
  auto* to = static_cast<uint32_t*>(packed);
  const size_t words = filter_words(s);
  for (size_t o = 0; o < rows(s); ++o)
    for (size_t w = 0; w < words; ++w)
      to[(o / kFilters * words + w) * kFilters + o % kFilters] = o < size_t(s.outputs) ? weights[o * words + w] : 0;
}

// One offset for each word of a window.
size_t scratch_bytes(const BitShape& s) { return filter_words(s) * sizeof(int32_t); }

Vector load(const uint32_t* p) {
  Vector v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// Counts in fields of 4 bits.
Vector nibbles(Vector x) {
  x -= (x >> 1) & 0x55555555u;
  return (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
}

struct Tile {
  Vector sum[kPixels][kVectors] = {};

  // At most three words.
  void add(const uint32_t* weights, const uint32_t* const (&x)[kPixels], const int32_t* at, int words,
           Vector (&bytes)[kPixels][kVectors]) {
    Vector fields[kPixels][kVectors] = {};
    for (int w = 0; w < words; ++w, weights += kFilters)
      for (int v = 0; v < kVectors; ++v) {
        const Vector filter = load(weights + v * kLanes);
        for (int i = 0; i < kPixels; ++i) fields[i][v] += nibbles(filter ^ x[i][at[w]]);
      }
    for (int i = 0; i < kPixels; ++i)
      for (int v = 0; v < kVectors; ++v) bytes[i][v] += (fields[i][v] & 0x0f0f0f0fu) + ((fields[i][v] >> 4) & 0x0f0f0f0fu);
  }

  void run(const uint32_t* weights, const uint32_t* const (&x)[kPixels], const int32_t* at, int words) {
    for (int begin = 0; begin < words; begin += kWords) {
      const int end = words - begin < kWords ? words : begin + kWords;
      Vector bytes[kPixels][kVectors] = {};
      int w = begin;
      for (; w + 3 <= end; w += 3) add(weights + w * kFilters, x, at + w, 3, bytes);
      if (w < end) add(weights + w * kFilters, x, at + w, end - w, bytes);
      for (int i = 0; i < kPixels; ++i)
        for (int v = 0; v < kVectors; ++v) {
          const Vector pairs = (bytes[i][v] & 0x00ff00ffu) + ((bytes[i][v] >> 8) & 0x00ff00ffu);
          sum[i][v] += (pairs & 0xffffu) + (pairs >> 16);
        }
    }
  }
};

void run(const BitShape& s, const void* packed, const uint32_t* const* pixels, int count, int32_t* pops, int stride,
         void* scratch) {
  auto* at = static_cast<int32_t*>(scratch);
  for (int t = 0, k = 0; t < s.taps; ++t)
    for (int w = 0; w < s.words; ++w) at[k++] = s.tap_offset[t] + w;
  const auto* weights = static_cast<const uint32_t*>(packed);
  const size_t words = filter_words(s);
  for (int o = 0; o < s.outputs; o += kFilters, weights += words * kFilters)
    for (int i = 0; i < count; i += kPixels) {
      const uint32_t* const x[kPixels] = {pixels[i], pixels[i + 1 < count ? i + 1 : i]};
      Tile tile;
      tile.run(weights, x, at, int(words));
      const int left = s.outputs - o < kFilters ? s.outputs - o : kFilters;
      for (int k = 0; k < kPixels && i + k < count; ++k)
        std::memcpy(pops + size_t(i + k) * size_t(stride) + o, tile.sum[k], size_t(left) * 4);
    }
}

}  // namespace

const BitTile bit_tile_portable = {"portable", packed_bytes, pack, scratch_bytes, run, kPixels};

}  // namespace bnn
