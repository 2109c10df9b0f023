// Memory and chunks planned ahead. Values whose lives do not overlap share a slot; a bordered value shares only with values
// of the same layout, so that a border is written once and stays.
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
    whole_.assign(model_.values.size(), false);
    for (size_t i = model_.tail; i < model_.order.size(); ++i) {
      for (int v : model_.order[i]->reads) whole_[size_t(v)] = true;
      for (int v : model_.order[i]->writes) whole_[size_t(v)] = true;
    }
    whole_[size_t(model_.output)] = true;
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
    return last_[size_t(step.in_place)] == at && whole_[size_t(step.in_place)] == whole_[size_t(step.writes[0])] &&
           from.layout.same(model_.values[size_t(step.writes[0])].layout);
  }

  void take(int v, int inherited) {
    Value& value = model_.values[size_t(v)];
    if (inherited >= 0) {
      value.slot = inherited;
      owner_[size_t(inherited)] = v;
      return;
    }
    value.slot = find(value.layout, whole_[size_t(v)]);
    if (value.slot < 0) {
      value.slot = int(model_.slots.size());
      model_.slots.push_back({0, value.layout, bool(whole_[size_t(v)])});
      owner_.push_back(-1);
    }
    Slot& slot = model_.slots[size_t(value.slot)];
    slot.bytes = std::max(slot.bytes, value.layout.image);
    owner_[size_t(value.slot)] = v;
  }

  int find(const Layout& layout, bool whole) const {
    int best = -1;
    for (size_t s = 0; s < model_.slots.size(); ++s) {
      const Slot& slot = model_.slots[s];
      if (owner_[s] >= 0 || slot.whole != whole || slot.layout.bordered() != layout.bordered()) continue;
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
  std::vector<bool> whole_;        // by value
};

constexpr size_t kPartBytes = size_t(512) << 10, kChunkBytes = size_t(8) << 20;

// The first convolution behind the last map.
size_t tail_of(const Model& m) {
  size_t tail = m.order.size();
  while (tail > 0) {
    const auto& writes = m.order[tail - 1]->writes;
    const bool dense = std::all_of(writes.begin(), writes.end(), [&](int v) {
      const Layout& l = m.values[size_t(v)].layout;
      return l.height * l.width == 1;
    });
    if (!dense) break;
    --tail;
  }
  while (tail < m.order.size() && m.order[tail]->shape() != Step::Shape::kConv) ++tail;
  return tail;
}

// Bytes an image of what a step touches.
size_t touched(const Model& m, const Step& step) {
  Count bytes = 0;
  for (int v : step.reads) bytes += m.values[size_t(v)].layout.image;
  for (int v : step.writes) bytes += m.values[size_t(v)].layout.image;
  return size_t(bytes);
}

void choose_chunks(Model& m) {
  size_t most = 1;
  Count whole = 1;
  for (size_t i = 0; i < m.tail; ++i) most = std::max(most, touched(m, *m.order[i]));
  for (const Slot& slot : m.slots) whole += slot.whole ? slot.bytes : 0;
  m.part = std::clamp(int(kPartBytes / most), 1, kMostPart);
  m.chunk = std::clamp(int(kChunkBytes / size_t(whole)), m.part, kMostChunk);
}

}  // namespace

Count work_space(const Model& m, const Portions& p) {
  Count whole = 0, part = 0;
  for (const Slot& slot : m.slots) {
    (slot.whole ? whole : part) += Count(slot.bytes) * (slot.whole ? p.chunk : p.part) + Buffer::kExtra;
  }
  return whole + Count(p.threads) * (part + m.scratch_bytes + Buffer::kExtra);
}

void plan_memory(Model& model) {
  model.tail = tail_of(model);
  Planner(model).run();
  choose_chunks(model);
  const Loan one_image(model.budget, work_space(model, {1, 1, 1}), "the maps of one image");
}

}  // namespace bnn
