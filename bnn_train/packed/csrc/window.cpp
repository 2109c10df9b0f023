#include "window.h"

namespace bnn {

namespace {
Axis axis_of(const BnnStep& s, int d, int size, int out) {
  return {size, int(s.kernel[d]), int(s.stride[d]), int(s.padding[d]), int(s.dilation[d]), out};
}
}  // namespace

Window window_of(const BnnStep& step, const Layout& in, const Layout& out) {
  return {axis_of(step, 0, in.height, out.height), axis_of(step, 1, in.width, out.width)};
}

AxisClasses::AxisClasses(const Axis& axis) {
  for (int o = 0; o < axis.out; ++o) {
    std::vector<bool> taps(size_t(axis.kernel), false);
    for (int t = 0; t < axis.kernel; ++t) taps[size_t(t)] = axis.inside(o, t);
    size_t found = 0;
    while (found < inside.size() && inside[found] != taps) ++found;
    if (found == inside.size()) inside.push_back(taps);
    of.push_back(int(found));
  }
}

}  // namespace bnn
