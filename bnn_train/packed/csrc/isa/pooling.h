// Pooling, sums and rounding: one pixel or row at a time, channels in lanes. Real rows are padded to 16 channels.

// Pointers of any type: they are copied as bytes.
inline void spread(uint8_t* first, size_t step, int count, void* to) {
  auto* bytes = static_cast<uint8_t*>(to);
  for (int k = 0; k < count; ++k) {
    uint8_t* const pointer = first + size_t(k) * step;
    std::memcpy(bytes + size_t(k) * sizeof pointer, &pointer, sizeof pointer);
  }
}

inline void shift(int32_t first, const int32_t* from, int count, int32_t* to) {
  for (int k = 0; k < count; ++k) to[k] = first + from[k];
}


// The window of one pixel: `columns` taps, `step` floats apart, in each of its rows.
template <int V>
void max_vectors(const float* const* rows, int row_count, int columns, size_t step, float* out) {
  VF most[V];
  Ordered ordered[V];
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) most[v] = splat_f(-__builtin_inff()), ordered[v] = all_ordered();
  for (int r = 0; r < row_count; ++r) {
    const float* tap = rows[r];
    for (int k = 0; k < columns; k += 2, tap += 2 * step) {
      const float* other = k + 1 < columns ? tap + step : tap;
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const VF a = load_f(tap + v * kVec), b = load_f(other + v * kVec);
        ordered[v] = both_ordered(ordered[v], a, b);
        most[v] = max_f(most[v], max_f(a, b));
      }
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) store_f(out + v * kVec, nan_unless(ordered[v], most[v]));
}

inline void max_real(const float* const* rows, int row_count, int columns, size_t step, float* out, int channels) {
  const float* own[kMaxRows];
  for (int c = 0; c < channels;) {
    for (int r = 0; r < row_count; ++r) own[r] = rows[r] + c;
    if (c + 4 * kVec <= channels) {
      max_vectors<4>(own, row_count, columns, step, out + c);
      c += 4 * kVec;
    } else {
      max_vectors<1>(own, row_count, columns, step, out + c);
      c += kVec;
    }
  }
}

inline void average(const float* const* rows, int row_count, int columns, size_t step, float divisor, float* out, int channels) {
  for (int c = 0; c < channels; c += kVec) {
    VF sum = zero_f();
    for (int r = 0; r < row_count; ++r)
      for (int k = 0; k < columns; ++k) sum = add_f(sum, load_f(rows[r] + size_t(k) * step + c));
    store_f(out + c, div_f(sum, splat_f(divisor)));
  }
}

// A clear bit (+1) wins, except where `flip`.
inline void max_bits(const uint32_t* const* taps, int count, const uint32_t* flip, uint32_t* out, int words) {
  for (int w = 0; w < words; ++w) {
    uint32_t all = taps[0][w], any = all;
    for (int t = 1; t < count; ++t) all &= taps[t][w], any |= taps[t][w];
    out[w] = (all & ~flip[w]) | (any & flip[w]);
  }
}

// Σ|x| of each of `count` pixels, `step` floats apart.
inline void abs_sums(const float* x, size_t step, int count, int channels, double* sums, size_t sum_step) {
  for (int k = 0; k < count; ++k, x += step, sums += sum_step) {
    Doubles sum = zero_doubles();
    int c = 0;
    for (; c + kVec <= channels; c += kVec) sum = add_doubles(sum, abs_f(load_f(x + c)));
    double total = total_of(sum);
    for (; c < channels; ++c) total += double(__builtin_fabsf(x[c]));
    *sums = total;
  }
}

// The larger of `so_far` and every |x|; NaN wins.
inline float abs_max(const float* x, int count, float so_far) {
  VF most = splat_f(so_far);
  int i = 0;
  for (; i + kVec <= count; i += kVec) most = keep_nan(most, max_f(most, abs_f(load_f(x + i))));
  float lanes[kVec];
  store_f(lanes, most);
  float found = so_far;
  for (float lane : lanes) found = found != found || found > lane ? found : lane;
  for (; i < count; ++i) {
    const float a = __builtin_fabsf(x[i]);
    found = found != found || found > a ? found : a;
  }
  return found;
}

inline void widen_to_16(const uint8_t* x, int16_t* out, int count) {
  for (int i = 0; i < count; ++i) out[i] = int16_t(x[i]);
}

inline void widen(const uint8_t* x, float* out, int count) {
  for (int i = 0; i < count; ++i) out[i] = float(x[i]);
}

// 128 + rint(x * factor), nearest, ties to even.
inline void quantize(const float* x, float factor, uint8_t* out, int count) {
  for (int i = 0; i < count; i += kVec) {
    float part[kVec] = {};
    const int n = count - i < kVec ? count - i : kVec;
    std::memcpy(part, x + i, size_t(n) * 4);
    int32_t whole[kVec];
    store_i(whole, add_i(to_int(mul_f(load_f(part), splat_f(factor))), splat_i(128)));
    for (int l = 0; l < n; ++l) out[i + l] = uint8_t(whole[l]);
  }
}

inline void sum_rows(const float* x, size_t pixel, int count, double* sum, int channels) {
  for (int i = 0; i < count; ++i) {
    const float* row = reinterpret_cast<const float*>(reinterpret_cast<const char*>(x) + size_t(i) * pixel);
    for (int c = 0; c < channels; ++c) sum[c] += double(row[c]);
  }
}
