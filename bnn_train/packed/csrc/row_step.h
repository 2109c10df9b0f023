// A step whose result is made row by row.
#pragma once
#include "model.h"

namespace bnn {

// One row of one image's output is a task.
class RowStep : public Step {
 public:
  RowStep(const Preparation& prep, int to)
      : in_(prep.value(prep.step.input).layout), out_(prep.value(to).layout), from_(int(prep.step.input)), to_(to) {
    reads = {from_};
    writes = {to};
  }
  int tasks(const Frame& f) const override { return f.images * out_.height; }
  void run(const Frame& f, int task, uint8_t* scratch) const override {
    const int y = task % out_.height;
    run_rows(f, {task / out_.height, y, y + 1}, scratch);
  }
  void run_rows(const Frame& f, const Rows& rows, uint8_t* scratch) const override {
    for (int y = rows.begin; y < rows.end; ++y) row(f.place(from_), f.place(to_), *f.kernels, rows.image, y, scratch);
  }

 protected:
  virtual void row(const Place& in, const Place& out, const Kernels& kernels, int n, int y, uint8_t* scratch) const = 0;

  Layout in_, out_;
  int from_, to_;
};

}  // namespace bnn
