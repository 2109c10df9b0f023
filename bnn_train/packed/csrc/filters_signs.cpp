// Signs by signs: pairs of planes, sorted by what they count for.
#include "signs.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace bnn {

Signs::Signs(const FilterInput& in)
    : denominator_(in.weight_code.denominator),
      outputs_(in.outputs),
      inner_(in.inner),
      stored_(int(in.weight_code.planes)) {
  const BnnCode& code = in.weight_code;
  const Count taps = Count(in.prep.step.kernel[0]) * in.prep.step.kernel[1];
  row_ = size_t((taps * inner_ + 7) / 8);
  rows_ = elements<uint8_t>(in.prep.step.weight, Count(in.prep.step.weight_code.planes) * outputs_ * row_, "weight");
  rows_ += size_t(in.first_plane) * size_t(outputs_) * row_;
  values_.assign(code.values, code.values + stored_);
  if (code.offset != 0) values_.push_back(code.offset);
}

namespace {

class SignPacker {
 public:
  explicit SignPacker(const FilterInput& in)
      : in_(in), signs_(in), code_(in.input_code), words_((in.inner + 31) / 32) {}

  Filters pack(const BitTile* tile) {
    check_numerators();
    pairs();
    if (tile) return with_tile(*tile);
    const auto found = stretches(in_, 32);
    const int units = (Count(found.size()) * found.front().units).as_int();
    add_runs(found);
    f_.product.kind = kPops;
    f_.product.parts = 1;
    make_blocks(f_, in_, Count(units) * signs_.planes(), 4 * kLanes, kBlock);
    for (const Block& b : f_.blocks) fill(b, found, size_t(units));
    bases();
    return std::move(f_);
  }

 private:
  // Every sum of products below stays far inside int64, every coefficient inside int.
  void check_numerators() const {
    Count values = std::abs(code_.offset), factors = 0;
    for (int p = 0; p < int(code_.planes); ++p) values += code_.values[p];
    for (int q = 0; q < signs_.planes(); ++q) factors += std::abs(signs_.value(q));
    const Count taps = Count(in_.window.rows.kernel) * in_.window.columns.kernel;
    const Count largest = values * factors;
    if (largest > std::numeric_limits<int32_t>::max() / 4 ||
        largest * in_.inner * taps > int64_t(std::numeric_limits<int32_t>::max()) * (1 << 16))
      throw Fault{"a layer's sums of codes leave the range of int32"};
  }

  void pairs() {
    for (int p = 0; p < int(code_.planes); ++p)
      for (int q = 0; q < signs_.planes(); ++q) f_.pairs.push_back({p, q, int(code_.values[p] * signs_.value(q))});
    std::stable_sort(f_.pairs.begin(), f_.pairs.end(),
                     [](const PlanePair& a, const PlanePair& b) { return a.coefficient > b.coefficient; });
    const int one = f_.pairs.front().coefficient;
    f_.wholes.source = kFromPops;
    f_.wholes.multiplier = 2;
    f_.wholes.divisor = code_.denominator * signs_.denominator();
    if (one > 0 && one == f_.pairs.back().coefficient) {
      f_.wholes.multiplier = 2 * one;
      for (PlanePair& pair : f_.pairs) pair.coefficient = 1;
    }
  }

  // Room for all offsets first: segments point into them.
  void add_runs(const std::vector<Stretch>& found) {
    const auto offsets = unit_offsets(found);
    const auto units = int32_t(offsets.size());
    f_.row_units = units / in_.window.rows.kernel;
    in_.prep.model.budget.take(Count(offsets.size()) * code_.planes * sizeof(int32_t), "a window's taps");
    f_.offsets.reserve(offsets.size() * size_t(code_.planes));
    for (int p = 0; p < int(code_.planes); ++p)
      for (int32_t x : offsets) f_.offsets.push_back(int32_t(x + p * int64_t(in_.in.plane)));
    for (const PlanePair& pair : f_.pairs) {
      const auto at = int32_t(f_.segments.size());
      f_.segments.push_back({f_.offsets.data() + size_t(pair.input_plane) * offsets.size(), pair.weight_plane * units, units});
      if (!f_.runs.empty() && f_.runs.back().coefficient == pair.coefficient)
        f_.runs.back().end = at + 1;
      else
        f_.runs.push_back({at, at + 1, pair.coefficient, 0});
    }
  }

