// From accumulators to values: the epilogue in registers, one vector of channels of up to 6 pixels at a time, so that each
// channel's numbers are loaded once and each absent line costs one test. Rare kinds of products are made real beforehand,
// and rare kinds of results take the way of write_any.
#include "epilogue_any.h"

constexpr int kAtOnce = 6;

template <int M, int kSource>
void source(const EpilogueData& e, const EpilogueTile& t, int lane, const int32_t* const (&base)[M], VF (&y)[M]) {
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) {
    const int32_t* acc = acc_of(t, i, lane);
    if constexpr (kSource == kFromPops) {
      const VI pops = twice_or_more(load_i(acc), e.multiplier);
      y[i] = to_float(shift_right(sub_i(load_i(base[i] + lane), pops), e.shift));
    } else if constexpr (kSource == kFromInt) {
      y[i] = to_float(load_i(acc));
    } else if constexpr (kSource == kFromWide) {
      y[i] = sum_parts(acc, e.parts, t.part_stride, e.part_factor);
    } else if constexpr (kSource == kFromDynamic) {
      y[i] = mul_f(to_float(add_i(load_i(acc), load_i(base[i] + lane))), splat_f(t.unit[i]));
    } else {
      y[i] = as_f(load_i(acc));
    }
  }
}

// The lines of pixels `first` … first + M − 1, for V vectors of channels from `channel` on: y[vector · M + pixel].
template <int M, int V>
BNN_INLINE void real_lines(const EpilogueData& e, const EpilogueTile& t, int first, int channel, VF (&y)[V * M]) {
  if (e.scale) {
#pragma GCC unroll 16
    for (int k = 0; k < V * M; ++k) y[k] = mul_f(y[k], load_f(e.scale + channel + k / M * kVec));
  }
  if (e.has_input_scale) {
#pragma GCC unroll 16
    for (int k = 0; k < V * M; ++k) y[k] = mul_f(y[k], splat_f(*t.input_scale[first + k % M]));
  }
  if (e.bias) {
    const size_t several = all_if(e.bias_classes > 1);
    const float* bias = e.bias + channel;
#pragma GCC unroll 16
    for (int k = 0; k < V * M; ++k)
      y[k] = add_f(y[k], load_f(bias + (size_t(t.class_row[first + k % M]) & several) + k / M * kVec));
  }
  if (e.has_gate) {
#pragma GCC unroll 16
    for (int k = 0; k < V * M; ++k) y[k] = mul_f(y[k], load_f(t.gate[first + k % M] + channel + k / M * kVec));
  }
  if (e.norm_factor) {
    const float *factor = e.norm_factor + channel, *summand = e.norm_summand + channel;
#pragma GCC unroll 16
    for (int k = 0; k < V * M; ++k) y[k] = fma_f(y[k], load_f(factor + k / M * kVec), load_f(summand + k / M * kVec));
  }
  if (e.activation.kind != kNone) {
#pragma GCC unroll 16
    for (int k = 0; k < V * M; ++k) y[k] = activate(y[k], e.activation, channel + k / M * kVec);
  }
  if (e.has_residual) {
#pragma GCC unroll 16
    for (int k = 0; k < V * M; ++k) y[k] = add_f(y[k], load_f(t.residual[first + k % M] + channel + k / M * kVec));
  }
  if (e.stream.kind != kNone) {
#pragma GCC unroll 16
    for (int k = 0; k < V * M; ++k) y[k] = activate(y[k], e.stream, channel + k / M * kVec);
  }
}

// One whole threshold for each channel: the failing lanes are the signs, and nothing else is wanted.
template <int M>
void write_signs(const EpilogueData& e, const EpilogueTile& t) {
  const uint64_t flip = e.flip[t.first / 64];
  const size_t several = all_if(e.threshold_classes > 1);
  const int32_t* limit = e.int_threshold + t.first;
  for (int i = 0; i < M; ++i) {
    const int32_t *acc = acc_of(t, i, 0), *own = limit + (size_t(t.class_row[i]) & several);
    uint64_t signs = 0;
    for (int lane = 0; lane < t.groups * kLanes; lane += kVec)
      signs |= uint64_t(greater_i(load_i(acc + lane), load_i(own + lane))) << lane;
    store_signs(t, t.bits[i], signs ^ flip);
  }
}

