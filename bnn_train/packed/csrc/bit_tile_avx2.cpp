// BitTile for x86 processors with AVX2 and no popcount of vectors; bit_tile_avx2_table.h describes the method.
#include "bit_tile.h"

#if defined(__x86_64__)
#include <cstring>
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,popcnt")
#include "bit_tile_avx2_kernel.h"
#include "bit_tile_avx2_pixels.h"

namespace bnn {
namespace {
using namespace lut;

constexpr int kMaxO = 4;    // vectors of filters in a tile
constexpr int kPairs = 32;  // pairs of pixels that are prepared together
constexpr int kHead = 64;   // bytes of a group before its nibbles: -Σ p of its filters, 16 bits each

constexpr size_t up(size_t n, size_t to) { return (n + to - 1) / to * to; }

// The words of a window in a row, cut into segments whose counts fit in 16 bits; the filters in groups of one vector.
struct Plan {
  int words, segments, groups;
  explicit Plan(const BitShape& s)
      : words(s.taps * s.words),
        segments((words + kSegment - 1) / kSegment),
        groups((s.outputs + kLanes - 1) / kLanes) {}
  int segment_words(int i) const { return i + 1 < segments ? kSegment : words - i * kSegment; }
  size_t group_bytes(int i) const { return kHead + size_t(segment_words(i)) * 4 * kLanes; }
  size_t row_offsets() const { return up(size_t(segment_words(0)) * 8 + 96, 32); }
};

size_t packed_bytes(const BitShape& shape) {
  const Plan plan(shape);
  size_t bytes = 0;
  for (int i = 0; i < plan.segments; ++i) bytes += plan.group_bytes(i) * size_t(plan.groups);
  return bytes;
}

void pack_filter(const uint32_t* weights, int words, int lane, uint8_t* group) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(weights);
  int parity = 0;
  for (int j = 0; j < words * 8; j += 2) {
    const int low = nibble_at(bytes, words * 4, j), high = nibble_at(bytes, words * 4, j + 1);
    group[kHead + j / 2 * kLanes + lane] = static_cast<uint8_t>(low | high << 4);
    parity += parity4(low) + parity4(high);
  }
  reinterpret_cast<uint16_t*>(group)[lane % 2 * 16 + lane / 2] = static_cast<uint16_t>(-parity);
}

void pack(const BitShape& shape, const uint32_t* weights, void* packed) {
  const Plan plan(shape);
  auto* group = static_cast<uint8_t*>(packed);
  std::memset(packed, 0, packed_bytes(shape));
  for (int i = 0; i < plan.segments; ++i)
    for (int g = 0; g < plan.groups; ++g, group += plan.group_bytes(i))
      for (int f = 0; f < kLanes && g * kLanes + f < shape.outputs; ++f) {
        const size_t filter = size_t(g) * kLanes + size_t(f);
        pack_filter(weights + filter * size_t(plan.words) + size_t(i) * kSegment, plan.segment_words(i), lane_of(f), group);
      }
}

// What a call keeps between its loops.
struct Scratch {
  uint8_t* index;    // weight nibbles of a block, a byte each: kBlock × O vectors
  uint16_t* sums;    // Σ r: pairs × O × 4 × 16
  uint16_t* parity;  // Σ p: pairs × 2
  uint32_t* row;     // the words of two pixels
  uint16_t* offset;  // pairs × row_offsets
  size_t bytes;
  Scratch(const Plan& plan, void* base) : bytes(0) {
    index = take<uint8_t>(base, size_t(kBlock) * kMaxO * kLanes);
    sums = take<uint16_t>(base, size_t(kPairs) * kMaxO * 64);
    parity = take<uint16_t>(base, kPairs * 2);
    row = take<uint32_t>(base, 2 * kSegment);
    offset = take<uint16_t>(base, kPairs * plan.row_offsets());
  }
  template <class T>
  T* take(void* base, size_t count) {
    const size_t at = bytes;
    bytes += up(count * sizeof(T), 64);
    return base ? reinterpret_cast<T*>(static_cast<uint8_t*>(base) + at) : nullptr;
  }
};

size_t scratch_bytes(const BitShape& shape) { return Scratch(Plan(shape), nullptr).bytes; }

// One call's part: some pixels, a segment of the words, O groups of filters.
struct Part {
  const BitShape& shape;
  const Scratch& room;
  const uint8_t* group;  // packed
  size_t group_bytes, row_offsets;
  int nibbles, filter, count;  // filter: the first
  bool again;                  // add to what an earlier segment left
  int32_t* pops;
  int stride;
};

// 16 filters of one pixel: r = Σ r, base = -Σ p of the filters.
inline void finish(const Part& part, int pixel, int filter, __m256i r, __m256i base) {
  if (pixel >= part.count || filter >= part.shape.outputs) return;
  const __m256i own = _mm256_set1_epi16(static_cast<int16_t>(part.room.parity[pixel]));
  const __m256i sum = _mm256_add_epi16(_mm256_add_epi16(r, r), _mm256_add_epi16(base, own));
  __m256i v[2] = {_mm256_unpacklo_epi16(sum, _mm256_setzero_si256()), _mm256_unpackhi_epi16(sum, _mm256_setzero_si256())};
  int32_t* to = part.pops + size_t(pixel) * size_t(part.stride) + filter;
  if (filter + 16 <= part.shape.outputs && !part.again) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v[0]);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 8), v[1]);
    return;
  }
  alignas(32) int32_t some[16];
  store(some, v[0]), store(some + 8, v[1]);
  for (int f = 0; f < 16 && filter + f < part.shape.outputs; ++f) to[f] = part.again ? to[f] + some[f] : some[f];
}

