// Real vectors times signs, by tables: of four vectors all sixteen sums of signs stand ready, and four signs pick one. Four
// products cost one addition from memory, where multiplying costs four.
#pragma once

// The sixteen vectors (±k0 ± k1) + (±k2 ± k3) of `V` registers each, minus where the entry's bit is set; factor: of each k.
template <int V>
void fill_table(const float* const* k, const float* factor, float* table) {
  for (int v = 0; v < V; ++v) {
    VF x[4];
    for (int j = 0; j < 4; ++j) {
      x[j] = load_f(k[j] + v * kVec);
      if (factor) x[j] = mul_f(x[j], splat_f(factor[j]));
    }
    const VF minus = as_f(splat_i(INT32_MIN));
    VF low[4], high[4];
    for (int half = 0; half < 2; ++half) {
      VF* sums = half ? high : low;
      const VF a = x[2 * half], b = x[2 * half + 1], negative = as_f(xor_i(as_i(b), as_i(minus)));
      sums[0] = add_f(a, b), sums[2] = add_f(a, negative);
      sums[1] = as_f(xor_i(as_i(sums[2]), as_i(minus))), sums[3] = as_f(xor_i(as_i(sums[0]), as_i(minus)));
    }
#pragma GCC unroll 16
    for (int entry = 0; entry < 16; ++entry) store_f(table + (entry * V + v) * kVec, add_f(low[entry & 3], high[entry >> 2]));
  }
}

void fill_tables(int lanes, const float* const* k, const float* factor, int groups, float* tables) {
  for (int g = 0; g < groups; ++g, k += 4, tables += 16 * lanes) {
    if (lanes == 32)
      fill_table<32 / kVec>(k, factor ? factor + 4 * g : nullptr, tables);
    else
      fill_table<16 / kVec>(k, factor ? factor + 4 * g : nullptr, tables);
  }
}

// Bytes: of a segment's index, 0: as `work` says.
template <int V, int Bytes>
void look_up_rows(const LookUps& work) {
  constexpr int kEntry = V * kVec;
  const int bytes = Bytes ? Bytes : work.bytes;
  for (int row = 0; row < work.rows; ++row) {
    VF sum[V];
    for (int v = 0; v < V; ++v) sum[v] = zero_f();
    for (int s = 0; s < work.segments; ++s) {
      const uint8_t* index = work.index[s] + size_t(row) * size_t(bytes);
      const float* table = work.table[s];
#pragma GCC unroll 8
      for (int b = 0; b < bytes; ++b, table += 32 * kEntry) {
        const unsigned signs = index[b];
        const float *first = table + (signs & 15) * kEntry, *second = table + 16 * kEntry + (signs >> 4) * kEntry;
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sum[v] = add_f(sum[v], load_f(first + v * kVec));
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sum[v] = add_f(sum[v], load_f(second + v * kVec));
      }
    }
    float* to = work.sums + size_t(row) * kEntry;
    for (int v = 0; v < V; ++v) store_f(to + v * kVec, add_f(load_f(to + v * kVec), sum[v]));
  }
}

template <int V>
void look_up_lanes(const LookUps& work) {
  switch (work.bytes) {
    case 2: return look_up_rows<V, 2>(work);
    case 4: return look_up_rows<V, 4>(work);
    case 8: return look_up_rows<V, 8>(work);
    default: look_up_rows<V, 0>(work);
  }
}

void look_up(int lanes, const LookUps& work) {
  if (lanes == 32)
    look_up_lanes<32 / kVec>(work);
  else
    look_up_lanes<16 / kVec>(work);
}

// Bit j of to[c * step]: whether rows[j][c] is below 0.
void sign_bytes(const float* const* rows, int channels, uint8_t* to, size_t step) {
  int c = 0;
  for (; c + kVec <= channels; c += kVec) {
    VI bits = zero_i();
    for (int j = 0; j < 8; ++j)
      bits = xor_i(bits, as_i(where_negative(load_f(rows[j] + c), as_f(splat_i(1 << j)), zero_f())));
    int32_t lanes[kVec];
    store_i(lanes, bits);
    for (int l = 0; l < kVec; ++l) to[size_t(c + l) * step] = uint8_t(lanes[l]);
  }
  for (; c < channels; ++c) {
    unsigned bits = 0;
    for (int j = 0; j < 8; ++j) bits |= unsigned(rows[j][c] < 0) << j;
    to[size_t(c) * step] = uint8_t(bits);
  }
}

inline void transpose_block(const float* from, size_t from_step, int rows, int columns, float* to, size_t to_step) {
#ifdef BNN_TRANSPOSE
  if (rows == 8 && columns == 8) return transpose_8(from, from_step, to, to_step);
#endif
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c) to[size_t(c) * to_step + r] = from[size_t(r) * from_step + c];
}

// to[c * to_step + r] = from[r * from_step + c], the longer side in the inner loop: images lie a power of two apart, and more than
// eight of their lines at once would drive each other out of the caches.
void transpose(const float* from, size_t from_step, int rows, int columns, float* to, size_t to_step) {
  const bool along_rows = rows <= columns;
  const int outer = along_rows ? rows : columns, inner = along_rows ? columns : rows;
  for (int o = 0; o < outer; o += 8)
    for (int i = 0; i < inner; i += 8) {
      const int r = along_rows ? o : i, c = along_rows ? i : o;
      transpose_block(from + size_t(r) * from_step + c, from_step, std::min(8, rows - r), std::min(8, columns - c),
                      to + size_t(c) * to_step + r, to_step);
    }
}
