// From accumulators to values: the epilogue in registers, one group of lanes of up to 8 pixels at a time, so that each
// channel's numbers are loaded once and each absent line costs one test.

template <int M>
struct Reals {
  VF y[M];
};

inline VF activate(VF y, int kind) {
  if (kind == kRelu) return max_f(zero_f(), y);
  if (kind == kHardtanh) return min_f(splat_f(1.0f), max_f(splat_f(-1.0f), y));
  return y;
}

// The whole-number product of the lanes from `channel` on, rounded to float.
inline VF pops_to_float(const Emit& e, VI acc, const int32_t* base) {
  VI y = sub_i(load_i(base), e.multiplier == 1 ? acc : e.multiplier == 2 ? add_i(acc, acc) : mul_i(acc, splat_i(e.multiplier)));
  if (e.shift > 0) y = shift_right(y, e.shift);
  if (e.shift >= 0) return to_float(y);
  int32_t lanes[kVec];
  store_i(lanes, y);
  for (int32_t& lane : lanes) lane /= e.divisor;
  return to_float(load_i(lanes));
}

inline int64_t wide(const Emit& e, const EmitTile& t, int pixel, int lane) {
  const int32_t* acc = static_cast<const int32_t*>(t.acc) + size_t(pixel) * size_t(t.stride) + lane;
  uint64_t y = 0;
  for (int p = 0; p < e.parts; ++p)
    y += uint64_t(int64_t(acc[size_t(p) * size_t(t.part_stride)])) << e.part_shift[p];
  return int64_t(y);
}

// The same with the correction of each part's offset.
inline VF dynamic_to_float(const Emit& e, const EmitTile& t, int pixel, int lane) {
  float y[kVec];
  for (int l = 0; l < kVec; ++l) {
    const int channel = t.first + lane + l;
    int64_t sum = wide(e, t, pixel, lane + l);
    for (int p = 0; p < e.parts; ++p) sum += e.base[size_t(p) * size_t(e.row) + size_t(channel)];
    y[l] = float(sum);
  }
  return load_f(y);
}

inline VF wide_to_float(const Emit& e, const EmitTile& t, int pixel, int lane) {
  float y[kVec];
  for (int l = 0; l < kVec; ++l) y[l] = float(wide(e, t, pixel, lane + l));
  return load_f(y);
}

// Pixel i's product, lanes lane … of the block, in float.
inline VF source(const Emit& e, const EmitTile& t, int i, int lane) {
  const int32_t* acc = static_cast<const int32_t*>(t.acc) + size_t(i) * size_t(t.stride) + lane;
  const int channel = t.first + lane;
  switch (e.source) {
    case kFromPops: {
      const size_t row = e.base_classes > 1 ? size_t(t.row_class[i]) * size_t(e.row) : 0;
      return pops_to_float(e, load_i(acc), e.base + row + channel);
    }
    case kFromInt: return to_float(load_i(acc));
    case kFromWide: return wide_to_float(e, t, i, lane);
    case kFromDynamic: {
      const VF whole = e.parts > 1 ? dynamic_to_float(e, t, i, lane) : to_float(add_i(load_i(acc), load_i(e.base + channel)));
      return mul_f(whole, splat_f(t.unit[i]));
    }
    case kFromFloat: break;
  }
  return as_f(load_i(acc));
}

inline VF input_scale(const Emit& e, const float* k, int channel) {
  if (e.input_scale_groups == 1) return splat_f(k[0]);
  const int outputs = e.channels / e.input_scale_groups;
  float lanes[kVec];
  for (int l = 0; l < kVec; ++l) lanes[l] = channel + l < e.channels ? k[(channel + l) / outputs] : 0;
  return load_f(lanes);
}

template <int M>
void bias_lines(const Emit& e, const EmitTile& t, int channel, VF (&y)[M]) {
  if (e.bias_classes > 1) {
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) y[i] = add_f(y[i], load_f(e.bias + size_t(t.row_class[i]) * size_t(e.row) + channel));
  } else {
    const VF bias = load_f(e.bias + channel);
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) y[i] = add_f(y[i], bias);
  }
}

template <int M>
void real_lines(const Emit& e, const EmitTile& t, int channel, VF (&y)[M]) {
  if (e.scale) {
    const VF scale = load_f(e.scale + channel);
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) y[i] = mul_f(y[i], scale);
  }
  if (e.has_input_scale) {
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) y[i] = mul_f(y[i], input_scale(e, t.input_scale[i], channel));
  }
  if (e.bias) bias_lines<M>(e, t, channel, y);
  if (e.norm_factor) {
    const VF factor = load_f(e.norm_factor + channel), summand = load_f(e.norm_summand + channel);
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) y[i] = fma_f(y[i], factor, summand);
  }
  if (e.activation != kNone) {
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) y[i] = activate(y[i], int(e.activation));
  }
  if (e.has_residual) {
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) y[i] = add_f(y[i], load_f(t.residual[i] + channel));
  }
  if (e.stream != kNone) {
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) y[i] = activate(y[i], int(e.stream));
  }
}

