// A convolution, and the step that sends a real map through an epilogue: pixels in tiles, block of channels by block.
#include <algorithm>
#include <cstring>

#include "filters.h"

namespace bnn {

namespace {

constexpr int kPixels = 96;  // of one task: a multiple of every tile

// Where the pixels of a task stand in every value involved.
struct Pixels {
  uint8_t* in[kPixels];
  float* out[kPixels];
  const float* residual[kPixels];
  const float* input_scale[kPixels];
  uint8_t* bits[kPixels];
  int32_t class_row[kPixels];
  float unit[kPixels];
};

class EmittingStep : public Step {
 public:
  EmittingStep(const Workshop& shop, const Wholes& wholes, int classes)
      : model_(shop.model), emission_(shop, wholes, classes), emit_(emission_.emit()), input_(int(shop.step.input)) {
    const int to = emission_.output >= 0 ? emission_.output : emission_.bits;
    height_ = shop.value(to).layout.height, width_ = shop.value(to).layout.width;
    reads = {input_};
    for (int v : {emission_.residual, emission_.input_scale})
      if (v >= 0) reads.push_back(v);
    for (int v : {emission_.output, emission_.bits})
      if (v >= 0) writes.push_back(v);
    if (emission_.output >= 0 && emission_.residual != input_ && emission_.residual != emission_.input_scale)
      in_place = emission_.residual;
  }

 protected:
  int64_t pixels(const Frame& f) const { return int64_t(f.images) * height_ * width_; }

  // Fills everything but `in`, `class_row` and `unit` for pixels begin … begin + count − 1; calls each(i, length, n, y, x) for
  // every stretch of a row.
  template <class Each>
  void locate(const Frame& f, int64_t begin, int count, Pixels& p, const Each& each) const {
    const Place out = f.place(emission_.output), bits = f.place(emission_.bits);
    const Place residual = f.place(emission_.residual), scale = f.place(emission_.input_scale);
    int x = int(begin % width_), y = int(begin / width_ % height_), n = int(begin / width_ / height_);
    for (int i = 0; i < count;) {
      const int length = std::min(count - i, width_ - x);
      spread(f, out, n, y, x, length, p.out + i);
      spread(f, bits, n, y, x, length, p.bits + i);
      spread(f, residual, n, y, x, length, p.residual + i);
      spread(f, scale, n, y, x, length, p.input_scale + i);
      each(i, length, n, y, x);
      i += length, x = 0;
      if (++y == height_) y = 0, ++n;
    }
  }

  template <class T>
  static void spread(const Frame& f, const Place& place, int n, int y, int x, int length, T** to) {
    if (place) f.kernels->spread(place.at(n, y, x), place.layout->pixel, length, to);
  }

  static void locate_tile(const Pixels& p, int first_pixel, int channels, EmitTile& t) {
    t.out = p.out + first_pixel, t.residual = p.residual + first_pixel, t.input_scale = p.input_scale + first_pixel;
    t.bits = p.bits + first_pixel, t.class_row = p.class_row + first_pixel, t.unit = p.unit + first_pixel;
    t.groups = (channels + kLanes - 1) / kLanes;
    t.valid = channels == 64 ? ~uint64_t(0) : (uint64_t(1) << channels) - 1;
  }

  void emit(const Frame& f, const Pixels& p, int first_pixel, EmitTile t, int channels) const {
    const auto* acc = static_cast<const int32_t*>(t.acc);
    for (int c = 0; c < channels; c += kBlock, t.first += kBlock) {
      t.acc = acc + c;
      locate_tile(p, first_pixel, std::min(channels - c, kBlock), t);
      f.kernels->emit(emit_, t);
    }
  }

  const Model& model_;
  Emission emission_;
  Emit emit_;
  int input_, height_, width_;
};

class ConvStep : public EmittingStep {
 public:
  ConvStep(const Workshop& shop, const FilterInput& in, Filters filters, int unit_value, int classes)
      : EmittingStep(shop, filters.wholes, classes),
        filters_(std::move(filters)),
        window_(in.window),
        unit_value_(unit_value),
        tile_(filters_.product.kind == kPops ? shop.model.kernels->bit_tile : nullptr) {
    const AxisClasses rows(window_.rows), columns(window_.columns);
    for (int c : rows.of) class_rows_.push_back(c * int(columns.inside.size()) * emit_.row);
    for (int c : columns.of) class_columns_.push_back(c * emit_.row);
    filters_.product.runs = filters_.runs.data();
    filters_.product.run_count = int(filters_.runs.size());
    filters_.product.segments = filters_.segments.data();
    filters_.bit_shape.tap_offset = filters_.tap_offset.data();
    if (unit_value_ >= 0) reads.push_back(unit_value_);
    int widest = 0;
    for (const Panel& p : filters_.panels) widest = std::max(widest, p.channels);
    stride_ = int(round_up(size_t(std::max(widest, filters_.bit_shape.outputs)), kBlock)) + (filters_.panels.size() == 1 ? kBlock : 0);
    tile_pixels_ = tile_ ? std::min(kPixels, std::max(1, tile_->preferred)) : 24;
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
    const size_t acc = size_t(filters_.product.parts) * size_t(tile_pixels_) * size_t(stride_) * 4;
    return round_up(sizeof(Pixels), 64) + 2 * round_up(acc, 64) + filters_.tile_scratch;
  }

 private:
  int chunks(const Frame& f) const { return int((pixels(f) + kPixels - 1) / kPixels); }
  // Panels are shared out too where there are few pixels.
  int panel_tasks(const Frame& f) const {
    if (f.threads == 1) return 1;
    const int wanted = std::max(1, 8 * f.threads / std::max(1, chunks(f)));
    return std::min(wanted, int(filters_.panels.size()));
  }

