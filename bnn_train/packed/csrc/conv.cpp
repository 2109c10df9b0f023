// A convolution: pixels in tiles, block of channels by block.
#include <algorithm>
#include <cstring>

#include "emitting.h"
#include "filters.h"

namespace bnn {

namespace {

struct Classes {
  AxisClasses rows, columns;
  explicit Classes(const Window& w) : rows(w.rows), columns(w.columns) {}
  int count() const { return (Count(rows.inside.size()) * columns.inside.size()).as_int(); }
};

constexpr int kSome = 24;  // pixels whose sums lie in the nearest cache: a multiple of every tile

class ConvStep : public EmittingStep {
 public:
  ConvStep(const Workshop& shop, const FilterInput& in, Filters filters, int unit_value, const Classes& classes)
      : EmittingStep(shop, filters.wholes, classes.count()),
        filters_(std::move(filters)),
        window_(in.window),
        unit_value_(unit_value),
        tile_(filters_.product.kind == kPops ? shop.model.kernels->bit_tile : nullptr) {
    Budget& budget = shop.model.budget;
    const AxisClasses &rows = classes.rows, &columns = classes.columns;
    budget.take((Count(rows.of.size()) * 2 + columns.of.size()) * sizeof(int32_t), "a layer's border classes");
    (Count(classes.count()) * emit_.row * std::max(1, emit_.levels)).as_int();
    class_rows_.reserve(rows.of.size()), class_columns_.reserve(columns.of.size());
    for (int c : rows.of) class_rows_.push_back(c * int(columns.inside.size()) * emit_.row);
    for (int c : columns.of) class_columns_.push_back(c * emit_.row);
    filters_.wholes = {};
    filters_.product.runs = filters_.runs.data();
    filters_.product.run_count = int(filters_.runs.size());
    make_products(budget, rows, in.skips_rows && filters_.row_units > 0);
    filters_.bit_shape.tap_offset = filters_.tap_offset.data();
    if (unit_value_ >= 0) reads.push_back(unit_value_);
    int widest = 0;
    for (const Panel& p : filters_.panels) widest = std::max(widest, p.channels);
    stride_ = (up_to_multiple(std::max(widest, filters_.bit_shape.outputs), kBlock) +
               (filters_.panels.size() == 1 ? kBlock : 0)).as_int();
    tile_pixels_ = std::min<int>(kPixels, tile_ ? int(round_up(kSome, size_t(std::max(1, tile_->preferred)))) : kSome);
    (Count(filters_.product.parts) * tile_pixels_ * stride_).as_int();
  }

  int tasks(const Frame& f) const override { return chunks(f) * panel_tasks(f); }

  void run(const Frame& f, int task, uint8_t* scratch) const override {
    const int parts = panel_tasks(f);
    const int64_t begin = int64_t(task / parts) * kPixels;
    run_pixels(f, begin, int(std::min<int64_t>(kPixels, pixels(f) - begin)), task % parts, parts, scratch);
  }

  void run_rows(const Frame& f, const Rows& rows, uint8_t* scratch) const override {
    const int64_t first = int64_t(rows.image) * height_ * width_, end = first + int64_t(rows.end) * width_;
    for (int64_t at = first + int64_t(rows.begin) * width_; at < end; at += kPixels)
      run_pixels(f, at, int(std::min<int64_t>(kPixels, end - at)), 0, 1, scratch);
  }

  Shape shape() const override { return Shape::kConv; }

  size_t scratch_bytes() const override {
    const Count acc = Count(filters_.product.parts) * tile_pixels_ * stride_ * 4;
    return size_t(up_to_multiple(sizeof(Pixels), 64) + 2 * up_to_multiple(acc, 64) + filters_.tile_scratch);
  }

 private:
  int chunks(const Frame& f) const { return int((pixels(f) + kPixels - 1) / kPixels); }
  // Panels are shared out too where there are few pixels.
  int panel_tasks(const Frame& f) const {
    if (f.threads == 1) return 1;
    const int wanted = std::max(1, 8 * f.threads / std::max(1, chunks(f)));
    return std::min(wanted, int(filters_.panels.size()));
  }

  // One product for each class of rows, with the kernel rows that lie inside; or one for all.
  void make_products(Budget& budget, const AxisClasses& rows, bool skips) {
    const size_t count = skips ? rows.inside.size() : 1;
    budget.take(Count(count) * (Count(filters_.segments.size()) * sizeof(Segment) + sizeof(segments_[0]) + sizeof(Product)),
                "a layer's classes of rows");
    segments_.resize(count);
    products_.reserve(count), product_of_row_.reserve(rows.of.size());
    for (size_t k = 0; k < count; ++k) {
      const int begin = rows.inside[k].begin, taps = rows.inside[k].end - begin;
      segments_[k].reserve(filters_.segments.size());
      for (Segment s : filters_.segments) {
        if (skips) s = {s.x + begin * filters_.row_units, s.w + begin * filters_.row_units, taps * filters_.row_units};
        if (skips && taps == 0) s = {filters_.offsets.data(), 0, 0};
        segments_[k].push_back(s);
      }
      products_.push_back(filters_.product);
      products_.back().segments = segments_[k].data();
    }
    for (int c : rows.of) product_of_row_.push_back(skips ? c : 0);
  }

  // Pixels first … first + count − 1 of a task, which share a product.
  struct Stretch {
    int first, count;
    const Product* product;
  };

