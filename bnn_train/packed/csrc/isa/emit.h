// From accumulators to values: the epilogue in registers, one vector of channels of up to 6 pixels at a time, so that each
// channel's numbers are loaded once and each absent line costs one test. Rare kinds of products are made real beforehand,
// and rare kinds of results take the way of emit_rest.
#include "emit_rare.h"

constexpr int kEmitPixels = 6;

template <int M, int kSource>
void source(const Emit& e, const EmitTile& t, int lane, const int32_t* const (&base)[M], VF (&y)[M]) {
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i) {
    const int32_t* acc = acc_of(t, i, lane);
    if constexpr (kSource == kFromPops) {
      const VI pops = twice_or_more(load_i(acc), e.multiplier);
      y[i] = to_float(shift_right(sub_i(load_i(base[i] + lane), pops), e.shift));
    } else if constexpr (kSource == kFromInt) {
      y[i] = to_float(load_i(acc));
    } else if constexpr (kSource == kFromWide) {
      y[i] = sum_parts(acc, e.parts, t.part_stride, e.part_factor);
    } else {
      y[i] = as_f(load_i(acc));
    }
  }
}

template <int M>
BNN_INLINE void real_lines(const Emit& e, const EmitTile& t, int channel, VF (&y)[M]) {
  if (e.scale) {
    const VF scale = load_f(e.scale + channel);
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) y[i] = mul_f(y[i], scale);
  }
  if (e.has_input_scale) {
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) y[i] = mul_f(y[i], splat_f(*t.input_scale[i]));
  }
  if (e.bias) {
    const size_t step = e.bias_classes > 1 ? size_t(e.row) : 0;
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) y[i] = add_f(y[i], load_f(e.bias + size_t(t.row_class[i]) * step + channel));
  }
  if (e.norm_factor) {
    const VF factor = load_f(e.norm_factor + channel), summand = load_f(e.norm_summand + channel);
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) y[i] = fma_f(y[i], factor, summand);
  }
  if (e.activation != kNone) {
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) y[i] = activate(y[i], e.activation);
  }
  if (e.has_residual) {
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) y[i] = add_f(y[i], load_f(t.residual[i] + channel));
  }
  if (e.stream != kNone) {
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) y[i] = activate(y[i], e.stream);
  }
}

// One whole threshold for each channel: the failing lanes are the signs, and nothing else is wanted.
template <int M>
void emit_signs(const Emit& e, const EmitTile& t) {
  const uint64_t flip = e.flip[t.first / 64];
  const size_t step = e.threshold_classes > 1 ? size_t(e.row) : 0;
  const int32_t* limit = e.int_threshold + t.first;
  for (int i = 0; i < M; ++i) {
    const int32_t *acc = acc_of(t, i, 0), *own = limit + size_t(t.row_class[i]) * step;
    uint64_t signs = 0;
    for (int lane = 0; lane < t.groups * kLanes; lane += kVec)
      signs |= uint64_t(greater_i(load_i(acc + lane), load_i(own + lane))) << lane;
    store_signs(t, t.bits[i], signs ^ flip);
  }
}

// From products to what is wanted of them, and the block's signs from `lane` on.
template <int M>
BNN_INLINE void results(const Emit& e, const EmitTile& t, int lane, VF (&y)[M], uint64_t (&signs)[M]) {
  const int channel = t.first + lane;
  real_lines<M>(e, t, channel, y);
  if (e.to_real) {
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) store_f(t.out[i] + channel, y[i]);
  }
  if (!e.to_bits) return;
  if (e.sign) {
    const VI sign = load_i(e.sign + channel);
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) y[i] = as_f(xor_i(as_i(y[i]), sign));
  }
  const VF limit = load_f(e.float_threshold + channel);
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i) signs[i] |= uint64_t(less_f(y[i], limit)) << lane;
}

// Real values, and bits of at most one threshold. Every loop over pixels is unrolled: y stays in registers.
template <int M, int kSource>
void emit_reals(const Emit& e, const EmitTile& t) {
  uint64_t signs[M] = {};
  const int32_t* base[M] = {};
  const size_t step = e.base_classes > 1 ? size_t(e.row) : 0;
  if (kSource == kFromPops) {
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) base[i] = e.base + size_t(t.row_class[i]) * step + t.first;
  }
  for (int lane = 0; lane < t.groups * kLanes; lane += kVec) {
    VF y[M];
    source<M, kSource>(e, t, lane, base, y);
    results<M>(e, t, lane, y, signs);
  }
  if (!e.to_bits) return;
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i) store_signs(t, t.bits[i], signs[i]);
}

using EmitFn = void (*)(const Emit&, const EmitTile&);

template <int kSource>
EmitFn reals_of(int count) {
  static constexpr EmitFn kFns[] = {emit_reals<1, kSource>, emit_reals<2, kSource>, emit_reals<3, kSource>,
                                    emit_reals<4, kSource>, emit_reals<5, kSource>, emit_reals<6, kSource>};
  return kFns[count - 1];
}

inline EmitFn fn_of(const Emit& e, int count) {
  static constexpr EmitFn kSigns[] = {emit_signs<1>, emit_signs<2>, emit_signs<3>,
                                      emit_signs<4>, emit_signs<5>, emit_signs<6>};
  if (!e.to_real && e.levels == 1 && e.int_threshold && e.source != kFromWide) return kSigns[count - 1];
  if (e.levels > 1 || e.int_threshold || e.input_scale_groups > 1) return emit_rest;
  if (e.source == kFromPops && e.shift >= 0) return reals_of<kFromPops>(count);
  if (e.source == kFromInt) return reals_of<kFromInt>(count);
  if (e.source == kFromWide && e.wide_in_doubles) return reals_of<kFromWide>(count);
  if (e.source == kFromFloat) return reals_of<kFromFloat>(count);
  return emit_rest;
}


inline void emit(const Emit& emit, const EmitTile& tile) {
  const Emit e = emit;  // a copy of our own: no store through a pointer can change it
  for (int i = 0; i < tile.count; i += kEmitPixels) {
    const int count = tile.count - i < kEmitPixels ? tile.count - i : kEmitPixels;
    fn_of(e, count)(e, from_pixel(tile, i, count));
  }
}