inline uint32_t flips(const Emit& e, int channel) {
  return uint32_t(e.flip[channel / 64] >> (channel % 64)) & uint32_t((uint64_t(1) << kVec) - 1);
}

// Lanes whose number fails threshold `level`.
inline uint32_t fails(const Emit& e, const EmitTile& t, int i, int lane, int level, VF y) {
  const int channel = t.first + lane;
  if (e.float_threshold) {
    if (e.sign) y = as_f(xor_i(as_i(y), load_i(e.sign + channel)));
    return less_f(y, load_f(e.float_threshold + size_t(level) * size_t(e.row) + channel));
  }
  const size_t row_class = e.threshold_classes > 1 ? size_t(t.row_class[i]) : 0;
  const int32_t* limit = e.int_threshold + (row_class * size_t(e.levels) + size_t(level)) * size_t(e.row) + channel;
  const uint32_t flip = flips(e, channel);
  if (e.source == kFromWide) {
    uint32_t failed = 0;
    for (int l = 0; l < kVec; ++l) {
      const int64_t whole = wide(e, t, i, lane + l);
      failed |= uint32_t(flip >> l & 1 ? whole > limit[l] : whole < limit[l]) << l;
    }
    return failed;
  }
  const int32_t* acc = static_cast<const int32_t*>(t.acc) + size_t(i) * size_t(t.stride) + lane;
  return greater_i(load_i(acc), load_i(limit)) ^ flip;
}

template <int M>
using Signs = uint64_t[8][M];  // of each plane and pixel, the block's 64 channels

template <int M>
void bit_lines(const Emit& e, const EmitTile& t, int lane, const VF* y, Signs<M>& signs) {
  for (int i = 0; i < M; ++i) {
    const VF real = y ? y[i] : zero_f();
    if (e.levels == 1) {
      signs[0][i] |= uint64_t(fails(e, t, i, lane, 0, real)) << lane;
      continue;
    }
    VI passed = splat_i(e.levels);
    for (int level = 0; level < e.levels; ++level)
      passed = count_down(passed, fails(e, t, i, lane, level, real));
    for (int p = 0; p < e.planes; ++p) signs[p][i] |= uint64_t(clear_bit(passed, p)) << lane;
  }
}

template <int M>
void store_signs(const Emit& e, const EmitTile& t, const Signs<M>& signs) {
  const bool two = t.valid >> 32 != 0;
  for (int p = 0; p < e.planes; ++p)
    for (int i = 0; i < M; ++i) {
      uint8_t* to = t.bits[i] + size_t(p) * e.plane_bytes + size_t(t.first / 32) * 4;
      const uint64_t word = signs[p][i] & t.valid;
      if (two)
        std::memcpy(to, &word, 8);
      else
        std::memcpy(to, &word, 4);
    }
}

// Thresholds on the product itself, one for each channel: nothing but comparisons.
template <int M>
void emit_signs(const Emit& e, const EmitTile& t) {
  Signs<M> signs;
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i) signs[0][i] = 0;
  for (int lane = 0; lane < t.groups * kLanes; lane += kVec) bit_lines<M>(e, t, lane, nullptr, signs);
  store_signs<M>(e, t, signs);
}

template <int M>
void emit_tile(const Emit& e, const EmitTile& t) {
  if (!e.to_real && e.levels == 1 && e.int_threshold) return emit_signs<M>(e, t);
  Signs<M> signs;
  for (int p = 0; p < e.planes; ++p)
    for (int i = 0; i < M; ++i) signs[p][i] = 0;
  for (int lane = 0; lane < t.groups * kLanes; lane += kVec) {
    VF y[M];
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) y[i] = source(e, t, i, lane);
    real_lines<M>(e, t, t.first + lane, y);
    if (e.to_real) {
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) store_f(t.out[i] + t.first + lane, y[i]);
    }
    if (e.to_bits) bit_lines<M>(e, t, lane, y, signs);
  }
  if (e.to_bits) store_signs<M>(e, t, signs);
}

inline void emit(const Emit& e, const EmitTile& tile) {
  using Fn = void (*)(const Emit&, const EmitTile&);
  static constexpr Fn kFns[] = {emit_tile<1>, emit_tile<2>, emit_tile<3>, emit_tile<4>,
                                emit_tile<5>, emit_tile<6>, emit_tile<7>, emit_tile<8>};
  EmitTile t = tile;
  const int left = tile.count, step = left % 6 == 0 || left > 8 ? 6 : left;
  for (int i = 0; i < left; i += step) {
    t.count = left - i < step ? left - i : step;
    t.acc = static_cast<const int32_t*>(tile.acc) + size_t(i) * size_t(tile.stride);
    t.out = tile.out + i, t.residual = tile.residual + i, t.input_scale = tile.input_scale + i;
    t.bits = tile.bits + i, t.row_class = tile.row_class + i, t.unit = tile.unit + i;
    kFns[t.count - 1](e, t);
  }
}
