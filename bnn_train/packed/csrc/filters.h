// A convolution's weights in the order of the kernels, and what its sums need besides.
#pragma once
#include <functional>
#include <vector>

#include "epilogue.h"
#include "window.h"

namespace bnn {

// Blocks whose sums are made before any of their values goes through the epilogue: output channels first … first + channels − 1.
struct Panel {
  int first, channels, block_begin, block_end;
};

// A product of planes for BitTile.
struct PlanePair {
  int input_plane, weight_plane, coefficient;
};

struct Filters {
  Product product{};
  std::vector<Run> runs;
  std::vector<Segment> segments;
  std::vector<int32_t> offsets;    // what segments point into
  int row_units = 0;               // units of each kernel row in a segment; 0: segments are not whole windows
  std::vector<Block> blocks;
  std::vector<Panel> panels;
  Buffer weights;
  Wholes wholes;
  // for BitTile
  std::vector<PlanePair> pairs;
  std::vector<int32_t> tap_offset;
  BitShape bit_shape{};
  size_t plane_bytes = 0, group_bytes = 0, tile_scratch = 0;
  size_t packed_plane = 0;  // bytes of one weight plane's packed block

  void take_weights(Budget& budget, Count bytes) {
    budget.take(bytes + Buffer::kExtra, "a layer's weights");
    weights = Buffer(bytes);
  }
};

struct FilterInput {
  const Preparation& prep;
  const Layout& in;
  Window window;
  int outputs, inner;       // output channels; input channels of a group
  bool dynamic;             // the input was rounded to 128 + q
  bool skips_rows;          // kernel rows outside the map are left out, not met by the border
  BnnCode input_code, weight_code;  // of one term
  int first_plane;                  // of the weights that the term reads
};

Filters pack_signs(const FilterInput& input);
Filters pack_bytes(const FilterInput& input);
Filters pack_reals(const FilterInput& input);

// Shared by the three.
struct Stretch {
  int row, first_column, columns;  // taps
  int x, units;                    // bytes from the first tap; 4-byte units
};
std::vector<Stretch> stretches(const FilterInput& input, int per_unit);
// The bytes from the first tap to every unit.
std::vector<int32_t> unit_offsets(const std::vector<Stretch>& found);
void make_blocks(Filters& filters, const FilterInput& input, Count units, int bytes_per_unit, int widest);
// The place of output `o` of a block, in one unit, among the block's weights.
size_t weight_at(const Filters& filters, const FilterInput& input, const Block& block, size_t unit, int o);
int group_of_bytes(const FilterInput& input);  // bytes between the groups' channels in a pixel

}  // namespace bnn
