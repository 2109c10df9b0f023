// Tiles of one group of 16 channels whose sums become values while they are still in registers.

constexpr int kRow = 96;  // pixels for which a group's weights are fetched once: measured, 24 and 48 cost up to 9 % more

template <int kSource>
struct NarrowFinish {
  const EpilogueData& e;
  const EpilogueTile& t;
  int first_pixel, lane;
  uint64_t* signs;

  template <class Op, int M, int V>
  BNN_INLINE void take(typename Op::Sum (&sum)[M][V]) const {
    uint64_t found[M] = {};
    VF y[V * M];
#pragma GCC unroll 24
    for (int k = 0; k < V * M; ++k) y[k] = real_sum(sum[k % M][k / M]);
    results<M, V>(e, t, first_pixel, lane, y, found);
    if (!e.to_bits) return;
#pragma GCC unroll 24
    for (int i = 0; i < M; ++i) signs[i] |= found[i];
  }
};

template <class Op, int kSource, int M>
void narrow_tile(const Segment* segment, const Segment* end, const uint8_t* const* pixels, const uint8_t* weights,
                 const NarrowFinish<kSource>& finish) {
  tile_body<Op, M, 1>(segment, end, pixels, weights, Op::kBytes, finish);
}

template <int kSource>
using NarrowFn = void (*)(const Segment*, const Segment*, const uint8_t* const*, const uint8_t*, const NarrowFinish<kSource>&);

template <class Op, int kSource, int... M>
NarrowFn<kSource> narrow_of(int pixels, std::integer_sequence<int, M...>) {
  static constexpr NarrowFn<kSource> kFns[] = {narrow_tile<Op, kSource, M + 1>...};
  return kFns[pixels - 1];
}

template <class Op, int kSource>
int narrow_tiles(const Product& p, const Block& block, const uint8_t* const* pixels, const EpilogueData& e, const EpilogueTile& t) {
  constexpr int kMost = Op::tile(1);
  for (int row = 0; row < t.count; row += kRow) {
    const int end = t.count - row < kRow ? t.count : row + kRow;
    uint64_t signs[kRow] = {};
    for (int g = 0; g < block.groups; ++g)
      for (int i = row; i < end;) {
        const int left = end - i, m = left <= kMost ? left : left < 2 * kMost ? (left + 1) / 2 : kMost;
        narrow_of<Op, kSource>(m, std::make_integer_sequence<int, kMost>())(
            p.segments + p.runs->begin, p.segments + p.runs->end, pixels + i, weights_of<Op>(p, block, g),
            NarrowFinish<kSource>{e, t, i, g * kLanes, signs + (i - row)});
        i += m;
      }
    for (int i = row; e.to_bits && i < end; ++i) store_signs(t, t.bits[i], signs[i - row]);
  }
  return t.count;
}

// Pixels through product and epilogue at once; returns how many of t.count it did: all, or none where the sums have parts or the
// values are codes.
inline int fused(const Product& p, const Block& block, const uint8_t* const* pixels, const EpilogueData& data, const EpilogueTile& t) {
  const EpilogueData e = data;  // a copy of our own: no store through a pointer can change it
  if (p.run_count != 1 || p.runs->coefficient != 1 || !plain_reals(e)) return 0;
  if (p.kind == kDot && e.source == kFromInt) return narrow_tiles<OpDot, kFromInt>(p, block, pixels, e, t);
  if (p.kind == kPairs && e.source == kFromInt) return narrow_tiles<OpPairs, kFromInt>(p, block, pixels, e, t);
  return p.kind == kFma || p.kind == kFmaInOrder ? narrow_tiles<OpFma, kFromFloat>(p, block, pixels, e, t) : 0;
}
