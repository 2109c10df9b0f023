// The layout of a value in memory: channel-last, 32 channels of bits to a word, plane after plane, with a border of
// fixed bytes around every map so that no window ever asks whether it is inside.
#pragma once
#include <cstddef>
#include <cstdint>

#include "abi.h"
#include "sizes.h"

namespace bnn {

constexpr int kI16 = kBits + 1;  // a type of the engine's own: bytes widened to 16 bits

struct Layout {
  int type = kF32, height = 1, width = 1, channels = 1, planes = 1;
  int top = 0, left = 0, bottom = 0, right = 0;  // border, pixels
  uint8_t fill = 0;                              // the border's bytes
  size_t pixel = 0, row = 0, plane = 0, image = 0, origin = 0;  // bytes; origin: of pixel (0, 0)
  int ring = 0;  // only so many rows are kept, row y in place y mod ring; 0: all

  bool bordered() const { return top + left + bottom + right > 0; }
  // Computes the strides. `packed`: no rounding of an f32 pixel to 16 channels. packed/memory.py counts alike.
  void finish(bool packed) {
    const Count each = channels;
    if (type == kU8) pixel = size_t(each);
    if (type == kI16) pixel = size_t(each * 2);
    if (type == kF32) pixel = size_t((packed ? each : up_to_multiple(each, 16)) * 4);
    if (type == kBits) pixel = size_t((each + 31) / 32 * 4);
    row = size_t(Count(pixel) * (Count(left) + width + right));
    plane = size_t(Count(row) * (Count(top) + height + bottom));
    if (!plain()) plane = round_up(plane, 64);
    image = size_t(Count(plane) * planes);
    origin = size_t(Count(row) * top + Count(pixel) * left);
  }
  size_t at(size_t n, int y, int x) const {
    if (ring) y %= ring;
    return size_t(int64_t(n * image + origin) + int64_t(row) * y + int64_t(pixel) * x);
  }
  // Whether memory of the plain array can serve: no gaps, and whole vectors of channels.
  bool plain() const { return type == kF32 && channels % 16 == 0 && !bordered(); }
  bool same(const Layout& o) const {
    return type == o.type && height == o.height && width == o.width && channels == o.channels && planes == o.planes &&
           top == o.top && left == o.left && bottom == o.bottom && right == o.right && fill == o.fill && pixel == o.pixel;
  }
};

// A value's images in memory.
struct Place {
  const Layout* layout = nullptr;
  uint8_t* base = nullptr;
  int first = 0;  // the image that lies at the base

  explicit operator bool() const { return base != nullptr; }
  template <class T = uint8_t>
  T* at(int n, int y, int x) const {
    return reinterpret_cast<T*>(base + layout->at(size_t(n - first), y, x));
  }
};

constexpr size_t kSlack = 64;  // bytes behind every buffer that a kernel may read

}  // namespace bnn
