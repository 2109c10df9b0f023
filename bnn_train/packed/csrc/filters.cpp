#include "filters.h"

namespace bnn {

namespace {
int element_bits(const FilterInput& in) {
  if (in.in.type == kBits) return 1;
  return in.in.type == kU8 ? 8 : in.in.type == kI16 ? 16 : 32;
}
}  // namespace

int group_of_bytes(const FilterInput& in) {
  if (in.in.type == kBits) return (in.inner + 31) / 32 * 4;
  return in.inner * element_bits(in) / 8;
}

std::vector<Stretch> stretches(const FilterInput& in, int per_unit) {
  const Axis &rows = in.window.rows, &columns = in.window.columns;
  const int pixel = int(in.in.pixel * 8 / size_t(element_bits(in)));  // elements
  const bool gaps = in.in.type == kF32 && pixel != in.in.channels;
  const bool whole_rows = in.prep.step.groups == 1 && columns.dilation == 1 && !gaps;
  const int step = whole_rows ? columns.kernel : 1;
  const int units = ((Count(step - 1) * pixel + in.inner + (per_unit - 1)) / per_unit).as_int();
  const Count taps = Count(rows.kernel) * columns.kernel / step;
  in.prep.model.budget.take(taps * sizeof(Stretch) + taps * units * sizeof(int32_t), "a window's taps");
  (taps * units).as_int();
  std::vector<Stretch> found;
  found.reserve(size_t(taps));
  for (int r = 0; r < rows.kernel; ++r)
    for (int c = 0; c < columns.kernel; c += step) {
      const int64_t x = int64_t(r) * rows.dilation * int64_t(in.in.row) + int64_t(c) * columns.dilation * int64_t(in.in.pixel);
      found.push_back({r, c, step, int(x), units});
    }
  return found;
}

std::vector<int32_t> unit_offsets(const std::vector<Stretch>& found) {
  std::vector<int32_t> offsets;
  offsets.reserve(found.empty() ? 0 : found.size() * size_t(found.front().units));
  for (const Stretch& s : found)
    for (int u = 0; u < s.units; ++u) offsets.push_back(s.x + 4 * u);
  return offsets;
}

void make_blocks(Filters& f, const FilterInput& in, Count units, int unit_bytes, int widest) {
  const int groups = int(in.prep.step.groups), each = in.outputs / groups;
  Budget& budget = in.prep.model.budget;
  const Count count = Count(groups) * ((Count(each) + (widest - 1)) / widest);
  budget.take(count * (sizeof(Block) + sizeof(Panel) + sizeof(size_t)), "a layer's blocks");
  std::vector<size_t> at;
  Count bytes = 0;
  f.blocks.reserve(size_t(count)), at.reserve(size_t(count));
  for (int g = 0; g < groups; ++g)
    for (int o = 0; o < each; o += widest) {
      const int valid = each - o < widest ? each - o : widest, vectors = (valid + kLanes - 1) / kLanes;
      f.blocks.push_back({g * each + o, valid, vectors, g, nullptr});
      at.push_back(size_t(bytes));
      bytes += up_to_multiple(units * vectors * unit_bytes, 64);
      if (groups == 1) f.panels.push_back({o, valid, int(f.blocks.size()) - 1, int(f.blocks.size())});
    }
  if (groups > 1) f.panels.push_back({0, in.outputs, 0, int(f.blocks.size())});
  f.product.units = units.as_int();
  if (size_t(bytes) > 0) f.take_weights(budget, bytes);
  for (size_t b = 0; b < f.blocks.size(); ++b) f.blocks[b].weights = f.weights.data() + at[b];
  f.group_bytes = size_t(group_of_bytes(in));
}

size_t weight_at(const Filters& f, const FilterInput& in, const Block& b, size_t unit, int o) {
  const auto lane = size_t(o);
  if (in.prep.model.kernels->weights_together) return unit * size_t(b.groups) * kLanes + lane;
  return (lane / kLanes * size_t(f.product.units) + unit) * kLanes + lane % kLanes;
}

}  // namespace bnn
