// Bytes by whole numbers: every weight as signed base-256 digits, every digit a product of its own.
#include <algorithm>
#include <cstring>
#include <limits>

#include "filters.h"
#include "signs.h"

namespace bnn {

namespace {

constexpr int kMostUnits = 16000;  // 16000 · 4 · 255 · 128 < 2³¹

struct Digits {
  int count = 0;
  std::vector<int8_t> at;  // [digit][output][tap][channel]
};

// Digits in −128 … 127, lowest first; each(k, digit) for each.
template <class Each>
int digits_of(int64_t w, const Each& each) {
  int k = 0;
  for (; w != 0; ++k) {
    const auto low = int8_t(uint8_t(uint64_t(w) & 255));
    each(k, low);
    w = (w - low) / 256;
  }
  return k;
}

// Digits of any weight up to `most`.
int most_digits(int64_t most) {
  const auto nothing = [](int, int8_t) {};
  return std::max({1, digits_of(most, nothing), digits_of(-most, nothing)}) + 1;
}

Digits from_signs(const FilterInput& in) {
  const Signs signs(in);
  const BnnStep& s = in.prep.step;
  const int taps = (Count(s.kernel[0]) * s.kernel[1]).as_int();
  const int32_t* gain = s.gain.data ? elements<int32_t>(s.gain, in.inner, "gain") : nullptr;
  int64_t most = 1;
  if (gain) most = *std::max_element(gain, gain + in.inner);
  if (most < 1 || most >= (1 << 23)) throw Fault{"a gain is not between 1 and 2²³ − 1"};
  const auto count = size_t(Count(in.outputs) * taps * in.inner);
  const int room = most_digits(most * signs.largest());
  const Loan loan(in.prep.model.budget, Count(count) * room, "a layer's digits");
  Digits d{0, std::vector<int8_t>(count * size_t(room), 0)};
  size_t at = 0;
  for (int o = 0; o < in.outputs; ++o) {
    in.prep.model.budget.go_on();
    for (int t = 0; t < taps; ++t)
      for (int i = 0; i < in.inner; ++i, ++at) {
        const int64_t w = signs.code(o, t, i) * (gain ? gain[i] : 1);
        d.count = std::max(d.count, digits_of(w, [&](int k, int8_t low) { d.at[size_t(k) * count + at] = low; }));
      }
  }
  d.count = std::max(1, d.count);
  d.at.resize(count * size_t(d.count));
  return d;
}

Digits read(const FilterInput& in) {
  const BnnStep& s = in.prep.step;
  if (s.weight_kind == kBitWeight) return from_signs(in);
  const auto count = size_t(Count(s.digits) * in.outputs * s.kernel[0] * s.kernel[1] * in.inner);
  const int8_t* w = elements<int8_t>(s.weight, count, "weight");
  return {int(s.digits), std::vector<int8_t>(w, w + count)};
}

// The largest |sum| of one digit's product over all outputs.
int64_t bound(const Digits& d, int digit, int outputs) {
  const size_t each = d.at.size() / size_t(d.count) / size_t(outputs);
  const int8_t* w = d.at.data() + size_t(digit) * each * size_t(outputs);
  int64_t most = 0;
  for (int o = 0; o < outputs; ++o, w += each) {
    int64_t sum = 0;
    for (size_t k = 0; k < each; ++k) sum += w[k] < 0 ? -w[k] : w[k];
    most = std::max(most, 255 * sum);
  }
  return most;
}

// One digit, cut so that no int32 sum overflows.
void cut_digit(Filters& f, int digit) {
  const auto units = int32_t(f.offsets.size());
  for (int32_t u = 0; u < units; u += kMostUnits) {
    const auto at = int32_t(f.segments.size());
    f.segments.push_back({f.offsets.data() + u, digit * units + u, std::min(units - u, kMostUnits)});
    f.runs.push_back({at, at + 1, 1, int32_t(f.wholes.part_shift.size())});
    f.wholes.part_shift.push_back(8 * digit);
  }
}

// Digits joined in one int32 sum as long as they fit.
void join_digits(Filters& f, const Digits& d, int outputs) {
  const auto units = int32_t(f.offsets.size());
  int64_t most = 0, coefficient = 1;
  for (int k = 0; k < d.count; ++k, coefficient *= 256) {
    const int64_t own = bound(d, k, outputs);
    const bool fits = k > 0 && coefficient <= 256 && most + coefficient * own <= std::numeric_limits<int32_t>::max();
    if (!fits) {
      most = 0, coefficient = 1;
      f.wholes.part_shift.push_back(8 * k);
    }
    most += coefficient * own;
    f.segments.push_back({f.offsets.data(), k * units, units});
    f.runs.push_back({k, k + 1, int32_t(coefficient), int32_t(f.wholes.part_shift.size()) - 1});
  }
}

// Numbers of a unit: four bytes, or two of 16 bits.
int per_unit(const FilterInput& in) { return in.in.type == kI16 ? 2 : 4; }

// The digit of output o that meets number `e` of a stretch.
int8_t digit_at(const FilterInput& in, const Digits& d, int digit, int o, const Stretch& s, int e) {
  const int pixel = int(in.in.pixel) * per_unit(in) / 4, taps = in.window.rows.kernel * in.window.columns.kernel;
  const int column = e / pixel, i = e % pixel;
  if (column >= s.columns || i >= in.inner) return 0;
  const size_t tap = size_t(s.row * in.window.columns.kernel + s.first_column + column);
  const size_t row = (size_t(digit) * size_t(in.outputs) + size_t(o)) * size_t(taps) + tap;
  return d.at[row * size_t(in.inner) + size_t(i)];
}

// Takes from each part what the offset 128 of the input adds to it.
void correct(Filters& f, const FilterInput& in, const Digits& d, const std::vector<Stretch>& found) {
  f.wholes.classes = f.product.parts;
  in.prep.model.budget.take(Count(f.product.parts) * in.outputs * sizeof(int64_t), "a layer's sums");
  f.wholes.base.assign(size_t(f.product.parts) * size_t(in.outputs), 0);
  int64_t unit = 0;
  for (const Stretch& s : found)
    for (int u = 0; u < s.units; ++u, ++unit)
      for (int o = 0; o < in.outputs; ++o)
        for (int e = 0; e < 4; ++e)
          f.wholes.base[size_t(unit / kMostUnits) * size_t(in.outputs) + size_t(o)] -= 128 * digit_at(in, d, 0, o, s, 4 * u + e);
}

// The weights of a unit: four bytes, or two of 16 bits.
void fill_unit(uint8_t* to, const FilterInput& in, const Digits& d, int digit, int o, const Stretch& s, int unit) {
  const int count = per_unit(in);
  for (int e = 0; e < count; ++e) {
    const int16_t w = digit_at(in, d, digit, o, s, count * unit + e);
    std::memcpy(to + e * (4 / count), &w, size_t(4 / count));  // of one byte the lower, on a little-endian machine
  }
}

}  // namespace

Filters pack_bytes(const FilterInput& in) {
  Filters f;
  const Digits d = read(in);
  const Loan loan(in.prep.model.budget, d.at.size(), "a layer's digits");
  f.wholes.part_shift.clear();
  const auto found = stretches(in, per_unit(in));
  f.offsets = unit_offsets(found);
  const size_t each = f.offsets.size();
  if (each <= size_t(kMostUnits)) {
    join_digits(f, d, in.outputs);
    f.row_units = int(each) / in.window.rows.kernel;
  } else {
    for (int k = 0; k < d.count; ++k) cut_digit(f, k);
  }
  f.product.kind = in.in.type == kI16 ? kPairs : kDot;
  f.product.parts = int(f.wholes.part_shift.size());
  f.wholes.source = in.dynamic ? kFromDynamic : f.product.parts > 1 ? kFromWide : kFromInt;
  if (in.dynamic) {
    if (d.count != 1) throw Fault{"weights of a rounded input have one digit"};
    correct(f, in, d, found);
  }
  make_blocks(f, in, Count(each) * d.count, 4 * kLanes, kBlock);
  for (const Block& b : f.blocks) {
    in.prep.model.budget.go_on();
    auto* to = static_cast<uint8_t*>(const_cast<void*>(b.weights));
    for (int k = 0; k < d.count; ++k) {
      size_t unit = size_t(k) * each;
      for (const Stretch& s : found)
        for (int u = 0; u < s.units; ++u, ++unit)
          for (int o = 0; o < b.valid; ++o) fill_unit(to + 4 * weight_at(f, in, b, unit, o), in, d, k, b.first + o, s, u);
    }
  }
  return f;
}

}  // namespace bnn
