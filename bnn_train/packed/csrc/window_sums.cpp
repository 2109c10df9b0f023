#include "window_sums.h"

namespace bnn {

// One product for each class of rows, with the kernel rows that lie inside; or one for all.
WindowSums::WindowSums(Budget& budget, const BitTile* tile, Filters filters, const AxisClasses& rows, bool skips_rows)
    : tile_(filters.product.kind == kPops ? tile : nullptr),
      skips_(skips_rows && filters.row_units > 0),
      filters_(std::move(filters)) {
  filters_.wholes = {};
  filters_.product.runs = filters_.runs.data();
  filters_.product.run_count = int(filters_.runs.size());
  filters_.bit_shape.tap_offset = filters_.tap_offset.data();
  const size_t count = skips_ ? rows.inside.size() : 1;
  budget.take(Count(count) * (Count(filters_.segments.size()) * sizeof(Segment) + sizeof(segments_[0]) + sizeof(Product)),
              "a layer's classes of rows");
  segments_.resize(count);
  products_.reserve(count);
  for (size_t k = 0; k < count; ++k) {
    const int begin = rows.inside[k].begin, taps = rows.inside[k].end - begin;
    segments_[k].reserve(filters_.segments.size());
    for (Segment s : filters_.segments) {
      if (skips_) s = {s.x + begin * filters_.row_units, s.w + begin * filters_.row_units, taps * filters_.row_units};
      if (skips_ && taps == 0) s = {filters_.offsets.data(), 0, 0};
      segments_[k].push_back(s);
    }
    products_.push_back(filters_.product);
    products_.back().segments = segments_[k].data();
  }
}

void WindowSums::run(const Kernels& kernels, int row_class, const Block& block, uint8_t* const* in, size_t shift, int count,
                     const Room& room, int column) const {
  const uint8_t* pixels[kPixels];
  shift += size_t(block.group) * filters_.group_bytes;
  for (int k = 0; k < count; ++k) pixels[k] = in[k] + shift;
  int32_t* to = room.acc + column;
  if (tile_)
    run_tile(kernels, block, pixels, count, to, room);
  else
    kernels.product(product(row_class), block, pixels, count, to, room.stride, room.part_stride());
}

void WindowSums::run_tile(const Kernels& kernels, const Block& block, const uint8_t* const* pixels, int count, int32_t* to,
                          const Room& room) const {
  const size_t stride = size_t(room.stride);
  auto* spare = reinterpret_cast<int32_t*>(room.scratch);
  uint8_t* scratch = room.scratch + room.spare_bytes();
  bool add = false;
  for (const PlanePair& pair : filters_.pairs) {
    const uint32_t* planes[kPixels];
    for (int k = 0; k < count; ++k)
      planes[k] = reinterpret_cast<const uint32_t*>(pixels[k] + size_t(pair.input_plane) * filters_.plane_bytes);
    const auto* weights = static_cast<const uint8_t*>(block.weights) + size_t(pair.weight_plane) * filters_.packed_plane;
    const bool direct = !add && pair.coefficient == 1;
    tile_->run(filters_.bit_shape, weights, planes, count, direct ? to : spare, room.stride, scratch);
    if (!direct)
      for (int k = 0; k < count; ++k)
        kernels.add_pops(to + size_t(k) * stride, spare + size_t(k) * stride, pair.coefficient, add, block.valid);
    add = true;
  }
}

}  // namespace bnn
