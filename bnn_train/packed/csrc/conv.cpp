// A convolution: pixels in tiles, block of channels by block.
#include <algorithm>
#include <cstring>

#include "epilogue_step.h"
#include "factored_terms.h"
#include "window_sums.h"

namespace bnn {

namespace {

struct Classes {
  AxisClasses rows, columns;
  explicit Classes(const Window& w) : rows(w.rows), columns(w.columns) {}
  int count() const { return (Count(rows.inside.size()) * columns.inside.size()).as_int(); }
};

constexpr int kSome = 24;  // pixels whose sums lie in the nearest cache: a multiple of every tile

class ConvStep : public EpilogueStep {
 public:
  // `filters`: one set, or one for each term of the weights where factors are given.
  ConvStep(const Preparation& prep, const FilterInput& in, std::vector<Filters> filters, int unit_value, const Classes& classes)
      : EpilogueStep(prep, has_factors(prep) ? Wholes{} : filters[0].wholes, classes.count()),
        window_(in.window),
        unit_value_(unit_value),
        terms_(has_factors(prep) ? FactoredTerms(prep, in, filters, data_.row) : FactoredTerms()) {
    Budget& budget = prep.model.budget;
    const AxisClasses &rows = classes.rows, &columns = classes.columns;
    budget.take((Count(rows.of.size()) * 2 + columns.of.size()) * sizeof(int32_t), "a layer's border classes");
    (Count(classes.count()) * data_.row * std::max(1, data_.levels)).as_int();
    row_class_.assign(rows.of.begin(), rows.of.end());
    class_rows_.reserve(rows.of.size()), class_columns_.reserve(columns.of.size());
    for (int c : rows.of) class_rows_.push_back(c * int(columns.inside.size()) * data_.row);
    for (int c : columns.of) class_columns_.push_back(c * data_.row);
    const BitTile* tile = prep.model.kernels->bit_tile;
    sums_.reserve(filters.size());
    for (Filters& f : filters) sums_.emplace_back(budget, tile, std::move(f), rows, in.skips_rows);
    if (unit_value_ >= 0) reads.push_back(unit_value_);
    const bool by_tile = tile && first().product.kind == kPops;
    fuses_ = prep.model.kernels->fused && !terms_ && !by_tile;
    measure_tile(by_tile ? tile : nullptr);
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
    return size_t(Count(kTileAt) + acc_bytes_ * (terms_ ? 2 : 1) + spare_bytes_);
  }

 private:
  static constexpr size_t kTileAt = (sizeof(Pixels) + 63) / 64 * 64;  // where a tile's numbers begin

  const Filters& first() const { return sums_[0].filters(); }
  int chunks(const Frame& f) const { return int((pixels(f) + kPixels - 1) / kPixels); }
  // Panels are shared out too where there are few pixels.
  int panel_tasks(const Frame& f) const {
    if (f.threads == 1) return 1;
    const int wanted = std::max(1, 8 * f.threads / std::max(1, chunks(f)));
    return std::min(wanted, int(first().panels.size()));
  }

  void measure_tile(const BitTile* tile) {
    int widest = 0;
    for (const Panel& p : first().panels) widest = std::max(widest, p.channels);
    stride_ = (up_to_multiple(std::max(widest, first().bit_shape.outputs), kBlock) +
               (first().panels.size() == 1 ? kBlock : 0)).as_int();
    tile_pixels_ = std::min<int>(kPixels, tile ? int(round_up(kSome, size_t(std::max(1, tile->preferred)))) : kSome);
    const Count numbers = Count(first().product.parts) * tile_pixels_ * stride_;
    numbers.as_int();
    acc_bytes_ = size_t(up_to_multiple(numbers * 4, 64));
    spare_bytes_ = size_t(up_to_multiple(Count(tile_pixels_) * stride_ * 4, 64) + first().tile_scratch);
  }

  // Pixels first … first + count − 1 of a task, whose rows are of one class.
  struct Stretch {
    int first, count, row_class;
  };

