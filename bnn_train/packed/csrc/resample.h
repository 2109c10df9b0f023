// Antialiased resizing of 8-bit pictures, bit for bit as Pillow 13 computes it (BILINEAR, a triangle as wide as the reduction).
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bnn {

constexpr int kWeightBits = 22;  // of a weight's fraction, as Pillow has
constexpr int kHalfBits = 11;    // a weight is high · 2^11 + low, each of 16 bits: pmaddwd multiplies those
constexpr int32_t kHalf = 1 << (kWeightBits - 1);

// The taps of some outputs along one side: `taps` weights from `begin` on; `width` are stored of each, zeros behind.
struct Axis {
  int count = 0, width = 0;
  std::vector<int> begin, taps;
  std::vector<int32_t> weights;
  const int32_t* of(int i) const { return weights.data() + std::size_t(i) * width; }
  int first() const { return begin.front(); }
  int end() const { return begin.back() + taps.back(); }
};

// Rows of `width` pixels of `channels` bytes, `stride` bytes apart.
struct Rows {
  uint8_t* data;
  int64_t stride;
  int count, width, channels;
  uint8_t* row(int y) const { return data + y * stride; }
  int bytes() const { return width * channels; }
};

// One pass each: every row of `in` to a row of `out`; or, where a tap of `down` is a row, all of them to `out`'s rows. Nothing
// outside of the rows is touched. `flipped`: the last output first. The taps of `across` count from in's first pixel, those of `down` from its first row.
struct Passes {
  void (*across)(const Rows& in, const Axis& across, bool flipped, const Rows& out);
  void (*down)(const Rows& in, const Axis& down, const Rows& out);
};

Passes portable_passes();
#if defined(__x86_64__) && defined(__GNUC__)
Passes avx2_passes();  // three channels
#endif

}  // namespace bnn
