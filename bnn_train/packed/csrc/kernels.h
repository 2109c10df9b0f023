// The functions of an instruction set, and the prepared data that they read. Plain data only: these
// structures cross translation units compiled for different processors.
#pragma once
#include <cstddef>
#include <cstdint>

#include "abi.h"
#include "bit_tile.h"

namespace bnn {

constexpr int kLanes = 16;       // output channels of one group of weights
constexpr int kBlock = 64;       // output channels of one block
constexpr int kMaxRows = 64;      // most rows of a pooling's window

// kPairs: bytes widened to 16 bits. kFmaInOrder: every step of a sum is one fused multiply-add, unit by unit.
enum ProductKind : int { kPops, kDot, kPairs, kFma, kFmaInOrder, kFmaBf16 };

// 4-byte units of the input (32 signs, 4 bytes, a pair of 16 bits or a float) with the weights that they meet, one after another.
struct Segment {
  const int32_t* x;  // bytes from the window's first tap to each unit
  int32_t w;         // units from the start of the block's weights
  int32_t n;         // units
};

// Segments whose sum is added `coefficient` times to the accumulators of `part`.
struct Run {
  int32_t begin, end, coefficient, part;
};

// Output channels first … first + valid − 1: `groups` vectors of 16 lanes; weights are units × groups × 16 numbers, or group by
// group units × 16 (Kernels::weights_together).
struct Block {
  int32_t first, valid, groups, group;
  const void* weights;
};

struct Product {
  ProductKind kind;
  const Run* runs;
  int run_count;
  const Segment* segments;
  int parts;
  int units;  // of a block's weights
};

enum Source : int { kFromPops, kFromInt, kFromWide, kFromFloat, kFromDynamic };

// A nonlinearity, a BnnActivation; rows of kPrelu, nullptr: absent.
struct Bend {
  int kind;
  const float *before, *negative, *positive, *after;
};

// From accumulators to values. Per-channel rows are padded with zeros to whole blocks.
struct EpilogueData {
  Source source;
  int channels, row;                  // row: channels of a padded row
  // whole numbers: (base[class][c] - multiplier * acc) / divisor for pops, acc + base[part][c] for kFromDynamic
  const int32_t* base;
  int base_classes, multiplier, divisor, shift;  // shift: log2(divisor), or -1
  const float* real_base;             // base / divisor, where every sum is exact in float; or nullptr
  float real_multiplier;              // -multiplier / divisor
  int parts;
  const int32_t* part_shift;          // of each part of kFromWide
  const double* part_factor;          // 2^shift
  int wide_in_doubles;                // every sum is below 2⁵³
  // the lines of the epilogue; nullptr: absent
  const float *scale, *bias, *norm_factor, *norm_summand;
  int bias_classes, has_input_scale, input_scale_groups, has_gate, has_residual;
  Bend activation, stream;
  int to_real;
  // bits: levels rows of thresholds; planes binary digits
  int to_bits, levels, planes, apart;  // apart: plane p is threshold p's alone, not a digit of the count of those passed
  size_t plane_bytes;
  const int32_t* int_threshold;       // failed iff (acc > t) != flip, [class][level][c]; kFromWide: failed iff y < t or y > t
  const float* float_threshold;       // failed iff (y ^ sign) < t, [level][c]
  const uint32_t* sign;               // per channel 0 or 0x80000000; nullptr: all 0
  const uint64_t* flip;               // bit per channel
  int threshold_classes;
};

// One tile: `count` pixels of the channels of a block.
struct EpilogueTile {
  const void* acc;                    // int32 or float [part][pixel][stride]
  int stride, part_stride;
  int count, first, groups;
  uint64_t valid;                     // bit per channel of the block
  float* const* out;
  const float* const* residual;
  const float* const* input_scale;
  const float* const* gate;           // of each pixel's image
  uint8_t* const* bits;
  const int32_t* class_row;           // class of each pixel, times EpilogueData::row
  const float* unit;                  // kFromDynamic: m/127 of each pixel's image
};

// One term of a product of planes with real factors: float32((base[class][c] - multiplier * pops) / divisor) * factor[c].
struct Term {
  const int32_t* base;
  size_t several;                     // all bits where there is more than one class, else 0
  int multiplier, divisor, shift;     // shift: log2(divisor), or -1
  const float* factor;                // nullptr: 1
};

// Rows of sums[row] += the picked entries of all segments' tables: entry e of table t lies at (16 t + e) * lanes. A byte of a
// segment's index[row * bytes] picks from two tables, its low half from the first.
struct LookUps {
  int bytes, segments, rows;
  const float* table[8];
  const uint8_t* index[8];
  float* sums;
};

struct Kernels {
  const char* name;
  const BitTile* bit_tile;            // nullptr: `product` takes kPops itself
  bool pairs;                         // sums of pixels are made of pairs of 16 bits, not of four bytes
  bool weights_together;              // a block's groups lie side by side in every unit; else one group behind the other
  void (*product)(const Product&, const Block&, const uint8_t* const* pixels, int count, int32_t* acc, int stride,
                  int part_stride);
  void (*epilogue)(const EpilogueData&, const EpilogueTile&);
  // Both at once, the sums staying in registers: returns how many pixels it did; nullptr: none.
  int (*fused)(const Product&, const Block&, const uint8_t* const* pixels, const EpilogueData&, const EpilogueTile&);
  void (*add_pops)(int32_t* sum, const int32_t* pops, int coefficient, int add, int count);
  // One pixel's channels first … first + channels − 1, in whole vectors: sum[c] = term, or sum[c] + term where `add`.
  void (*add_term)(const Term&, const int32_t* pops, int class_row, int first, int channels, float* sum, int add);
  // The k-th of `count` pointers at `to` = first + k * step; to[k] = first + from[k]
  void (*spread)(uint8_t* first, size_t step, int count, void* to);
  void (*shift)(int32_t first, const int32_t* from, int count, int32_t* to);
  // pooling of one pixel from `columns` taps, `step` floats apart, in each of at most kMaxRows rows
  void (*max_real)(const float* const* rows, int row_count, int columns, size_t step, float* out, int channels);
  void (*average)(const float* const* rows, int row_count, int columns, size_t step, float divisor, float* out, int channels);
  // from all its taps
  void (*max_bits)(const uint32_t* const* taps, int count, const uint32_t* flip, uint32_t* out, int words);
  // Σ|x| of each of `count` pixels, `step` floats apart
  void (*abs_sums)(const float* x, size_t step, int count, int channels, double* sums, size_t sum_step);
  float (*abs_max)(const float* x, int count, float so_far);
  void (*quantize)(const float* x, float factor, uint8_t* out, int count);
  void (*widen)(const uint8_t* x, float* out, int count);
  void (*widen_to_16)(const uint8_t* x, int16_t* out, int count);
  // tables of `groups` groups of four vectors (isa/look_up.h); lanes: 16 or 32
  void (*fill_tables)(int lanes, const float* const* vectors, const float* factors, int groups, float* tables);
  void (*look_up)(int lanes, const LookUps& work);
  void (*sign_bytes)(const float* const* rows, int channels, uint8_t* to, size_t step);
  void (*transpose)(const float* from, size_t from_step, int rows, int columns, float* to, size_t to_step);
  void (*signs)(const float* x, int64_t count, float* out);
  void (*window)(const float* g, const float* x, int64_t count, float low, float high, float* out);
  void (*sum_rows)(const float* x, size_t pixel, int count, double* sum, int channels);  // sum += every pixel
};

// Clang knows the pragma of a file's target by another name; there neon has no dot product.
#if defined(__aarch64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define BNN_HAS_NEON_DOT
#endif

extern const Kernels kernels_avx512, kernels_avx2, kernels_neon, kernels_neon_dot, kernels_portable;

}  // namespace bnn
