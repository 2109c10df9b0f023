// Passes over maps and weights in training: one read, one write.
#pragma once

// -1 where x < 0, else +1, also for NaN.
void signs(const float* x, int64_t count, float* out) {
  int64_t i = 0;
  for (; i + kVec <= count; i += kVec) store_f(out + i, where_negative(load_f(x + i), splat_f(-1), splat_f(1)));
  for (; i < count; ++i) out[i] = x[i] < 0 ? -1.0f : 1.0f;
}

// g where low < x < high, else 0, also for NaN. A difference is below 0 where the numbers compare so: it never underflows to 0.
void window(const float* g, const float* x, int64_t count, float low, float high, float* out) {
  const VF below = splat_f(low), beyond = splat_f(-high), minus = splat_f(-0.0f);
  int64_t i = 0;
  for (; i + kVec <= count; i += kVec) {
    const VF v = load_f(x + i), negative = as_f(xor_i(as_i(v), as_i(minus)));
    const VF inside = where_negative(add_f(v, beyond), load_f(g + i), zero_f());
    store_f(out + i, where_negative(add_f(below, negative), inside, zero_f()));
  }
  for (; i < count; ++i) out[i] = low < x[i] && x[i] < high ? g[i] : 0.0f;
}