  int stretches(int64_t begin, int count, Stretch (&found)[kPixels]) const {
    const bool apart = sums_[0].skips_rows();
    int y = int(begin / width_ % height_), x = int(begin % width_), n = 0;
    for (int i = 0; i < count;) {
      const int row_class = apart ? row_class_[size_t(y)] : 0;
      const int length = std::min(count - i, width_ - x);
      if (n > 0 && found[n - 1].row_class == row_class)
        found[n - 1].count += length;
      else
        found[n++] = {i, length, row_class};
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
    const int panels = int(first().panels.size());
    for (int i = panels * part / parts; i < panels * (part + 1) / parts; ++i)
      for (int k = 0; k < n; ++k) run_panel(f, first().panels[size_t(i)], p, found[k], scratch + kTileAt);
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

  void run_panel(const Frame& f, const Panel& panel, const Pixels& p, const Stretch& s, uint8_t* tile) const {
    const bool fused = fuses_ && panel.block_end == panel.block_begin + 1;
    for (int i = fused ? run_fused(f, panel, p, s) : 0; i < s.count; i += tile_pixels_) {
      const Stretch some{s.first + i, std::min(tile_pixels_, s.count - i), s.row_class};
      auto* acc = reinterpret_cast<int32_t*>(tile);
      if (terms_)
        add_terms(f, panel, p, some, tile);
      else
        sum_panel(f, sums_[0], 0, panel, p, some, {acc, tile + acc_bytes_, tile_pixels_, stride_});
      EpilogueTile t{};
      t.acc = acc, t.stride = stride_, t.part_stride = tile_pixels_ * stride_;
      t.count = some.count, t.first = panel.first;
      finish(f, p, some.first, t, panel.channels);
    }
  }

  int run_fused(const Frame& f, const Panel& panel, const Pixels& p, const Stretch& s) const {
    const Block& block = first().blocks[size_t(panel.block_begin)];
    EpilogueTile t{};
    t.count = s.count, t.first = panel.first;
    locate_tile(p, s.first, block.valid, t);
    return f.kernels->fused(sums_[0].product(s.row_class), block, p.in + s.first, data_, t);
  }

  void sum_panel(const Frame& f, const WindowSums& sums, size_t shift, const Panel& panel, const Pixels& p, const Stretch& s,
                 const WindowSums::Room& room) const {
    for (int b = panel.block_begin; b < panel.block_end; ++b) {
      const Block& block = sums.filters().blocks[size_t(b)];
      sums.run(*f.kernels, s.row_class, block, p.in + s.first, shift, s.count, room, block.first - panel.first);
    }
  }

  // Term by term, the weights' planes outside and the input's inside, in float32.
  void add_terms(const Frame& f, const Panel& panel, const Pixels& p, const Stretch& s, uint8_t* tile) const {
    auto* sum = reinterpret_cast<float*>(tile);
    auto* pops = reinterpret_cast<int32_t*>(tile + acc_bytes_);
    for (int t = 0; t < terms_.count(); ++t) {
      const WindowSums& sums = sums_[size_t(t / terms_.inner())];
      const size_t shift = size_t(t % terms_.inner()) * terms_.plane_bytes();
      sum_panel(f, sums, shift, panel, p, s, {pops, tile + 2 * acc_bytes_, tile_pixels_, stride_});
      for (int k = 0; k < s.count; ++k) {
        const size_t at = size_t(k) * size_t(stride_);
        f.kernels->add_term(terms_.term(t), pops + at, p.class_row[s.first + k], panel.first, panel.channels, sum + at, t > 0);
      }
    }
  }

  Window window_;
  int unit_value_;
  FactoredTerms terms_;
  std::vector<WindowSums> sums_;  // one, or one for each plane of the weights that has factors
  std::vector<int> row_class_;
  std::vector<int32_t> class_rows_, class_columns_;  // of every output row and column; their sum is a pixel's class_row
  bool fuses_ = false;  // product and epilogue at once
  int stride_ = 0, tile_pixels_ = 0;
  size_t acc_bytes_ = 0, spare_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Step> make_conv_step(const Preparation& prep, const FilterInput& in, std::vector<Filters> filters,
                                     int unit_value) {
  const Loan room(prep.model.budget, AxisClasses::bytes(in.window.rows) + AxisClasses::bytes(in.window.columns),
                  "a window's border classes");
  return std::make_unique<ConvStep>(prep, in, std::move(filters), unit_value, Classes(in.window));
}

}  // namespace bnn
