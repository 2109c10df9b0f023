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

// From output to output the first tap inside and the last only fall, so that a class is one stretch of outputs; the windows
// that see nothing may lie apart.
AxisClasses::AxisClasses(const Axis& axis) {
  of.reserve(size_t(axis.out));
  int unseen = -1;
  for (int o = 0; o < axis.out; ++o) {
    const Span taps = axis.taps_inside(o);
    const bool none = taps.begin == taps.end;
    if (none && unseen >= 0) {
      of.push_back(unseen);
      continue;
    }
    if (of.empty() || !(inside[size_t(of.back())] == taps)) {
      if (none) unseen = int(inside.size());
      of.push_back(int32_t(inside.size()));
      inside.push_back(taps);
    } else {
      of.push_back(of.back());
    }
  }
}

}  // namespace bnn
