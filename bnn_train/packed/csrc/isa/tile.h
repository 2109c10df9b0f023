// The micro-kernel: M pixels times G groups of 16 output channels. Weights stand in registers, each unit of a pixel is
// broadcast from memory; one body for signs, bytes and floats.

#define BNN_INLINE inline __attribute__((always_inline))

constexpr int kAhead = 4096;  // bytes: measured, one pixel by 9216 × 4096 signs

// The destination of a tile's sums: times `coefficient`, and added to what is there or stored.
struct Sink {
  int32_t* acc;
  int stride, coefficient;
  bool add;

  template <class Op, int M, int V>
  BNN_INLINE void take(typename Op::Sum (&sum)[M][V]) const {
    if (add || coefficient != 1) {
#pragma GCC unroll 24
      for (int i = 0; i < M; ++i)
#pragma GCC unroll 24
        for (int j = 0; j < V; ++j) Op::combine(acc + i * stride + j * kVec, sum[i][j], coefficient, add);
      return;
    }
#pragma GCC unroll 24
    for (int i = 0; i < M; ++i)
#pragma GCC unroll 24
      for (int j = 0; j < V; ++j) Op::store(acc + i * stride + j * kVec, sum[i][j]);
  }
};

// Whether an Op multiplies by x - 128 in place of x, so that its sums owe 128 Σ w.
template <class Op, class = void>
constexpr bool kFromMiddle = false;
template <class Op>
constexpr bool kFromMiddle<Op, std::void_t<decltype(Op::from_middle(Op::zero(), Op::zero()))>> = true;

template <class Op, int M, int G, class Finish>
BNN_INLINE void tile_body(const Segment* segment, const Segment* end, const uint8_t* const* pixels, const uint8_t* weights,
                          int unit_bytes, const Finish& finish) {
  constexpr int kVectors = G * kLanes / kVec;
  constexpr int kStep = Op::kBytes * kVec / kLanes;  // bytes of one vector's weights
  typename Op::Sum sum[M][kVectors];
#pragma GCC unroll 24
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 24
    for (int j = 0; j < kVectors; ++j) sum[i][j] = Op::zero();
  [[maybe_unused]] typename Op::Sum below[kVectors];
  if constexpr (kFromMiddle<Op>) {
#pragma GCC unroll 24
    for (int j = 0; j < kVectors; ++j) below[j] = Op::zero();
  }
  const uint8_t* x[M];
#pragma GCC unroll 24
  for (int i = 0; i < M; ++i) x[i] = pixels[i];
  for (; segment != end; ++segment) {
    const uint8_t* w = weights + size_t(segment->w) * size_t(unit_bytes);
    const int32_t *at = segment->x, *last = at + segment->n;
    for (; at != last; ++at, w += unit_bytes) {
      const int64_t k = *at;
      if constexpr (M == 1) {  // nothing but weights, each read once: they come from far away
#pragma GCC unroll 4
        for (int line = 0; line < G * Op::kBytes; line += 64) __builtin_prefetch(w + kAhead + line);
      }
      typename Op::Weight wv[kVectors];
#pragma GCC unroll 24
      for (int j = 0; j < kVectors; ++j) wv[j] = Op::weight(w + j * kStep);
      if constexpr (kFromMiddle<Op>) {
#pragma GCC unroll 24
        for (int j = 0; j < kVectors; ++j) below[j] = Op::below(below[j], wv[j]);
      }
#pragma GCC unroll 24
      for (int i = 0; i < M; ++i) {
        const typename Op::Input xv = Op::input(x[i] + k);
#pragma GCC unroll 24
        for (int j = 0; j < kVectors; ++j) sum[i][j] = Op::step(sum[i][j], wv[j], xv);
      }
    }
  }
  typename Op::Sum done[M][kVectors];
#pragma GCC unroll 24
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 24
    for (int j = 0; j < kVectors; ++j) {
      typename Op::Sum r = sum[i][j];
      if constexpr (kFromMiddle<Op>) r = Op::from_middle(r, below[j]);
      pin(r);
      done[i][j] = r;
    }
  finish.template take<Op, M, kVectors>(done);
}