  void fill(const Block& b, const std::vector<Stretch>& found, size_t units) {
    in_.prep.model.budget.go_on();
    auto* to = static_cast<uint32_t*>(const_cast<void*>(b.weights));
    const size_t lanes = size_t(b.groups) * kLanes;
    for (int q = 0; q < signs_.planes(); ++q) {
      size_t unit = size_t(q) * units;
      for (const Stretch& s : found)
        for (int u = 0; u < s.units; ++u, ++unit) {
          const int tap = s.row * in_.window.columns.kernel + s.first_column + u / words_;
          for (int o = 0; o < b.valid; ++o) to[unit * lanes + size_t(o)] = signs_.word(q, b.first + o, tap, u % words_);
        }
    }
  }

  Filters with_tile(const BitTile& tile) {
    const Axis &rows = in_.window.rows, &columns = in_.window.columns;
    const Count taps = Count(rows.kernel) * columns.kernel;
    (taps * words_ * 8).as_int();  // nibbles of a window
    in_.prep.model.budget.take(taps * sizeof(int32_t), "a window's taps");
    f_.tap_offset.reserve(size_t(taps));
    for (int r = 0; r < rows.kernel; ++r)
      for (int c = 0; c < columns.kernel; ++c)
        f_.tap_offset.push_back(int32_t((int64_t(r) * rows.dilation * int64_t(in_.in.row) +
                                         int64_t(c) * columns.dilation * int64_t(in_.in.pixel)) / 4));
    f_.product.kind = kPops;
    f_.product.parts = 1;
    f_.plane_bytes = in_.in.plane;
    constexpr int kWidest = 256;
    const int each = std::min(in_.outputs / int(in_.prep.step.groups), kWidest);
    f_.bit_shape = {int(f_.tap_offset.size()), words_, each, nullptr};
    f_.packed_plane = round_up(tile.packed_bytes(f_.bit_shape), 64);
    f_.tile_scratch = round_up(tile.scratch_bytes(f_.bit_shape), 64);
    make_blocks(f_, in_, 0, 0, kWidest);
    f_.take_weights(in_.prep.model.budget, Count(f_.packed_plane) * signs_.planes() * f_.blocks.size());
    const Loan loan(in_.prep.model.budget, taps * words_ * each * sizeof(uint32_t), "a layer's filters");
    size_t at = 0;
    for (Block& b : f_.blocks)
      for (int q = 0; q < signs_.planes(); ++q, at += f_.packed_plane) {
        if (q == 0) b.weights = f_.weights.data() + at;
        pack_block(tile, b, q, f_.weights.data() + at);
      }
    bases();
    return std::move(f_);
  }

  void pack_block(const BitTile& tile, const Block& b, int q, uint8_t* to) const {
    in_.prep.model.budget.go_on();
    const int taps = int(f_.tap_offset.size());
    std::vector<uint32_t> rows(size_t(f_.bit_shape.outputs) * size_t(taps) * size_t(words_), 0);
    for (int o = 0; o < b.valid; ++o)
      for (int t = 0; t < taps; ++t)
        for (int w = 0; w < words_; ++w)
          rows[(size_t(o) * size_t(taps) + size_t(t)) * size_t(words_) + size_t(w)] = signs_.word(q, b.first + o, t, w);
    BitShape shape = f_.bit_shape;
    shape.tap_offset = f_.tap_offset.data();
    tile.pack(shape, rows.data(), to);
  }

  // Numerators at no difference: with signs t = 1 − 2b and a border of +1, Σ s·t over the taps inside is
  // n − 2·(pops − negatives of the filter outside); the offset and the padding's code add what they count for.
  void bases() {
    Budget& budget = in_.prep.model.budget;
    const Axis &down = in_.window.rows, &across = in_.window.columns;
    const Loan room(budget, AxisClasses::bytes(down) + AxisClasses::bytes(across), "a window's border classes");
    const AxisClasses rows(down), columns(across);
    f_.wholes.classes = (Count(rows.inside.size()) * columns.inside.size()).as_int();
    const auto outputs = size_t(in_.outputs);
    budget.take(Count(f_.wholes.classes) * outputs * sizeof(int64_t), "the sums of a layer's border classes");
    f_.wholes.base.resize(size_t(f_.wholes.classes) * outputs);
    const Count taps = Count(down.kernel + 1) * (across.kernel + 1);
    const Loan sums_room(budget, taps * sizeof(int64_t), "the sums of a layer's filters");
    std::vector<int64_t> sums(size_t(taps), 0);
    for (int o = 0; o < in_.outputs; ++o) {
      if (o % 64 == 0) budget.go_on();
      add_tap_sums(o, sums);
      size_t k = 0;
      for (const Span& row : rows.inside)
        for (const Span& column : columns.inside) f_.wholes.base[k++ * outputs + size_t(o)] = base(sums, row, column);
    }
    check_range();
    collapse();
  }

