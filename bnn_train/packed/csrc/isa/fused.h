// Tiles whose sums become values while they are still in registers.

// One whole threshold for each channel.
struct SignFinish {
  const EpilogueData& e;
  const EpilogueTile& t;
  int first_pixel;

  template <class Op, int M, int V>
  BNN_INLINE void take(typename Op::Sum (&sum)[M][V]) const {
    const uint64_t flip = e.flip[t.first / 64];
    const size_t several = all_if(e.threshold_classes > 1);
#pragma GCC unroll 24
    for (int i = 0; i < M; ++i) {
      const int32_t* limit = e.int_threshold + t.first + (size_t(t.class_row[first_pixel + i]) & several);
      uint64_t signs = 0;
#pragma GCC unroll 24
      for (int j = 0; j < V; ++j) signs |= uint64_t(greater_i(sum[i][j], load_i(limit + j * kVec))) << (j * kVec);
      store_signs_of<V * kVec / kLanes>(t, t.bits[first_pixel + i], signs ^ flip);
    }
  }
};

// Real values, and bits of at most one threshold.
template <int kSource>
struct RealFinish {
  const EpilogueData& e;
  const EpilogueTile& t;
  int first_pixel;

  template <class Op, int M, int V>
  BNN_INLINE void take(typename Op::Sum (&sum)[M][V]) const {
    uint64_t signs[M] = {};
    const EpilogueTile own = from_pixel(t, first_pixel, M);
    const float* base[M] = {};
    const size_t several = all_if(e.base_classes > 1);
#pragma GCC unroll 24
    for (int i = 0; i < M; ++i) base[i] = e.real_base + (size_t(own.class_row[i]) & several) + own.first;
#pragma GCC unroll 24
    for (int j = 0; j < V; ++j) {
      VF y[M];
#pragma GCC unroll 24
      for (int i = 0; i < M; ++i) {
        y[i] = real_sum(sum[i][j]);
        if (kSource == kFromPops) y[i] = fma_f(y[i], splat_f(e.real_multiplier), load_f(base[i] + j * kVec));
      }
      results<M, 1>(e, own, 0, j * kVec, y, signs);
    }
    if (!e.to_bits) return;
#pragma GCC unroll 24
    for (int i = 0; i < M; ++i) store_signs_of<V * kVec / kLanes>(own, own.bits[i], signs[i]);
  }
};

template <int M, int G>
void sign_tile(const Segment* segment, const Segment* end, const uint8_t* const* pixels, const uint8_t* weights,
               int unit_bytes, const SignFinish& finish) {
  tile_body<OpPops, M, G>(segment, end, pixels, weights, unit_bytes, finish);
}

using SignFn = void (*)(const Segment*, const Segment*, const uint8_t* const*, const uint8_t*, int, const SignFinish&);

template <int G, int... M>
SignFn sign_of(int pixels, std::integer_sequence<int, M...>) {
  static constexpr SignFn kFns[] = {sign_tile<M + 1, G>...};
  return kFns[pixels - 1];
}

template <int G>
SignFn sign_of(int pixels) {
  return sign_of<G>(pixels, std::make_integer_sequence<int, OpPops::tile(G)>());
}

inline SignFn sign_for(int groups, int pixels) {
  if (groups == 4) return sign_of<4>(pixels);
  if (groups == 3) return sign_of<3>(pixels);
  return groups == 2 ? sign_of<2>(pixels) : sign_of<1>(pixels);
}

inline int sign_tiles(const Product& p, const Block& block, const uint8_t* const* pixels, const EpilogueData& e, const EpilogueTile& t) {
  const auto* weights = static_cast<const uint8_t*>(block.weights);
  const int most = OpPops::tile(block.groups);
  for (int i = 0; i < t.count;) {
    const int left = t.count - i, m = left <= most ? left : left < 2 * most ? (left + 1) / 2 : most;
    sign_for(block.groups, m)(p.segments, p.segments + p.runs->end, pixels + i, weights, block.groups * OpPops::kBytes,
                              SignFinish{e, t, i});
    i += m;
  }
  return t.count;
}

template <class Op, int kSource, int G>
__attribute__((noinline)) int real_tiles(const Product& p, const Block& block, const uint8_t* const* pixels, const EpilogueData& e,
                                         const EpilogueTile& t) {
  constexpr int M = Op::tile(G);
  const auto* weights = static_cast<const uint8_t*>(block.weights);
  int i = 0;
  for (; i + M <= t.count; i += M)
    tile_body<Op, M, G>(p.segments, p.segments + p.runs->end, pixels + i, weights, G * Op::kBytes,
                        RealFinish<kSource>{e, t, i});
  return i;
}

template <class Op, int kSource>
int real_tiles(const Product& p, const Block& block, const uint8_t* const* pixels, const EpilogueData& e, const EpilogueTile& t) {
  if (block.groups == 4) return real_tiles<Op, kSource, 4>(p, block, pixels, e, t);
  if (block.groups == 3) return real_tiles<Op, kSource, 3>(p, block, pixels, e, t);
  return block.groups == 2 ? real_tiles<Op, kSource, 2>(p, block, pixels, e, t) : real_tiles<Op, kSource, 1>(p, block, pixels, e, t);
}

inline bool only_signs(const EpilogueData& e) { return !e.to_real && e.levels == 1 && e.int_threshold && e.source != kFromWide; }

// Pixels through product and epilogue at once; returns how many of t.count it did, always the first ones.
inline int fused(const Product& p, const Block& block, const uint8_t* const* pixels, const EpilogueData& e, const EpilogueTile& t) {
  if (p.run_count != 1 || p.runs->coefficient != 1) return 0;
  if (p.kind == kPops && only_signs(e)) return sign_tiles(p, block, pixels, e, t);
  if (!plain_reals(e)) return 0;
  if (p.kind == kPops) return real_tiles<OpPops, kFromPops>(p, block, pixels, e, t);
  if (p.kind == kDot) return real_tiles<OpDot, kFromInt>(p, block, pixels, e, t);
  return p.kind == kFma || p.kind == kFmaInOrder ? real_tiles<OpFma, kFromFloat>(p, block, pixels, e, t) : 0;
}
