// The parts that all epilogues share, and the epilogue of any product and any result, a pixel at a time.

// 1/(1 + e^-y) as packed/reference/sigmoid.py has it, operation by operation.
inline float sigmoid(float y) {
  if (y != y) return y;
  static constexpr double kCoefficients[] = {1.0 / 1,       1.0 / 1,        1.0 / 2,         1.0 / 6,          1.0 / 24,
                                             1.0 / 120,     1.0 / 720,      1.0 / 5040,      1.0 / 40320,      1.0 / 362880,
                                             1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0};
  const double size = double(__builtin_fabsf(y)), t = -(size < 104.0 ? size : 104.0);
  const double k = __builtin_rint(t * 0x1.71547652b82fep+0);
  const double r = (t - k * 0x1.62e42feep-1) - k * 0x1.a39ef35793c76p-33;
  double e = kCoefficients[13];
  for (int i = 12; i >= 0; --i) e = e * r + kCoefficients[i];
  const uint64_t bits = uint64_t(1023 + int(k)) << 52;
  double power;
  std::memcpy(&power, &bits, 8);
  e = e * power;
  return float((y < 0 ? e : 1.0) / (1.0 + e));
}

inline VF sigmoids(VF y) {
  float lanes[kVec];
  store_f(lanes, y);
  for (float& lane : lanes) lane = sigmoid(lane);
  return load_f(lanes);
}

inline VF activate(VF y, const Bend& bend, int channel) {
  if (bend.kind == kRelu) return max_f(zero_f(), y);
  if (bend.kind == kHardtanh) return min_f(splat_f(1.0f), max_f(splat_f(-1.0f), y));
  if (bend.kind == kSigmoid) return sigmoids(y);
  if (bend.kind != kPrelu) return y;
  if (bend.before) y = add_f(y, load_f(bend.before + channel));
  const VF above = bend.positive ? mul_f(y, load_f(bend.positive + channel)) : y;
  y = where_negative(y, mul_f(y, load_f(bend.negative + channel)), above);
  return bend.after ? add_f(y, load_f(bend.after + channel)) : y;
}

inline size_t all_if(bool condition) { return condition ? ~size_t(0) : 0; }

inline const int32_t* acc_of(const EpilogueTile& t, int pixel, int lane) {
  return static_cast<const int32_t*>(t.acc) + size_t(pixel) * size_t(t.stride) + lane;
}

// Of a block of G groups of 16 channels: the store's width is known.
template <int G>
BNN_INLINE void store_signs_of(const EpilogueTile& t, uint8_t* bits, uint64_t signs) {
  signs &= t.valid;
  std::memcpy(bits + size_t(t.first / 32) * 4, &signs, G > 2 ? 8 : 4);
}

inline EpilogueTile from_pixel(const EpilogueTile& tile, int i, int count) {
  EpilogueTile t = tile;
  t.count = count;
  t.acc = acc_of(tile, i, 0);
  t.gate = tile.gate + i;
  t.out = tile.out + i, t.residual = tile.residual + i, t.input_scale = tile.input_scale + i;
  t.bits = tile.bits + i, t.class_row = tile.class_row + i, t.unit = tile.unit + i;
  return t;
}

inline VI twice_or_more(VI acc, int multiplier) {
  if (multiplier == 2) return add_i(acc, acc);
  return multiplier == 1 ? acc : mul_i(acc, splat_i(multiplier));
}

inline void store_signs(const EpilogueTile& t, uint8_t* bits, uint64_t signs) {
  uint8_t* to = bits + size_t(t.first / 32) * 4;
  signs &= t.valid;
  if (t.valid >> 32 != 0)
    std::memcpy(to, &signs, 8);
  else
    std::memcpy(to, &signs, 4);
}

// The sum of a product's parts, each at its digit; of a rounded input's, with the correction of its offset.
inline int64_t wide(const EpilogueData& e, const EpilogueTile& t, int pixel, int lane) {
  const int32_t* acc = acc_of(t, pixel, lane);
  uint64_t y = 0;
  for (int p = 0; p < e.parts; ++p) {
    y += uint64_t(int64_t(acc[size_t(p) * size_t(t.part_stride)])) << e.part_shift[p];
    if (e.source == kFromDynamic) y += uint64_t(int64_t(e.base[size_t(p) * size_t(e.row) + size_t(t.first + lane)]));
  }
  return int64_t(y);
}