  int stretches(int64_t begin, int count, Stretch (&found)[kPixels]) const {
    int y = int(begin / width_ % height_), x = int(begin % width_), n = 0;
    for (int i = 0; i < count;) {
      const Product* product = &products_[size_t(product_of_row_[size_t(y)])];
      const int length = std::min(count - i, width_ - x);
      if (n > 0 && found[n - 1].product == product)
        found[n - 1].count += length;
      else
        found[n++] = {i, length, product};
      i += length, x = 0;
      if (++y == height_) y = 0;
    }
    return n;
  }

  // Part `part` of `parts` of the panels.
  void run_pixels(const Frame& f, int64_t begin, int count, int part, int parts, uint8_t* scratch) const {
    auto& p = *reinterpret_cast<Pixels*>(scratch);
    locate_inputs(f, begin, count, p);
    Stretch found[kPixels];
    const int n = stretches(begin, count, found);
    const int panels = int(filters_.panels.size());
    for (int i = panels * part / parts; i < panels * (part + 1) / parts; ++i)
      for (int k = 0; k < n; ++k) run_panel(f, filters_.panels[size_t(i)], p, found[k], scratch + sizeof(Pixels));
  }

  void locate_inputs(const Frame& f, int64_t begin, int count, Pixels& p) const {
    const Place in = f.place(input_), unit = f.place(unit_value_);
    const Layout& l = *in.layout;
    const size_t step = l.pixel * size_t(window_.columns.stride);
    locate(f, begin, count, p, [&](int i, int length, int n, int y, int x) {
      uint8_t* first = in.at(n, window_.rows.start(y), window_.columns.start(x));
      f.kernels->spread(first, step, length, p.in + i);
      f.kernels->shift(class_rows_[size_t(y)], class_columns_.data() + x, length, p.class_row + i);
      if (unit) std::fill_n(p.unit + i, length, *unit.at<float>(n, 0, 0));
    });
  }

  void run_panel(const Frame& f, const Panel& panel, const Pixels& p, const Stretch& s, uint8_t* scratch) const {
    const int done = f.kernels->fused && panel.block_end == panel.block_begin + 1 ? run_fused(f, panel, p, s) : 0;
    auto* acc = reinterpret_cast<int32_t*>(scratch);
    for (int i = done; i < s.count; i += tile_pixels_) {
      const Stretch some{s.first + i, std::min(tile_pixels_, s.count - i), s.product};
      for (int b = panel.block_begin; b < panel.block_end; ++b) sum_block(f, filters_.blocks[size_t(b)], panel, p, some, acc);
      EmitTile t{};
      t.acc = acc, t.stride = stride_, t.part_stride = tile_pixels_ * stride_;
      t.count = some.count, t.first = panel.first;
      emit(f, p, some.first, t, panel.channels);
    }
  }

  int run_fused(const Frame& f, const Panel& panel, const Pixels& p, const Stretch& s) const {
    const Block& block = filters_.blocks[size_t(panel.block_begin)];
    EmitTile t{};
    t.count = s.count, t.first = panel.first;
    locate_tile(p, s.first, block.valid, t);
    return f.kernels->fused(*s.product, block, p.in + s.first, emit_, t);
  }

  void sum_block(const Frame& f, const Block& block, const Panel& panel, const Pixels& p, const Stretch& s, int32_t* acc) const {
    const uint8_t* pixels[kPixels];
    const size_t shift = size_t(block.group) * filters_.group_bytes;
    for (int k = 0; k < s.count; ++k) pixels[k] = p.in[s.first + k] + shift;
    int32_t* to = acc + (block.first - panel.first);
    const int part_stride = tile_pixels_ * stride_;
    if (tile_)
      run_tile(f, block, pixels, s.count, to, acc + round_up(size_t(part_stride) * 4, 64) / 4);
    else
      f.kernels->product(*s.product, block, pixels, s.count, to, stride_, part_stride);
  }

  void run_tile(const Frame& f, const Block& block, const uint8_t* const* pixels, int count, int32_t* to, int32_t* spare) const {
    const BitShape& shape = filters_.bit_shape;
    uint8_t* scratch = reinterpret_cast<uint8_t*>(spare) + round_up(size_t(tile_pixels_) * size_t(stride_) * 4, 64);
    bool add = false;
    for (const PlanePair& pair : filters_.pairs) {
      const uint32_t* planes[kPixels];
      for (int k = 0; k < count; ++k)
        planes[k] = reinterpret_cast<const uint32_t*>(pixels[k] + size_t(pair.input_plane) * filters_.plane_bytes);
      const auto* weights = static_cast<const uint8_t*>(block.weights) + size_t(pair.weight_plane) * filters_.packed_plane;
      const bool direct = !add && pair.coefficient == 1;
      tile_->run(shape, weights, planes, count, direct ? to : spare, stride_, scratch);
      if (!direct)
        for (int k = 0; k < count; ++k)
          f.kernels->add_pops(to + size_t(k) * size_t(stride_), spare + size_t(k) * size_t(stride_), pair.coefficient, add,
                              block.valid);
      add = true;
    }
  }

  Filters filters_;
  Window window_;
  std::vector<std::vector<Segment>> segments_;
  std::vector<Product> products_;
  std::vector<int> product_of_row_;
  std::vector<int32_t> class_rows_, class_columns_;  // of every output row and column; their sum is Emit's class_row
  int unit_value_;
  const BitTile* tile_;
  int stride_, tile_pixels_;
};

}  // namespace

std::unique_ptr<Step> make_conv_step(const Workshop& shop, const FilterInput& in, Filters filters, int unit_value) {
  const Loan room(shop.model.budget, AxisClasses::bytes(in.window.rows) + AxisClasses::bytes(in.window.columns),
                  "a window's border classes");
  return std::make_unique<ConvStep>(shop, in, std::move(filters), unit_value, Classes(in.window));
}

}  // namespace bnn