  // Σ over a tap's channels of the weight numerators of output o, added up over all taps above and to the left.
  void add_tap_sums(int o, std::vector<int64_t>& sums) const {
    const int rows = in_.window.rows.kernel, columns = in_.window.columns.kernel;
    const auto wide = size_t(columns) + 1;
    for (int r = 0; r < rows; ++r) {
      int64_t row = 0;
      for (int c = 0; c < columns; ++c) {
        row += tap_sum(o, r * columns + c);
        sums[size_t(r + 1) * wide + size_t(c) + 1] = sums[size_t(r) * wide + size_t(c) + 1] + row;
      }
    }
  }

  int64_t tap_sum(int o, int tap) const {
    int64_t sum = 0;
    for (int q = 0; q < signs_.planes(); ++q) {
      int negatives = 0;
      for (int w = 0; w < words_; ++w) negatives += __builtin_popcount(signs_.word(q, o, tap, w));
      sum += signs_.value(q) * (in_.inner - 2 * negatives);
    }
    return sum;
  }

  // Over the taps inside: offset·w + Σv·(n·Σv′ for s = t); outside: what the border's +1 counts less, and the padding's code.
  int64_t base(const std::vector<int64_t>& sums, const Span& row, const Span& column) const {
    int64_t planes = 0, values = 0;
    for (int p = 0; p < int(code_.planes); ++p) planes += code_.values[p];
    for (int q = 0; q < signs_.planes(); ++q) values += signs_.value(q);
    const int64_t full = planes * values * in_.inner;
    const int down = in_.window.rows.kernel, across = in_.window.columns.kernel;
    const auto sum = [&](int top, int bottom, int left, int right) {
      const auto at = [&](int r, int c) { return sums[size_t(r) * (size_t(across) + 1) + size_t(c)]; };
      return at(bottom, right) - at(top, right) - at(bottom, left) + at(top, left);
    };
    const int64_t all = sum(0, down, 0, across), seen = sum(row.begin, row.end, column.begin, column.end);
    const int64_t taps_seen = int64_t(row.end - row.begin) * (column.end - column.begin);
    // Rows outside that are left out meet no border.
    const bool skips = in_.skips_rows;
    const int64_t met_taps = (skips ? int64_t(row.end - row.begin) * across : int64_t(down) * across) - taps_seen;
    const int64_t met_sum = (skips ? sum(row.begin, row.end, 0, across) : all) - seen;
    const int64_t met = full * met_taps - planes * met_sum;
    return full * taps_seen + code_.offset * seen + in_.prep.step.pad * code_.denominator * (all - seen) + met;
  }

  void check_range() {
    int64_t most = 0, pops = 0;
    for (int64_t b : f_.wholes.base) most = std::max(most, b < 0 ? -b : b);
    for (const PlanePair& p : f_.pairs) pops += std::abs(int64_t(p.coefficient));
    pops *= f_.wholes.multiplier * int64_t(in_.inner) * in_.window.rows.kernel * in_.window.columns.kernel;
    if (most + pops > std::numeric_limits<int32_t>::max())
      throw Fault{"a layer's sums of codes leave the range of int32"};
    f_.wholes.largest = most + pops;
  }

  // One class where the border makes no difference.
  void collapse() {
    auto& base = f_.wholes.base;
    const size_t row = size_t(in_.outputs);
    for (size_t at = row; at < base.size(); at += row)
      if (!std::equal(base.begin(), base.begin() + int64_t(row), base.begin() + int64_t(at))) return;
    base.resize(row);
    f_.wholes.classes = 1;
  }

  const FilterInput& in_;
  Signs signs_;
  const BnnCode& code_;
  int words_;
  Filters f_;
};

}  // namespace

Filters pack_signs(const FilterInput& in) { return SignPacker(in).pack(in.prep.model.kernels->bit_tile); }

}  // namespace bnn
