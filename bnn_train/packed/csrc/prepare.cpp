// From the flat program to values with borders and steps with their weights.
#include <algorithm>
#include <limits>

#include "filters.h"

namespace bnn {

std::unique_ptr<Step> make_conv_step(const Preparation& prep, const FilterInput& in, std::vector<Filters> filters,
                                     int unit_value);

namespace {

constexpr size_t kStepBytes = 2048;  // a step's own object, without what it points to

bool is_dynamic(const BnnValue& input, const BnnStep& s) { return input.type == kF32 && s.weight_kind == kIntWeight; }

// Bytes by whole numbers of 16 or 24 bits: a float32 sum in the order of the window.
bool adds_in_order(const BnnValue& input, const BnnStep& s) {
  return input.type == kU8 && s.weight_kind == kIntWeight && s.digits > 1;
}

// Groups whose channels do not begin at a word.
bool needs_regrouping(const BnnValue& input, const BnnStep& s) {
  return input.type == kBits && s.groups > 1 && input.channels / s.groups % 32 != 0;
}

// A convolution that reads a form of its input made for it.
bool has_own_input(const BnnValue& input, const BnnStep& s, const Kernels& kernels) {
  return is_dynamic(input, s) || adds_in_order(input, s) || (input.type == kU8 && kernels.pairs) || needs_regrouping(input, s);
}

void add_border(Layout& layout, const BnnStep& s, const BnnValue& out) {
  Layout to;
  to.height = int(out.height), to.width = int(out.width);
  const Window w = window_of(s, layout, to);
  layout.top = std::max(layout.top, w.rows.padding), layout.left = std::max(layout.left, w.columns.padding);
  layout.bottom = std::max(layout.bottom, w.rows.behind()), layout.right = std::max(layout.right, w.columns.behind());
}

// The code of each term of a product: the sign of each plane, or all planes of a code together.
BnnCode term_code(const BnnCode& code) { return code.factored ? BnnCode{0, 1, 1, 0, {1}} : code; }

// One product for each plane of the weights where they have factors.
std::vector<Filters> filters_of_terms(FilterInput& in) {
  const BnnCode weight = in.weight_code;
  in.input_code = term_code(in.input_code), in.weight_code = term_code(weight);
  const int terms = weight.factored ? int(weight.planes) : 1;
  std::vector<Filters> found;
  for (in.first_plane = 0; in.first_plane < terms; ++in.first_plane) found.push_back(pack_signs(in));
  return found;
}

const BnnValue& result_of(const BnnProgram& p, const BnnStep& s) { return p.values[s.output >= 0 ? s.output : s.bits]; }

Layout layout_of(const BnnValue& v) {
  Layout l;
  l.type = int(v.type), l.height = int(v.height), l.width = int(v.width), l.channels = int(v.channels);
  l.planes = v.type == kBits ? int(v.code.planes) : 1;
  return l;
}

}  // namespace

int Preparation::add_value(BnnValue shape, uint8_t fill, bool packed) {
  model.budget.take(sizeof(Value), "a value");
  Value v{shape, layout_of(shape), -1};
  v.layout.fill = fill;
  v.layout.finish(packed);
  model.values.push_back(v);
  return int(model.values.size()) - 1;
}

void make_conv(Preparation& prep) {
  const BnnStep& s = prep.step;
  const BnnValue in = prep.value(s.input).shape;
  const BnnValue out = prep.value(s.output >= 0 ? s.output : s.bits).shape;
  int from = int(s.input), unit = -1;
  BnnStep step = s;
  if (is_dynamic(in, s)) {
    BnnValue q = in, m = in;
    q.type = kU8, m.height = m.width = m.channels = 1;
    from = prep.add_value(q, 128), unit = prep.add_value(m, 0);
  } else if (in.type == kU8 && has_own_input(in, s, *prep.model.kernels)) {
    BnnValue wide = in;
    wide.type = adds_in_order(in, s) ? int(kF32) : kI16;
    from = prep.add_value(wide, 0, true);
  } else if (needs_regrouping(in, s)) {
    BnnValue wide = in;
    wide.channels = (up_to_multiple(in.channels / s.groups, 32) * s.groups).as_int();
    from = prep.add_value(wide, 0);
  }
  if (from != int(s.input)) {
    Layout& l = prep.model.values[size_t(from)].layout;
    add_border(l, s, out);
    l.finish(in.type == kU8);
    step.input = from;
    prep.model.steps.push_back(unit >= 0               ? make_quantize(prep, from, unit)
                               : in.type == kU8        ? make_widen(prep, from)
                                                      : make_regroup(prep, from));
  }
  const Layout layout = prep.value(from).layout;
  Preparation own{prep.model, step};
  if (layout.image > size_t(std::numeric_limits<int32_t>::max())) throw Fault{"a map of more than 2 GiB is too large for a window"};
  prep.model.budget.take(kStepBytes, "a step");
  const Window window = window_of(s, layout, prep.value(s.output >= 0 ? s.output : s.bits).layout);
  const bool own_tile = layout.type != kBits || prep.model.kernels->bit_tile == nullptr;
  constexpr int kShortest = 6;  // pixels of a row that are worth tiles of their own
  FilterInput input{own, layout, window, int(out.channels), int(in.channels / s.groups), unit >= 0,
                    own_tile && unit < 0 && window.columns.out >= kShortest, in.code, s.weight_code, 0};
  std::vector<Filters> filters;
  if (layout.type == kBits)
    filters = filters_of_terms(input);
  else
    filters.push_back(layout.type == kF32 ? pack_reals(input) : pack_bytes(input));
  prep.model.steps.push_back(make_conv_step(own, input, std::move(filters), unit));
}

std::unique_ptr<Model> prepare(const BnnProgram& p, const Kernels& kernels, Budget budget) {
  check(p);
  auto model = std::make_unique<Model>(kernels, budget);
  model->budget.take(Count(p.value_count) * sizeof(Value) + Count(p.step_count) * kStepBytes, "the program");
  model->output = int(p.output);
  model->program_values = int(p.value_count);
  for (int64_t v = 0; v < p.value_count; ++v) model->values.push_back({p.values[v], layout_of(p.values[v]), -1});
  for (int64_t i = 0; i < p.step_count; ++i) {
    const BnnStep& s = p.steps[i];
    const BnnValue& in = p.values[s.input];
    if (s.op == kConv && !has_own_input(in, s, kernels))
      add_border(model->values[size_t(s.input)].layout, s, result_of(p, s));
  }
  for (size_t v = 0; v < model->values.size(); ++v) model->values[v].layout.finish(v == 0);
  for (int64_t i = 0; i < p.step_count; ++i) {
    Preparation prep{*model, p.steps[i]};
    model->first_step.push_back(model->steps.size());
    switch (p.steps[i].op) {
      case kConv: make_conv(prep); break;
      case kMap: model->steps.push_back(make_map(prep)); break;
      case kPool: model->steps.push_back(make_pool(prep)); break;
      case kInputScale: model->steps.push_back(make_input_scale(prep)); break;
      case kSubsample: model->steps.push_back(make_subsample(prep)); break;
      case kConcat: model->steps.push_back(make_concat(prep)); break;
      case kChannels: model->steps.push_back(make_channels(prep)); break;
      default: model->steps.push_back(make_mean(prep)); break;
    }
  }
  model->first_step.push_back(model->steps.size());
  chain_steps(*model);
  for (const auto& step : model->steps) model->scratch_bytes = std::max(model->scratch_bytes, step->scratch_bytes());
  for (const Step* step : model->order) model->scratch_bytes = std::max(model->scratch_bytes, step->scratch_bytes());
  plan_memory(*model);
  model->budget.forget_stop();
  return model;
}

}  // namespace bnn