  // Part `part` of `parts` of the panels.
  void run_pixels(const Frame& f, int64_t begin, int count, int part, int parts, uint8_t* scratch) const {
    auto& p = *reinterpret_cast<Pixels*>(scratch);
    locate_inputs(f, begin, count, p);
    const int panels = int(filters_.panels.size());
    for (int i = panels * part / parts; i < panels * (part + 1) / parts; ++i)
      run_panel(f, filters_.panels[size_t(i)], p, count, scratch + sizeof(Pixels));
  }

  void locate_inputs(const Frame& f, int64_t begin, int count, Pixels& p) const {
    const Place in = f.place(input_), unit = f.place(unit_value_);
    const Layout& l = *in.layout;
    const int64_t back = int64_t(window_.rows.padding) * int64_t(l.row) + int64_t(window_.columns.padding) * int64_t(l.pixel);
    const size_t step = l.pixel * size_t(window_.columns.stride);
    locate(f, begin, count, p, [&](int i, int length, int n, int y, int x) {
      uint8_t* first = in.at(n, y * window_.rows.stride, x * window_.columns.stride) - back;
      f.kernels->spread(first, step, length, p.in + i);
      f.kernels->shift(class_rows_[size_t(y)], class_columns_.data() + x, length, p.class_row + i);
      if (unit) std::fill_n(p.unit + i, length, *unit.at<float>(n, 0, 0));
    });
  }

  void run_panel(const Frame& f, const Panel& panel, const Pixels& p, int count, uint8_t* scratch) const {
    const int done = f.kernels->fused && panel.block_end == panel.block_begin + 1 ? run_fused(f, panel, p, count) : 0;
    auto* acc = reinterpret_cast<int32_t*>(scratch);
    for (int i = done; i < count; i += tile_pixels_) {
      const int some = std::min(tile_pixels_, count - i);
      for (int b = panel.block_begin; b < panel.block_end; ++b) sum_block(f, filters_.blocks[size_t(b)], panel, p, i, some, acc);
      EmitTile t{};
      t.acc = acc, t.stride = stride_, t.part_stride = tile_pixels_ * stride_;
      t.count = some, t.first = panel.first;
      emit(f, p, i, t, panel.channels);
    }
  }

  int run_fused(const Frame& f, const Panel& panel, const Pixels& p, int count) const {
    const Block& block = filters_.blocks[size_t(panel.block_begin)];
    EmitTile t{};
    t.count = count, t.first = panel.first;
    locate_tile(p, 0, block.valid, t);
    return f.kernels->fused(filters_.product, block, p.in, emit_, t);
  }

  void sum_block(const Frame& f, const Block& block, const Panel& panel, const Pixels& p, int first, int count, int32_t* acc) const {
    const uint8_t* pixels[kPixels];
    const size_t shift = size_t(block.group) * filters_.group_bytes;
    for (int k = 0; k < count; ++k) pixels[k] = p.in[first + k] + shift;
    int32_t* to = acc + (block.first - panel.first);
    const int part_stride = tile_pixels_ * stride_;
    if (tile_)
      run_tile(f, block, pixels, count, to, acc + round_up(size_t(part_stride) * 4, 64) / 4);
    else
      f.kernels->product(filters_.product, block, pixels, count, to, stride_, part_stride);
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
  std::vector<int32_t> class_rows_, class_columns_;  // of every output row and column; their sum is Emit's class_row
  int unit_value_;
  const BitTile* tile_;
  int stride_, tile_pixels_;
};

class MapStep : public EmittingStep {
 public:
  explicit MapStep(const Workshop& shop) : EmittingStep(shop, Wholes{}, 1) {
    if (emission_.output >= 0 && emission_.residual < 0) in_place = input_;
  }

  int tasks(const Frame& f) const override { return int((pixels(f) + kPixels - 1) / kPixels); }

  void run(const Frame& f, int task, uint8_t* scratch) const override {
    const int64_t begin = int64_t(task) * kPixels;
    run_pixels(f, begin, int(std::min<int64_t>(kPixels, pixels(f) - begin)), scratch);
  }

  void run_rows(const Frame& f, const Rows& rows, uint8_t* scratch) const override {
    const int64_t first = int64_t(rows.image) * height_ * width_, end = first + int64_t(rows.end) * width_;
    for (int64_t at = first + int64_t(rows.begin) * width_; at < end; at += kPixels)
      run_pixels(f, at, int(std::min<int64_t>(kPixels, end - at)), scratch);
  }

  Shape shape() const override { return Shape::kMap; }
  size_t scratch_bytes() const override { return sizeof(Pixels); }

 private:
  void run_pixels(const Frame& f, int64_t begin, int count, uint8_t* scratch) const {
    auto& p = *reinterpret_cast<Pixels*>(scratch);
    const Place in = f.place(input_);
    std::fill_n(p.class_row, count, 0);
    // Pixels of a row lie at one distance: the map itself is the accumulators.
    locate(f, begin, count, p, [&](int i, int length, int n, int y, int x) {
      EmitTile t{};
      t.acc = in.at(n, y, x), t.stride = int(in.layout->pixel / 4), t.count = length;
      emit(f, p, i, t, emit_.channels);
    });
  }
};

}  // namespace

std::unique_ptr<Step> make_map(const Workshop& shop) { return std::make_unique<MapStep>(shop); }

std::unique_ptr<Step> make_conv_step(const Workshop& shop, const FilterInput& in, Filters filters, int unit_value) {
  const int classes = int(AxisClasses(in.window.rows).inside.size() * AxisClasses(in.window.columns).inside.size());
  return std::make_unique<ConvStep>(shop, in, std::move(filters), unit_value, classes);
}

}  // namespace bnn
