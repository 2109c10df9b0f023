// Memory planned ahead: values whose lives do not overlap share a slot. A bordered value shares only with values of the
// same layout, so that a border is written once and stays.
#include <algorithm>

#include "model.h"

namespace bnn {

namespace {

class Planner {
 public:
  explicit Planner(Model& model) : model_(model), last_(model.values.size(), -1) {
    for (size_t i = 0; i < model.order.size(); ++i) {
      for (int v : model.order[i]->reads) last_[size_t(v)] = int(i);
      for (int v : model.order[i]->writes) last_[size_t(v)] = std::max(last_[size_t(v)], int(i));
    }
    last_[size_t(model.output)] = int(model.order.size());
  }

  void run() {
    take(0, -1);
    for (size_t i = 0; i < model_.order.size(); ++i) {
      const Step& step = *model_.order[i];
      int inherited = -1;
      if (may_inherit(step, int(i))) inherited = model_.values[size_t(step.in_place)].slot;
      for (int v : step.writes) {
        take(v, inherited);
        inherited = -1;
      }
      release(step, int(i));
    }
  }

 private:
  bool may_inherit(const Step& step, int at) const {
    if (step.in_place < 0 || step.writes.empty()) return false;
    const Value& from = model_.values[size_t(step.in_place)];
    return last_[size_t(step.in_place)] == at && from.layout.same(model_.values[size_t(step.writes[0])].layout);
  }

  void take(int v, int inherited) {
    Value& value = model_.values[size_t(v)];
    if (inherited >= 0) {
      value.slot = inherited;
      owner_[size_t(inherited)] = v;
      return;
    }
    value.slot = find(value.layout);
    if (value.slot < 0) {
      value.slot = int(model_.slots.size());
      model_.slots.push_back({0, value.layout});
      owner_.push_back(-1);
    }
    Slot& slot = model_.slots[size_t(value.slot)];
    slot.bytes = std::max(slot.bytes, value.layout.image);
    owner_[size_t(value.slot)] = v;
  }

  int find(const Layout& layout) const {
    int best = -1;
    for (size_t s = 0; s < model_.slots.size(); ++s) {
      const Slot& slot = model_.slots[s];
      if (owner_[s] >= 0 || slot.layout.bordered() != layout.bordered()) continue;
      if (layout.bordered()) {
        if (slot.layout.same(layout)) return int(s);
      } else if (best < 0 || slot.bytes > model_.slots[size_t(best)].bytes) {
        best = int(s);
      }
    }
    return best;
  }

  void release(const Step& step, int at) {
    const auto end = [&](int v) {
      const int slot = model_.values[size_t(v)].slot;
      if (last_[size_t(v)] <= at && slot >= 0 && owner_[size_t(slot)] == v) owner_[size_t(slot)] = -1;
    };
    for (int v : step.reads) end(v);
    for (int v : step.writes) end(v);
  }

  Model& model_;
  std::vector<int> last_, owner_;  // owner_: the value that lives in each slot, or -1
};

}  // namespace

void plan(Model& model) { Planner(model).run(); }

}  // namespace bnn
