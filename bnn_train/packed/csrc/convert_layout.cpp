// Between the arrays of the interface and the engine's own layouts.
#include <cstring>

#include "model.h"

namespace bnn {

namespace {

size_t pixel_bytes(const Value& v) {
  if (v.layout.type == kU8) return size_t(v.layout.channels);
  return v.layout.type == kF32 ? size_t(v.layout.channels) * 4 : v.layout.pixel * size_t(v.layout.planes);
}

// Rows of one image; without gaps between pixels whole rows at a time.
template <class Copy>
void each_run(const Value& v, int images, const Copy& copy) {
  const Layout& l = v.layout;
  const size_t own = pixel_bytes(v);
  const bool dense = l.planes == 1 && own == l.pixel;
  size_t at = 0;
  for (int n = 0; n < images; ++n)
    for (int y = 0; y < l.height; ++y) {
      if (dense) {
        copy(l.at(size_t(n), y, 0), at, own * size_t(l.width));
        at += own * size_t(l.width);
        continue;
      }
      for (int x = 0; x < l.width; ++x)
        for (int p = 0; p < l.planes; ++p) {
          copy(l.at(size_t(n), y, x) + size_t(p) * l.plane, at, own / size_t(l.planes));
          at += own / size_t(l.planes);
        }
    }
}

}  // namespace

void to_layout(const Value& value, const void* plain, int64_t first, int n, uint8_t* to) {
  const size_t image = pixel_bytes(value) * size_t(value.layout.height) * size_t(value.layout.width);
  const auto* from = static_cast<const uint8_t*>(plain) + image * size_t(first);
  each_run(value, n, [&](size_t own, size_t other, size_t bytes) { std::memcpy(to + own, from + other, bytes); });
}

void from_layout(const Value& value, const uint8_t* from, int64_t first, int n, void* plain) {
  const size_t image = pixel_bytes(value) * size_t(value.layout.height) * size_t(value.layout.width);
  auto* to = static_cast<uint8_t*>(plain) + image * size_t(first);
  each_run(value, n, [&](size_t own, size_t other, size_t bytes) { std::memcpy(to + other, from + own, bytes); });
}

void fill_border(const Layout& l, uint8_t* at, int images) {
  if (!l.bordered()) return;
  const size_t left = size_t(l.left) * l.pixel, right = size_t(l.right) * l.pixel;
  for (int n = 0; n < images * l.planes; ++n) {
    uint8_t* plane = at + size_t(n) * l.plane;
    const size_t inside = size_t(l.top + l.height) * l.row;
    std::memset(plane, l.fill, size_t(l.top) * l.row);
    std::memset(plane + inside, l.fill, l.plane - inside);
    for (int y = 0; y < l.height; ++y) {
      uint8_t* row = plane + size_t(l.top + y) * l.row;
      std::memset(row, l.fill, left);
      std::memset(row + l.row - right, l.fill, right);
    }
  }
}

}  // namespace bnn