// From products to what is wanted of them, and the block's signs from `lane` on.
template <int M, int V>
BNN_INLINE void results(const EpilogueData& e, const EpilogueTile& t, int first, int lane, VF (&y)[V * M], uint64_t (&signs)[M]) {
  const int channel = t.first + lane;
  real_lines<M, V>(e, t, first, channel, y);
  if (e.to_real) {
#pragma GCC unroll 16
    for (int k = 0; k < V * M; ++k) store_f(t.out[first + k % M] + channel + k / M * kVec, y[k]);
  }
  if (!e.to_bits) return;
  if (e.sign) {
#pragma GCC unroll 16
    for (int k = 0; k < V * M; ++k) y[k] = as_f(xor_i(as_i(y[k]), load_i(e.sign + channel + k / M * kVec)));
  }
  const float* limit = e.float_threshold + channel;
#pragma GCC unroll 16
  for (int k = 0; k < V * M; ++k) signs[k % M] |= uint64_t(less_f(y[k], load_f(limit + k / M * kVec))) << (lane + k / M * kVec);
}

template <int M, int kSource>
BNN_INLINE void base_rows(const EpilogueData& e, const EpilogueTile& t, const int32_t* (&base)[M]) {
  const size_t several = all_if(kSource == kFromPops && e.base_classes > 1);
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) base[i] = e.base ? e.base + (size_t(t.class_row[i]) & several) + t.first : nullptr;
}

// Real values, and bits of at most one threshold. Every loop over pixels is unrolled: y stays in registers.
template <int M, int kSource>
void write_reals(const EpilogueData& e, const EpilogueTile& t) {
  uint64_t signs[M] = {};
  const int32_t* base[M];
  base_rows<M, kSource>(e, t, base);
  for (int lane = 0; lane < t.groups * kLanes; lane += kVec) {
    VF y[M];
    source<M, kSource>(e, t, lane, base, y);
    results<M, 1>(e, t, 0, lane, y, signs);
  }
  if (!e.to_bits) return;
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) store_signs(t, t.bits[i], signs[i]);
}

// The lanes of pixel 0 at each threshold in turn: each(level, lanes that fail).
template <class Each>
BNN_INLINE void each_failure(const EpilogueData& e, const EpilogueTile& t, int lane, VF y, const Each& each) {
  const size_t row = size_t(e.row);
  if (e.float_threshold) {
    const float* limit = e.float_threshold + t.first + lane;
    if (e.sign) y = as_f(xor_i(as_i(y), load_i(e.sign + t.first + lane)));
    for (int l = 0; l < e.levels; ++l, limit += row) each(l, less_f(y, load_f(limit)));
    return;
  }
  const size_t class_row = e.threshold_classes > 1 ? size_t(*t.class_row) : 0;
  const int32_t* limit = e.int_threshold + class_row * size_t(e.levels) + t.first + lane;
  const uint32_t flip = uint32_t(e.flip[t.first / 64] >> lane) & uint32_t((uint64_t(1) << kVec) - 1);
  const VI acc = load_i(acc_of(t, 0, lane));
  for (int l = 0; l < e.levels; ++l, limit += row) each(l, greater_i(acc, load_i(limit)) ^ flip);
}

// The signs of a vector's lanes, into every plane.
BNN_INLINE void add_planes(const EpilogueData& e, const EpilogueTile& t, int lane, VF y, uint64_t (&planes)[8]) {
  if (e.apart) {
    each_failure(e, t, lane, y, [&](int l, uint32_t failed) { planes[l] |= uint64_t(failed) << lane; });
    return;
  }
  VI passed = splat_i(e.levels);
  each_failure(e, t, lane, y, [&](int, uint32_t failed) { passed = count_down(passed, failed); });
  for (int p = 0; p < e.planes; ++p) planes[p] |= uint64_t(clear_bit(passed, p)) << lane;
}

