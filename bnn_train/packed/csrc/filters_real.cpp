// Real inputs: real weights, or signs and codes widened to float; bytes widened to float by whole numbers of up to 24 bits.
#include <cstring>

#include "filters.h"
#include "signs.h"

namespace bnn {

namespace {

using Weight = std::function<float(int o, int tap, int i)>;

Weight weights_of(const FilterInput& in) {
  const BnnStep& s = in.prep.step;
  const size_t taps = size_t(s.kernel[0] * s.kernel[1]), inner = size_t(in.inner);
  const Count count = Count(in.outputs) * taps * inner;
  const auto at = [=](int o, int tap, int i) { return (size_t(o) * taps + size_t(tap)) * inner + size_t(i); };
  if (s.weight_kind == kF32Weight) {
    const float* w = elements<float>(s.weight, count, "weight");
    return [=](int o, int tap, int i) { return w[at(o, tap, i)]; };
  }
  if (s.weight_kind == kBf16Weight) {
    const uint16_t* w = elements<uint16_t>(s.weight, count, "weight");
    return [=](int o, int tap, int i) {
      const uint32_t bits = uint32_t(w[at(o, tap, i)]) << 16;
      float value;
      std::memcpy(&value, &bits, 4);
      return value;
    };
  }
  if (s.weight_kind == kIntWeight) {
    const auto digits = int(s.digits);
    const int8_t* w = elements<int8_t>(s.weight, count * digits, "weight");
    const auto each = size_t(count);
    return [=](int o, int tap, int i) {
      int32_t sum = 0;
      for (int d = digits - 1; d >= 0; --d) sum = 256 * sum + w[size_t(d) * each + at(o, tap, i)];
      return float(sum);
    };
  }
  const Signs signs(in);
  if (!s.weight_code.factored) return [=](int o, int tap, int i) { return float(signs.code(o, tap, i)); };
  const auto outputs = size_t(in.outputs);
  const float* factors = elements<float>(s.factors, Count(signs.planes()) * outputs, "factors");
  return [=](int o, int tap, int i) {
    float sum = 0;
    for (int p = 0; p < signs.planes(); ++p) {
      const float factor = factors[size_t(p) * outputs + size_t(o)], term = signs.negative(p, o, tap, i) ? -factor : factor;
      sum = p == 0 ? term : sum + term;
    }
    return sum;
  };
}

}  // namespace

Filters pack_reals(const FilterInput& in) {
  Filters f;
  const Weight weight = weights_of(in);
  // Half the bytes pay where every weight is read for one pixel only.
  const bool half = in.prep.step.weight_kind == kBf16Weight && in.window.rows.out * in.window.columns.out == 1;
  const int columns = in.window.columns.kernel, pixel = int(in.in.pixel / 4);
  const auto found = stretches(in, 1);
  f.offsets = unit_offsets(found);
  const int32_t units = Count(f.offsets.size()).as_int();
  f.segments = {{f.offsets.data(), 0, units}};
  f.runs = {{0, 1, 1, 0}};
  f.row_units = int(units) / in.window.rows.kernel;
  f.product.kind = half ? kFmaBf16 : in.prep.step.weight_kind == kIntWeight ? kFmaInOrder : kFma;
  f.product.parts = 1;
  make_blocks(f, in, units, half ? 2 * kLanes : 4 * kLanes, kBlock);
  for (const Block& b : f.blocks) {
    in.prep.model.budget.go_on();
    auto* to = static_cast<uint8_t*>(const_cast<void*>(b.weights));
    size_t unit = 0;
    for (const Stretch& s : found)
      for (int u = 0; u < s.units; ++u, ++unit)
        for (int o = 0; o < b.valid; ++o) {
          const int tap = s.row * columns + s.first_column + u / pixel;
          const float w = weight(b.first + o, tap, u % pixel);
          const size_t at = weight_at(f, in, b, unit, o);
          if (half)
            std::memcpy(to + at * 2, reinterpret_cast<const uint8_t*>(&w) + 2, 2);
          else
            std::memcpy(to + at * 4, &w, 4);
        }
  }
  return f;
}

}  // namespace bnn
