// The binary product as table look-ups: AVX2 has no popcount of vectors, but `vpshufb` looks 32 bytes up at once.
//
// For four inputs x and four weights w, popcount(x ^ w) = p(x) - p(w) + 2 r(x, w), with p the parity of the four bits and
// r in {0, 1, 2}. The sums of p depend on the pixel or on the filter alone; only the sum of r is left to the inner loop.
// r of two pixels shares a byte (four bits each), so one `vpshufb` (table: four inputs of two pixels; index: four weights
// of 32 filters) does 256 products, and seven look-ups can be added before four bits overflow.
#pragma once
#include <cstdint>

namespace bnn {
namespace lut {
namespace {

constexpr int kLanes = 32;          // filters in a vector, one a byte
constexpr int kStep = 7;            // look-ups added in four bits: 7 * 2 <= 15
constexpr int kBlock = 18 * kStep;  // look-ups added in eight bits: 126 * 2 <= 255
constexpr int kSegment = 2040;      // words added in sixteen bits: 2040 * 32 <= 65535; a multiple of 8
constexpr int kEntry = 16;          // bytes of one table

constexpr int bits4(int v) { return (v & 1) + (v >> 1 & 1) + (v >> 2 & 1) + (v >> 3 & 1); }
constexpr int parity4(int v) { return bits4(v) & 1; }
constexpr int rest(int x, int w) { return (bits4(x ^ w) - parity4(x) + parity4(w)) / 2; }

// byte[16 * (x of pixel a + 16 * x of pixel b) + w] = r(a, w) + 16 r(b, w): 4 KiB, which stay in the first-level cache.
struct Table {
  alignas(64) uint8_t byte[256 * kEntry];
  constexpr Table() : byte{} {
    for (int x = 0; x < 256; ++x)
      for (int w = 0; w < kEntry; ++w)
        byte[x * kEntry + w] = static_cast<uint8_t>(rest(x & 15, w) | rest(x >> 4, w) << 4);
  }
};
constexpr Table kTable;

// Filters 0..15 of a vector lie in its even bytes, 16..31 in its odd ones, in the order in which `vpunpck{l,h}wd` with
// zero gives eight filters in a row.
constexpr int lane_of(int filter) {
  const int f = filter & 15, swapped = f < 4 || f >= 12 ? f : (f < 8 ? f + 4 : f - 4);
  return 2 * swapped + (filter >> 4);
}

// Four-bit groups ("nibbles") of a pixel's words are taken 32 bytes at a time: first the low halves of these bytes, then
// the high ones. The last few bytes (a multiple of 4) do the same among themselves.
inline int nibble_at(const uint8_t* bytes, int byte_count, int j) {
  const int unit = j / 64 * 32, size = byte_count - unit < 32 ? byte_count - unit : 32, k = j % 64;
  return k < size ? bytes[unit + k] & 15 : bytes[unit + k - size] >> 4;
}

}  // namespace
}  // namespace lut
}  // namespace bnn