// Codes of several planes, and perhaps real values.
template <int kSource>
void write_codes(const EpilogueData& e, const EpilogueTile& tile) {
  for (int i = 0; i < tile.count; ++i) {
    const EpilogueTile t = from_pixel(tile, i, 1);
    uint64_t planes[8] = {};
    const int32_t* base[1];
    base_rows<1, kSource>(e, t, base);
    for (int lane = 0; lane < t.groups * kLanes; lane += kVec) {
      VF y[1] = {zero_f()};
      if (e.to_real || e.float_threshold) {
        source<1, kSource>(e, t, lane, base, y);
        real_lines<1, 1>(e, t, 0, t.first + lane, y);
      }
      if (e.to_real) store_f(t.out[0] + t.first + lane, y[0]);
      add_planes(e, t, lane, y[0], planes);
    }
    for (int p = 0; p < e.planes; ++p) store_signs(t, t.bits[0] + size_t(p) * e.plane_bytes, planes[p]);
  }
}

// One pixel's term of a product of planes with factors.
inline void add_term(const Term& term, const int32_t* pops, int class_row, int first, int channels, float* sum, int add) {
  const int32_t* base = term.base + (size_t(class_row) & term.several) + first;
  for (int c = 0; c < channels; c += kVec) {
    VF y;
    if (term.shift >= 0) {
      y = to_float(shift_right(sub_i(load_i(base + c), twice_or_more(load_i(pops + c), term.multiplier)), term.shift));
    } else {
      float lanes[kVec] = {};
      for (int l = 0; l < kVec && c + l < channels; ++l)
        lanes[l] = float((base[c + l] - term.multiplier * pops[c + l]) / term.divisor);
      y = load_f(lanes);
    }
    if (term.factor) y = mul_f(y, load_f(term.factor + first + c));
    store_f(sum + c, add ? add_f(load_f(sum + c), y) : y);
  }
}

using WriteFn = void (*)(const EpilogueData&, const EpilogueTile&);

template <int kSource>
WriteFn reals_of(int count) {
  static constexpr WriteFn kFns[] = {write_reals<1, kSource>, write_reals<2, kSource>, write_reals<3, kSource>,
                                    write_reals<4, kSource>, write_reals<5, kSource>, write_reals<6, kSource>};
  return kFns[count - 1];
}

template <int kSource>
WriteFn fn_from(const EpilogueData& e, int count) {
  return e.levels > 1 || e.int_threshold ? write_codes<kSource> : reals_of<kSource>(count);
}

inline WriteFn fn_of(const EpilogueData& e, int count) {
  static constexpr WriteFn kSigns[] = {write_signs<1>, write_signs<2>, write_signs<3>,
                                      write_signs<4>, write_signs<5>, write_signs<6>};
  if (!e.to_real && e.levels == 1 && e.int_threshold && e.source != kFromWide) return kSigns[count - 1];
  if (e.input_scale_groups > 1) return write_any;
  if (e.source == kFromPops && e.shift >= 0) return fn_from<kFromPops>(e, count);
  if (e.source == kFromInt) return fn_from<kFromInt>(e, count);
  if (e.source == kFromFloat) return fn_from<kFromFloat>(e, count);
  if (e.source == kFromDynamic && e.parts == 1) return fn_from<kFromDynamic>(e, count);
  if (e.source == kFromWide && e.wide_in_doubles && !e.int_threshold) return fn_from<kFromWide>(e, count);
  return write_any;
}

inline void epilogue(const EpilogueData& data, const EpilogueTile& tile) {
  const EpilogueData e = data;  // a copy of our own: no store through a pointer can change it
  for (int i = 0; i < tile.count; i += kAtOnce) {
    const int count = tile.count - i < kAtOnce ? tile.count - i : kAtOnce;
    fn_of(e, count)(e, from_pixel(tile, i, count));
  }
}

inline VF real_sum(VI sum) { return to_float(sum); }
inline VF real_sum(VF sum) { return sum; }

// Whether sums in registers can become values there.
inline bool plain_reals(const EpilogueData& e) {
  return e.levels <= 1 && !e.int_threshold && e.input_scale_groups <= 1 &&
         ((e.source == kFromPops && e.real_base) || e.source == kFromInt || e.source == kFromFloat);
}
