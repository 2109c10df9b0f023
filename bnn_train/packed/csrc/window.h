// How a window walks over a map, and the border classes of its pixels.
#pragma once
#include <vector>

#include "abi.h"
#include "layout.h"

namespace bnn {

// One direction: rows or columns.
struct Axis {
  int size, kernel, stride, padding, dilation, out;

  int start(int o) const { return o * stride - padding; }
  bool inside(int o, int tap) const {
    const int at = start(o) + tap * dilation;
    return at >= 0 && at < size;
  }
  // Border that the windows need behind the map.
  int behind() const {
    const int last = start(out - 1) + (kernel - 1) * dilation;
    return last >= size ? last - size + 1 : 0;
  }
};

struct Window {
  Axis rows, columns;
};

Window window_of(const BnnStep& step, const Layout& in, const Layout& out);

// Classes of one axis in order of first appearance: the class of every output, and the taps inside for every class.
struct AxisClasses {
  std::vector<int> of;
  std::vector<std::vector<bool>> inside;
  explicit AxisClasses(const Axis& axis);
};

}  // namespace bnn
