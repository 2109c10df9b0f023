// The walk of a window over a map, and the border classes of its pixels.
#pragma once
#include <algorithm>
#include <vector>

#include "abi.h"
#include "layout.h"

namespace bnn {

// Taps of a window: begin … end − 1; none: 0 … −1.
struct Span {
  int begin, end;
  bool operator==(const Span& o) const { return begin == o.begin && end == o.end; }
};

// One direction: rows or columns. checks.cpp sees to it that every number here and every position is below 2²⁷.
struct Axis {
  int size, kernel, stride, padding, dilation, out;

  int start(int o) const { return o * stride - padding; }
  // Pixels from the first tap to the last.
  int reach() const { return (kernel - 1) * dilation + 1; }
  // The taps of output o between pixels low … high − 1.
  Span taps(int o, int low, int high) const {
    const int before = low - start(o), within = high - 1 - start(o);
    const int begin = before > 0 ? (before + dilation - 1) / dilation : 0;
    const int end = within < 0 ? 0 : std::min(kernel, within / dilation + 1);
    return begin < end ? Span{begin, end} : Span{0, 0};
  }
  Span taps_inside(int o) const { return taps(o, 0, size); }
  // Border that the windows need behind the map.
  int behind() const { return std::max(0, start(out - 1) + reach() - size); }
};

struct Window {
  Axis rows, columns;
};

Window window_of(const BnnStep& step, const Layout& in, const Layout& out);

// Classes of one axis in order of first appearance: the class of every output, and the taps inside for every class.
struct AxisClasses {
  std::vector<int32_t> of;
  std::vector<Span> inside;
  explicit AxisClasses(const Axis& axis);
  static Count bytes(const Axis& axis) { return (Count(axis.out) + 2 * Count(axis.kernel) + 1) * sizeof(Span); }
};

}  // namespace bnn