template <int P, int O>
inline void tile(const Part& part, const uint8_t* index, int begin, int pair) {
  const int left = part.nibbles - begin, count = left < kBlock ? left : kBlock;
  const uint16_t* offset[P];
  BNN_UNROLL for (int p = 0; p < P; ++p) offset[p] = part.room.offset + size_t(pair + p) * part.row_offsets + begin;
  Sums<P * O> sums;
  block_sums<P, O>(index, offset, count, sums);
  BNN_UNROLL for (int p = 0; p < P; ++p) {
    uint16_t* kept = part.room.sums + (pair + p) * O * 64;
    for (int o = 0; o < O; ++o, kept += 64) {
      __m256i r[4];
      split(sums.total[p * O + o], sums.high[p * O + o], r);
      if (begin)
        for (int i = 0; i < 4; ++i) r[i] = _mm256_add_epi16(r[i], load(kept + i * 16));
      if (left > count) {
        for (int i = 0; i < 4; ++i) store(kept + i * 16, r[i]);
        continue;
      }
      const uint8_t* head = part.group + size_t(o) * part.group_bytes;
      for (int i = 0; i < 4; ++i)
        finish(part, (pair + p) * 2 + i % 2, part.filter + o * kLanes + i / 2 * 16, r[i], load(head + i / 2 * 32));
    }
  }
}

template <int O>
inline void spread(const Part& part, int begin, int count) {
  const __m256i low = _mm256_set1_epi8(15);
  for (int o = 0; o < O; ++o) {
    const uint8_t* from = part.group + size_t(o) * part.group_bytes + kHead + begin / 2 * kLanes;
    uint8_t* to = part.room.index + o * kLanes;
    for (int j = 0; j < count; j += 2, from += kLanes, to += 2 * O * kLanes) {
      const __m256i v = load(from);
      store(to, _mm256_and_si256(v, low));
      store(to + O * kLanes, _mm256_and_si256(_mm256_srli_epi16(v, 4), low));
    }
  }
}

template <int P, int O>
void columns(const Part& part) {
  const int pairs = (part.count + 1) / 2;
  for (int begin = 0; begin < part.nibbles; begin += kBlock) {
    spread<O>(part, begin, part.nibbles - begin < kBlock ? part.nibbles - begin : kBlock);
    int pair = 0;
    for (; pair + P <= pairs; pair += P) tile<P, O>(part, part.room.index, begin, pair);
    for (; pair < pairs; ++pair) tile<1, O>(part, part.room.index, begin, pair);
  }
}

void run_part(Part part, int groups) {
  const size_t step = part.group_bytes;
  int g = 0;
  for (; g + 4 <= groups; g += 4, part.group += 4 * step, part.filter += 4 * kLanes) columns<2, 4>(part);
  for (; g + 2 <= groups; g += 2, part.group += 2 * step, part.filter += 2 * kLanes) columns<2, 2>(part);
  if (g < groups) columns<4, 1>(part);
}

void run(const BitShape& shape, const void* packed, const uint32_t* const* pixels, int count, int32_t* pops, int stride,
         void* scratch) {
  const Plan plan(shape);
  const Scratch room(plan, scratch);
  for (int first = 0; first < count; first += 2 * kPairs) {
    const int some = count - first < 2 * kPairs ? count - first : 2 * kPairs;
    const auto* group = static_cast<const uint8_t*>(packed);
    for (int i = 0; i < plan.segments; group += plan.group_bytes(i) * size_t(plan.groups), ++i) {
      const int words = plan.segment_words(i);
      for (int pixel = 0; pixel < some; pixel += 2) {
        uint32_t *a = room.row, *b = room.row + kSegment;
        gather_row(shape, pixels[first + pixel], i * kSegment, words, a);
        gather_row(shape, pixels[first + (pixel + 1 < some ? pixel + 1 : pixel)], i * kSegment, words, b);
        prepare(a, b, words, room.offset + size_t(pixel / 2) * plan.row_offsets(), room.parity + pixel);
      }
      run_part(Part{shape, room, group, plan.group_bytes(i), plan.row_offsets(), words * 8, 0, some, i > 0,
                    pops + size_t(first) * size_t(stride), stride},
               plan.groups);
    }
  }
}

}  // namespace

const BitTile bit_tile_avx2 = {"avx2", packed_bytes, pack, scratch_bytes, run, 2 * kPairs};

}  // namespace bnn
#pragma GCC pop_options
#endif
