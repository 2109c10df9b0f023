#pragma once
#include <cstddef>
#include <cstdint>
namespace bnn {
// One binary product: `taps` window positions of `words` 32-channel words each, `outputs` filters.
struct BitShape { int taps, words, outputs; const int32_t* tap_offset; };  // tap_offset[t]: words from a pixel's top-left tap
struct BitTile {
  const char* name;
  size_t (*packed_bytes)(const BitShape&);
  void (*pack)(const BitShape&, const uint32_t* weights /* outputs × taps × words */, void* packed);
  size_t (*scratch_bytes)(const BitShape&);
  // pops[i*stride + o] = Σ_{t,w} popcount(pixels[i][tap_offset[t] + w] ^ weight[o][t][w]) for i < count, o < outputs.
  // `packed`, `scratch` 64-byte aligned. Any count ≥ 1; best in multiples of `preferred`.
  void (*run)(const BitShape&, const void* packed, const uint32_t* const* pixels, int count, int32_t* pops, int stride, void* scratch);
  int preferred;
};
extern const BitTile bit_tile_portable, bit_tile_avx2, bit_tile_neon;
}