inline int32_t quotient(const EpilogueData& e, const EpilogueTile& t, int pixel, int lane) {
  const size_t class_row = e.base_classes > 1 ? size_t(t.class_row[pixel]) : 0;
  return (e.base[class_row + size_t(t.first + lane)] - e.multiplier * *acc_of(t, pixel, lane)) / e.divisor;
}

inline float real_product(const EpilogueData& e, const EpilogueTile& t, int pixel, int lane) {
  switch (e.source) {
    case kFromPops: return float(quotient(e, t, pixel, lane));
    case kFromInt: return float(*acc_of(t, pixel, lane));
    case kFromWide: return float(wide(e, t, pixel, lane));
    case kFromDynamic: return float(wide(e, t, pixel, lane)) * t.unit[pixel];
    case kFromFloat: break;
  }
  float y;
  std::memcpy(&y, acc_of(t, pixel, lane), 4);
  return y;
}

inline float real_result(const EpilogueData& e, const EpilogueTile& t, int pixel, int lane) {
  const int channel = t.first + lane;
  float y = real_product(e, t, pixel, lane);
  if (e.scale) y = y * e.scale[channel];
  if (e.has_input_scale) y = y * t.input_scale[pixel][channel / (e.channels / e.input_scale_groups)];
  if (e.bias) y = y + e.bias[(e.bias_classes > 1 ? size_t(t.class_row[pixel]) : 0) + size_t(channel)];
  if (e.has_gate) y = y * t.gate[pixel][channel];
  if (e.norm_factor) y = __builtin_fmaf(y, e.norm_factor[channel], e.norm_summand[channel]);
  float lanes[kVec] = {y};
  store_f(lanes, activate(load_f(lanes), e.activation, channel));
  if (e.has_residual) lanes[0] = lanes[0] + t.residual[pixel][channel];
  store_f(lanes, activate(load_f(lanes), e.stream, channel));
  return lanes[0];
}

// Whether a number fails threshold `level`.
inline bool fails(const EpilogueData& e, const EpilogueTile& t, int pixel, int lane, float y, size_t level) {
  const size_t channel = size_t(t.first + lane), row = size_t(e.row);
  if (e.float_threshold) return (e.sign && e.sign[channel] ? -y : y) < e.float_threshold[level * row + channel];
  const bool flip = e.flip && (e.flip[channel / 64] >> (channel % 64) & 1);
  const size_t class_row = e.threshold_classes > 1 ? size_t(t.class_row[pixel]) : 0;
  const int32_t limit = e.int_threshold[class_row * size_t(e.levels) + level * row + channel];
  const int64_t whole = e.source == kFromWide ? wide(e, t, pixel, lane) : int64_t(*acc_of(t, pixel, lane));
  return e.source == kFromWide ? (flip ? whole > limit : whole < limit) : (whole > limit) != flip;
}

// The planes of a number, a set bit for the sign −1.
inline unsigned pattern(const EpilogueData& e, const EpilogueTile& t, int pixel, int lane, float y) {
  unsigned failed = 0, apart = 0;
  for (size_t l = 0; l < size_t(e.levels); ++l) {
    const bool fault = fails(e, t, pixel, lane, y, l);
    failed += fault;
    if (e.apart) apart |= unsigned(fault) << l;
  }
  return e.apart ? apart : ~(unsigned(e.levels) - failed);
}

inline void write_any(const EpilogueData& e, const EpilogueTile& t) {
  for (int i = 0; i < t.count; ++i) {
    uint64_t planes[8] = {};
    const int lanes = e.channels - t.first < kBlock ? e.channels - t.first : kBlock;
    for (int lane = 0; lane < lanes; ++lane) {
      const bool real = e.to_real || e.float_threshold;
      const float y = real ? real_result(e, t, i, lane) : 0;
      if (e.to_real) t.out[i][t.first + lane] = y;
      if (!e.to_bits) continue;
      const unsigned negative = pattern(e, t, i, lane, y);
      for (int p = 0; p < e.planes; ++p) planes[p] |= uint64_t(negative >> p & 1) << lane;
    }
    for (int p = 0; p < e.planes; ++p) store_signs(t, t.bits[i] + size_t(p) * e.plane_bytes, planes[p]);
  }
}
