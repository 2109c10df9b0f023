// The sums over the windows of some pixels: one set of weights, ready for the kernels.
#pragma once
#include "filters.h"

namespace bnn {

constexpr int kPixels = 96;  // of one task: a multiple of every tile

class WindowSums {
 public:
  // `rows`: the classes of output rows, each with the kernel rows that lie inside the map.
  WindowSums(Budget& budget, const BitTile* tile, Filters filters, const AxisClasses& rows, bool skips_rows);

  const Filters& filters() const { return filters_; }
  const Product& product(int row_class) const { return products_[skips_ ? size_t(row_class) : 0]; }
  bool skips_rows() const { return skips_; }

  // The accumulators of a tile, `pixels` rows of `stride` numbers for each part; in `scratch` as many again for a bit tile's
  // sums, and what it works in.
  struct Room {
    int32_t* acc;
    uint8_t* scratch;
    int pixels, stride;
    int part_stride() const { return pixels * stride; }
    size_t spare_bytes() const { return round_up(size_t(part_stride()) * 4, 64); }
  };
  // The channels of one block, for `count` pixels whose windows begin at in[k] + shift, to room.acc from column `column` on.
  void run(const Kernels& kernels, int row_class, const Block& block, uint8_t* const* in, size_t shift, int count,
           const Room& room, int column) const;

 private:
  void run_tile(const Kernels& kernels, const Block& block, const uint8_t* const* pixels, int count, int32_t* to,
                const Room& room) const;

  const BitTile* tile_;
  bool skips_;
  Filters filters_;
  std::vector<std::vector<Segment>> segments_;
  std::vector<Product> products_;
};

}  // namespace bnn
