// Compares one bit tile (-DTILE=bit_tile_...) with a plain loop on random shapes: `check_bit_tile CASES SEED`.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "bit_tile.h"

namespace {
using bnn::BitShape;
constexpr int32_t kUntouched = -7;
std::mt19937_64 rng;

int upto(int n) { return 1 + static_cast<int>(rng() % static_cast<unsigned>(n)); }
size_t up64(size_t n) { return (n / 64 + 1) * 64; }

struct Free {
  void* p;
  ~Free() { std::free(p); }
};

// Words are random, or all zeros and ones where the highest counts are wanted.
std::vector<uint32_t> words(size_t n, bool extreme) {
  std::vector<uint32_t> v(n);
  for (auto& w : v) w = extreme ? (rng() % 2 ? ~0u : 0u) : static_cast<uint32_t>(rng());
  return v;
}

int plain(const BitShape& s, const uint32_t* pixel, const uint32_t* weights) {
  int pop = 0;
  for (int t = 0; t < s.taps; ++t)
    for (int w = 0; w < s.words; ++w) pop += __builtin_popcount(pixel[s.tap_offset[t] + w] ^ weights[t * s.words + w]);
  return pop;
}

bool right(int taps, int width, int outputs, int count, bool extreme) {
  const int span = taps * (width + 2);
  std::vector<int32_t> offsets(static_cast<size_t>(taps));
  for (auto& o : offsets) o = static_cast<int32_t>(rng() % static_cast<unsigned>(span - width + 1));
  const BitShape s{taps, width, outputs, offsets.data()};
  const auto weights = words(size_t(outputs) * size_t(taps) * size_t(width), extreme);
  std::vector<std::vector<uint32_t>> image;  // each pixel its own block, so that a read beside it is seen
  std::vector<const uint32_t*> pixels;
  for (int i = 0; i < count; ++i) image.push_back(words(size_t(span), extreme));
  for (const auto& i : image) pixels.push_back(i.data());
  const Free packed{std::aligned_alloc(64, up64(TILE.packed_bytes(s)))};
  const Free scratch{std::aligned_alloc(64, up64(TILE.scratch_bytes(s)))};
  TILE.pack(s, weights.data(), packed.p);
  const int stride = outputs + static_cast<int>(rng() % 3);
  std::vector<int32_t> pops(size_t(count) * size_t(stride), kUntouched);
  TILE.run(s, packed.p, pixels.data(), count, pops.data(), stride, scratch.p);
  for (int i = 0; i < count; ++i)
    for (int o = 0; o < stride; ++o) {
      const int32_t got = pops[size_t(i) * size_t(stride) + size_t(o)];
      const int32_t want = o < outputs ? plain(s, pixels[size_t(i)], &weights[size_t(o) * size_t(taps * width)]) : kUntouched;
      if (got == want) continue;
      std::printf("taps %d words %d outputs %d count %d: [%d][%d] is %d, not %d\n", taps, width, outputs, count, i, o, got, want);
      return false;
    }
  return true;
}
}  // namespace

int main(int argc, char** argv) {
  const int cases = argc > 1 ? std::atoi(argv[1]) : 300;
  rng.seed(argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 0);
  bool ok = right(25, 300, 33, 3, true) && right(9, 32, 64, 64, true);
  for (int i = 0; i < cases && ok; ++i)
    ok = right(upto(25), i % 50 == 7 ? 300 : upto(i % 2 ? 4 : 32), upto(130), upto(i % 16 ? 70 : 600), i % 5 == 0);
  std::printf("%s: %s\n", TILE.name, ok ? "equal" : "different");
  return !ok;
}
