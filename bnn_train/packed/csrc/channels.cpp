// Maps that are joined along their channels, and parts of them.
#include <cstring>

#include "row_step.h"

namespace bnn {

namespace {

// The gap behind a pixel's channels becomes 0.
class ConcatStep : public RowStep {
 public:
  explicit ConcatStep(const Preparation& prep) : RowStep(prep, int(prep.step.output)), second_(int(prep.step.second)) {
    reads.push_back(second_);
  }
  void run_rows(const Frame& f, const Rows& rows, uint8_t*) const override {
    const Place first = f.place(from_), second = f.place(second_), out = f.place(to_);
    const size_t bytes = size_t(in_.channels) * 4, more = size_t(out_.channels) * 4 - bytes;
    for (int y = rows.begin; y < rows.end; ++y)
      for (int x = 0; x < out_.width; ++x) {
        uint8_t* to = out.at(rows.image, y, x);
        std::memcpy(to, first.at(rows.image, y, x), bytes);
        std::memcpy(to + bytes, second.at(rows.image, y, x), more);
        std::memset(to + bytes + more, 0, out_.pixel - bytes - more);
      }
  }

 private:
  void row(const Place&, const Place&, const Kernels&, int, int, uint8_t*) const override {}

  int second_;
};

class ChannelsStep : public RowStep {
 public:
  explicit ChannelsStep(const Preparation& prep)
      : RowStep(prep, int(prep.step.output)), start_(size_t(prep.step.before) * 4) {}

 private:
  void row(const Place& in, const Place& out, const Kernels&, int n, int y, uint8_t*) const override {
    const size_t bytes = size_t(out_.channels) * 4;
    for (int x = 0; x < out_.width; ++x) {
      uint8_t* to = out.at(n, y, x);
      std::memcpy(to, in.at(n, y, x) + start_, bytes);
      std::memset(to + bytes, 0, out_.pixel - bytes);
    }
  }

  size_t start_;  // bytes
};

}  // namespace

std::unique_ptr<Step> make_concat(const Preparation& prep) { return std::make_unique<ConcatStep>(prep); }
std::unique_ptr<Step> make_channels(const Preparation& prep) { return std::make_unique<ChannelsStep>(prep); }

}  // namespace bnn