template <class Op, int M, int G>
void tile(const Segment* segment, const Segment* end, const uint8_t* const* pixels, const uint8_t* weights, int unit_bytes,
          const Sink& sink) {
  tile_body<Op, M, G>(segment, end, pixels, weights, unit_bytes, sink);
}

using TileFn = void (*)(const Segment*, const Segment*, const uint8_t* const*, const uint8_t*, int, const Sink&);

// Tiles of 1, 2, … pixels; M counts from 0.
template <class Op, int G, int... M>
TileFn tile_of(int pixels, std::integer_sequence<int, M...>) {
  static constexpr TileFn kFns[] = {tile<Op, M + 1, G>...};
  return kFns[pixels - 1];
}

template <class Op, int G>
TileFn tile_of(int pixels) {
  return tile_of<Op, G>(pixels, std::make_integer_sequence<int, Op::tile(G)>());
}

template <class Op>
TileFn tile_for(int groups, int pixels) {
  if constexpr (kGroups > 1) {
    if (groups == 4) return tile_of<Op, 4>(pixels);
    if (groups == 3) return tile_of<Op, 3>(pixels);
    if (groups == 2) return tile_of<Op, 2>(pixels);
  }
  (void)groups;
  return tile_of<Op, 1>(pixels);
}

// The weights of a block's groups from `group` on.
template <class Op>
const uint8_t* weights_of(const Product& p, const Block& block, int group) {
  const size_t before = kGroups > 1 ? size_t(group) : size_t(group) * size_t(p.units);
  return static_cast<const uint8_t*>(block.weights) + before * Op::kBytes;
}

template <class Op>
void product_with(const Product& p, const Block& block, const uint8_t* const* pixels, int count, int32_t* acc, int stride,
                  int part_stride) {
  const int unit_bytes = (kGroups > 1 ? block.groups : 1) * Op::kBytes;
  for (int g = 0; g < block.groups; g += kGroups) {
    const int groups = block.groups - g < kGroups ? block.groups - g : kGroups;
    const uint8_t* weights = weights_of<Op>(p, block, g);
    const int most = Op::tile(groups);
    for (int i = 0; i < count;) {
      const int left = count - i;
      const int m = left <= most ? left : left < 2 * most ? (left + 1) / 2 : most;
      const TileFn fn = tile_for<Op>(groups, m);
      int seen = -1;
      for (const Run* run = p.runs; run != p.runs + p.run_count; ++run) {
        int32_t* to = acc + size_t(run->part) * size_t(part_stride) + size_t(i) * size_t(stride) + g * kLanes;
        fn(p.segments + run->begin, p.segments + run->end, pixels + i, weights, unit_bytes,
           Sink{to, stride, run->coefficient, run->part == seen});
        seen = run->part;
      }
      i += m;
    }
  }
}

inline void product(const Product& p, const Block& block, const uint8_t* const* pixels, int count, int32_t* acc, int stride,
                    int part_stride) {
  switch (p.kind) {
    case kPops:
      if constexpr (kTilePops) product_with<OpPops>(p, block, pixels, count, acc, stride, part_stride);
      break;
    case kDot: product_with<OpDot>(p, block, pixels, count, acc, stride, part_stride); break;
    case kPairs:
      if constexpr (kTakesPairs) product_with<OpPairs>(p, block, pixels, count, acc, stride, part_stride);
      break;
    case kFma: product_with<OpFma>(p, block, pixels, count, acc, stride, part_stride); break;
    case kFmaInOrder: product_with<OpFmaInOrder>(p, block, pixels, count, acc, stride, part_stride); break;
    case kFmaBf16: product_with<OpFmaBf16>(p, block, pixels, count, acc, stride, part_stride); break;
  }
}

inline void add_pops(int32_t* sum, const int32_t* pops, int coefficient, int add, int count) {
  for (int i = 0; i < count; ++i) sum[i] = (add ? sum[i] : 0) + coefficient * pops[i];
}
