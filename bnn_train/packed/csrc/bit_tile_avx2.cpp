// BitTile for x86 processors with AVX2 and no popcount of vectors; bit_tile_avx2_table.h describes the method.
#include "bit_tile.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <cstring>
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,popcnt")
#endif
#include "bit_tile_avx2_kernel.h"
#include "bit_tile_avx2_pixels.h"

namespace bnn {
namespace {
using namespace lut;

constexpr int kMaxO = 4;    // vectors of filters in a tile
constexpr int kPairs = 48;  // pairs of pixels that are prepared together
constexpr int kRows = 8;    // pixels whose words are gathered together: reading a row at once would wait for its stores
constexpr int kHead = 64;   // bytes of a group before its nibbles: -Σ p of its filters, 16 bits each

constexpr size_t up(size_t n, size_t to) { return (n + to - 1) / to * to; }

// The words of a window in a row, cut into segments whose counts fit in 16 bits; the filters in groups of one vector.
struct Plan {
  int taps, words, segments, groups;
  explicit Plan(const BitShape& s)
      : taps(s.taps),
        words(s.taps * s.words),
        segments((words + kSegment - 1) / kSegment),
        groups((s.outputs + kLanes - 1) / kLanes) {}
  int segment_words(int i) const { return i + 1 < segments ? kSegment : words - i * kSegment; }
  size_t group_bytes(int i) const { return kHead + up(size_t(segment_words(i)) * 8, 2 * (kStep - 1)) / 2 * kLanes; }
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

// The numbers that a call keeps between its loops.
struct Scratch {
  uint8_t* index;    // weight nibbles of a block, a byte each: kBlock × O vectors
  uint16_t* sums;    // Σ r: pairs × O × 4 × 16
  uint16_t* parity;  // Σ p: pairs × 2
  Run* runs;         // where the words of a window lie
  uint32_t* row;     // the words of kRows pixels
  uint16_t* offset;  // pairs × row_offsets
  size_t bytes;
  Scratch(const Plan& plan, void* base) : bytes(0) {
    index = take<uint8_t>(base, size_t(kBlock) * kMaxO * kLanes);
    sums = take<uint16_t>(base, size_t(kPairs) * kMaxO * 64);
    parity = take<uint16_t>(base, kPairs * 2);
    runs = take<Run>(base, size_t(plan.taps) + 1);
    row = take<uint32_t>(base, kRows * up(size_t(plan.segment_words(0)), 8));
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
  size_t stride;
};

// pops = 2 Σ r + Σ p(pixel) - Σ p(filter) of one vector of filters and one pair, whose rows are `stride` apart.
inline void finish(const __m256i (&r)[4], const __m256i (&own)[2], const uint8_t* head, int32_t* to, size_t stride) {
  const __m256i zero = _mm256_setzero_si256();
  BNN_UNROLL for (int i = 0; i < 4; ++i) {
    const __m256i v = _mm256_add_epi16(_mm256_add_epi16(r[i], r[i]), _mm256_add_epi16(load(head + i / 2 * 32), own[i % 2]));
    int32_t* eight = to + (i % 2 ? stride : 0) + i / 2 * 16;
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(eight), _mm256_unpacklo_epi16(v, zero));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(eight + 8), _mm256_unpackhi_epi16(v, zero));
  }
}

// Where rows end within the vectors, the pair is half a one, or an earlier segment's pops are to be added to.
__attribute__((noinline)) void copy_part(const Part& part, int pixel, const int32_t* from, int filters) {
  const int left = part.shape.outputs - part.filter, count = left < filters ? left : filters;
  for (int i = 0; i < 2 && pixel + i < part.count; ++i, from += filters) {
    int32_t* to = part.pops + size_t(pixel + i) * part.stride + part.filter;
    for (int f = 0; f < count; ++f) to[f] = from[f] + (part.again ? to[f] : 0);
  }
}

// The end of a block: to 16 bits, onto the blocks before it, and from the last one to pops.
template <int O>
inline void settle(const Part& part, int pair, const __m256i* total, const __m256i* high, bool first, bool last) {
  uint16_t* kept = part.room.sums + pair * O * 64;
  const int pixel = 2 * pair;
  const bool whole = !part.again && pixel + 2 <= part.count && part.filter + O * kLanes <= part.shape.outputs;
  const __m256i own[2] = {_mm256_set1_epi16(static_cast<int16_t>(part.room.parity[pixel])),
                          _mm256_set1_epi16(static_cast<int16_t>(part.room.parity[pixel + 1]))};
  alignas(32) int32_t some[2 * O * kLanes];
  int32_t* to = whole ? part.pops + size_t(pixel) * part.stride + part.filter : some;
  const size_t stride = whole ? part.stride : O * kLanes;
  const uint8_t* head = part.group;
  BNN_UNROLL for (int o = 0; o < O; ++o, kept += 64, to += kLanes, head += part.group_bytes) {
    __m256i r[4];
    split(total[o], high[o], r);
    if (!first)
      BNN_UNROLL for (int k = 0; k < 4; ++k) r[k] = _mm256_add_epi16(r[k], load(kept + k * 16));
    if (last)
      finish(r, own, head, to, stride);
    else
      BNN_UNROLL for (int k = 0; k < 4; ++k) store(kept + k * 16, r[k]);
  }
  if (last && !whole) copy_part(part, pixel, some, O * kLanes);
}

template <template <int> class Index, int P, int O>
inline void tile(const Part& part, const uint8_t* index, int begin, int count, int pair) {
  const uint16_t* offset[P];
  BNN_UNROLL for (int p = 0; p < P; ++p) offset[p] = part.room.offset + size_t(pair + p) * part.row_offsets + begin;
  Sums<P * O> sums;
  block_sums<Index, P, O>(index, part.group_bytes, offset, count, sums);
  const bool last = begin + count == part.nibbles;
  BNN_UNROLL for (int p = 0; p < P; ++p)
    settle<O>(part, pair + p, sums.total + p * O, sums.high + p * O, begin == 0, last);
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
    for (int j = count; j % kStep; ++j, to += O * kLanes) store(to, _mm256_setzero_si256());
  }
}

// O vectors of filters for all pixels, P pairs at a time; the weights of a block are unpacked once for all of them ...
template <int P, int O>
void many(const Part& part) {
  const int pairs = (part.count + 1) / 2;
  for (int begin = 0; begin < part.nibbles; begin += kBlock) {
    const int count = part.nibbles - begin < kBlock ? part.nibbles - begin : kBlock;
    spread<O>(part, begin, count);
    int pair = 0;
    for (; pair + P <= pairs; pair += P) tile<Spread, P, O>(part, part.room.index, begin, count, pair);
    for (; pair < pairs; ++pair) tile<Spread, 1, O>(part, part.room.index, begin, count, pair);
  }
}

// ... or, for few pixels, where they are used.
template <int P, int O>
void few(const Part& part) {
  for (int begin = 0; begin < part.nibbles; begin += kBlock) {
    const int count = part.nibbles - begin < kBlock ? part.nibbles - begin : kBlock;
    tile<Packed, P, O>(part, part.group + kHead + begin / 2 * kLanes, begin, count, 0);
  }
}

template <int O>
void run_groups(const Part& part) {
  switch ((part.count + 1) / 2) {
    case 1: return few<1, O>(part);
    case 2: return few<2, O>(part);
    default: return O == 4 ? many<1, O>(part) : many<3, O>(part);
  }
}

void run_part(Part part, int groups) {
  while (groups > 0) {
    const int some = groups < kMaxO ? groups : kMaxO;
    switch (some) {
      case 1: run_groups<1>(part); break;
      case 2: run_groups<2>(part); break;
      case 3: run_groups<3>(part); break;
      default: run_groups<4>(part);
    }
    groups -= some, part.group += size_t(some) * part.group_bytes, part.filter += some * kLanes;
  }
}

void prepare_rows(const Plan& plan, const Scratch& room, int found, int words, const uint32_t* const* pixels, int first,
                  int count) {
  const size_t row = up(size_t(words), 8);
  for (int i = 0; i < count; ++i) gather(room.runs, found, pixels[first + i], words, room.row + size_t(i) * row);
  for (int i = 0; i < count; i += 2) {
    const uint32_t* a = room.row + size_t(i) * row;
    prepare(a, i + 1 < count ? a + row : a, words, room.offset + size_t(first + i) / 2 * plan.row_offsets(),
            room.parity + first + i);
  }
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
      const int found = find_runs(shape, i * kSegment, words, room.runs);
      for (int pixel = 0; pixel < some; pixel += kRows)
        prepare_rows(plan, room, found, words, pixels + first, pixel, some - pixel < kRows ? some - pixel : kRows);
      run_part(Part{shape, room, group, plan.group_bytes(i), plan.row_offsets(), words * 8, 0, some, i > 0,
                    pops + size_t(first) * size_t(stride), size_t(stride)},
               plan.groups);
    }
  }
}

}  // namespace

const BitTile bit_tile_avx2 = {"avx2", packed_bytes, pack, scratch_bytes, run, 2 * kPairs};

}  // namespace bnn
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
