// Chains that run band by band: a convolution whose real map only a pooling reads, and a map that follows. The first map, often
// the largest of a network, is then never in memory as a whole.
#include <algorithm>

#include "model.h"

namespace bnn {

namespace {

constexpr int kBand = 4;  // rows of the pooling's result made at a time

class ChainStep : public Step {
 public:
  // `conv`, `pool`, and perhaps `map`. The convolution's result lives in a ring of rows.
  ChainStep(const Model& model, Step& conv, Step& pool, Step* map) : conv_(conv), pool_(pool), map_(map) {
    between_ = conv.writes[0];
    height_ = model.values[size_t(pool.writes[0])].layout.height;
    ring_ = model.values[size_t(between_)].layout;
    int most = 1;
    for (int y = 0; y < height_; ++y) {
      const Rows rows = pool.needs({0, y, std::min(height_, y + kBand)});
      most = std::max(most, rows.end - rows.begin);
    }
    ring_.ring = ring_.height = most;
    ring_.finish(false);
    bytes_ = size_t(Count(ring_.image) + kSlack);
    reads = conv.reads;
    writes = pool.writes;
    for (Step* step : {&conv, &pool, map}) {
      if (!step) continue;
      inner_scratch_ = std::max(inner_scratch_, round_up(step->scratch_bytes(), 64));
      step->runs_in = this;
    }
    if (map) {
      for (int v : map->reads)
        if (v != pool.writes[0]) reads.push_back(v);
      writes.insert(writes.end(), map->writes.begin(), map->writes.end());
    }
  }

  int tasks(const Frame& f) const override { return f.images * shares(f); }

  void run(const Frame& f, int task, uint8_t* scratch) const override {
    Frame own = f;
    const int parts = shares(f), part = task % parts, image = task / parts;
    own.places[size_t(between_)] = {&ring_, scratch + inner_scratch_, image};  // a ring holds one image
    const int begin = height_ * part / parts, end = height_ * (part + 1) / parts;
    int done = pool_.needs({image, begin, begin + 1}).begin;
    for (int y = begin; y < end; y += kBand) {
      const Rows band{image, y, std::min(end, y + kBand)};
      const Rows wanted = pool_.needs(band);
      conv_.run_rows(own, {image, done, wanted.end}, scratch);
      done = std::max(done, wanted.end);
      pool_.run_rows(own, band, scratch);
      if (map_) map_->run_rows(own, band, scratch);
    }
  }

  size_t scratch_bytes() const override { return size_t(Count(inner_scratch_) + bytes_); }

 private:
  // Parts of an image that different threads take.
  int shares(const Frame& f) const {
    if (f.threads == 1) return 1;
    return std::max(1, std::min(height_ / kBand, (4 * f.threads + f.images - 1) / f.images));
  }

  Step &conv_, &pool_, *map_;
  int between_, height_ = 0;
  Layout ring_;
  size_t inner_scratch_ = 0, bytes_ = 0;  // bytes_: of the ring
};

// The count of readers of each value, the caller's reading of the output included.
std::vector<int> readers(const Model& m) {
  std::vector<int> count(m.values.size(), 0);
  ++count[size_t(m.output)];
  for (const auto& step : m.steps)
    for (int v : step->reads) ++count[size_t(v)];
  return count;
}

bool chains(const Model& m, const std::vector<int>& read, const Step& conv, const Step& pool) {
  if (conv.shape() != Step::Shape::kConv || pool.shape() != Step::Shape::kPool) return false;
  return conv.writes.size() == 1 && conv.writes[0] == pool.reads[0] && read[size_t(conv.writes[0])] == 1 &&
         m.values[size_t(conv.writes[0])].layout.type == kF32 && !m.values[size_t(conv.writes[0])].layout.bordered();
}

}  // namespace

void chain_steps(Model& m) {
  using Shape = Step::Shape;
  const std::vector<int> read = readers(m);
  for (size_t i = 0; i < m.steps.size(); ++i) {
    const bool chain = i + 1 < m.steps.size() && chains(m, read, *m.steps[i], *m.steps[i + 1]);
    if (!chain) {
      m.order.push_back(m.steps[i].get());
      continue;
    }
    const bool mapped = i + 2 < m.steps.size() && m.steps[i + 2]->shape() == Shape::kMap &&
                        m.steps[i + 2]->reads == std::vector<int>{m.steps[i + 1]->writes[0]};
    Step* map = mapped ? m.steps[i + 2].get() : nullptr;
    m.chains.push_back(std::make_unique<ChainStep>(m, *m.steps[i], *m.steps[i + 1], map));
    m.order.push_back(m.chains.back().get());
    i += mapped ? 2 : 1;
  }
}

}  // namespace bnn
