// The conditions that the kernels rely on, checked once more here: packed/validate.py has checked a file before, with
// sentences for people; this keeps every index inside its memory whoever calls.
#include "model.h"
#include "window.h"

namespace bnn {

namespace {

constexpr int64_t kMostSide = int64_t(1) << 24;

[[noreturn]] void fault(const std::string& at, const char* what) { throw Fault{at + " " + what}; }

bool within(int64_t x, int64_t low, int64_t high) { return low <= x && x <= high; }

void check_code(const BnnCode& c, const std::string& at) {
  if (!within(c.factored, 0, 2)) fault(at, "has no possible code");
  if (c.factored) {
    if (!within(c.planes, 1, 8) || c.offset != 0 || c.denominator != 1) fault(at, "has no possible planes");
    return;
  }
  if (!within(c.planes, 1, 8) || !within(c.denominator, 1, 1 << 8) || !within(c.offset, -(1 << 16), 1 << 16))
    fault(at, "has no possible code");
  for (int64_t p = 0; p < c.planes; ++p)
    if (!within(c.values[p], 1, 1 << 15)) fault(at, "has no possible code");
}

void check_value(const BnnValue& x, const std::string& at) {
  if (!within(x.type, kU8, kBits) || !within(x.height, 1, kMostSide) || !within(x.width, 1, kMostSide) ||
      !within(x.channels, 1, kMostSide))
    fault(at, "has no possible shape");
  if (x.type == kBits) check_code(x.code, at);
  if (Count(x.height) * x.width * x.channels > (Count(1) * (int64_t(1) << 29)) - 1) fault(at, "is too large");
}

// Every sum here stays below 2²⁴ · 2²⁴ · 2²⁴ in int64, and all positions of the window below 2²⁷.
void check_axis(const BnnStep& s, int d, int64_t size, int64_t out, const std::string& at) {
  const int64_t kernel = s.kernel[d], stride = s.stride[d], padding = s.padding[d], dilation = s.dilation[d];
  if (!within(kernel, 1, kMostSide) || !within(stride, 1, kMostSide) || !within(dilation, 1, kMostSide) ||
      !within(padding, 0, kMostSide))
    fault(at, "has no possible window");
  const int64_t reach = (kernel - 1) * dilation + 1, room = size + 2 * padding - reach;
  if (room < 0) fault(at, "has a window that does not fit");
  const int64_t least = room / stride + 1, most = s.op == kPool ? (room + stride - 1) / stride + 1 : least;
  if (!within(out, least, most) || (out > least && (out - 1) * stride >= size + padding))
    fault(at, "has an output of another size than its window gives");
}

class StepCheck {
 public:
  StepCheck(const BnnProgram& p, int64_t index) : p_(p), s_(p.steps[index]), at_("step " + std::to_string(index)) {}

  void run() const {
    if (!within(s_.op, kConv, kChannels)) fault(at_, "has an unknown operation");
    const bool has_epilogue = s_.op == kConv || s_.op == kMap;
    need(known(s_.input, true) && known(s_.output, !has_epilogue) && known(s_.bits, false) && known(s_.residual, false) &&
             known(s_.input_scale, false) && known(s_.gate, false) && known(s_.second, s_.op == kConcat) && (!has_epilogue || s_.output >= 0 || s_.bits >= 0),
         "names a value that does not exist");
    need(within(s_.groups, 1, kMostSide), "has no possible groups");
    if (has_epilogue) check_results();
    if (s_.op == kConv || s_.op == kPool || s_.op == kInputScale) check_window();
    switch (s_.op) {
      case kConv: return check_conv();
      case kMap: return need(in().type == kF32 && same_size(in(), result()) && in().channels == result().channels, kShape);
      case kPool: return check_pool();
      case kInputScale:
        return need(in().type == kF32 && result().type == kF32 && in().channels % s_.groups == 0 &&
                        result().channels == s_.groups,
                    kShape);
      case kSubsample: return check_subsample();
      case kConcat:
        return need(all_real() && second().type == kF32 && same_size(in(), second()) && same_size(in(), result()) &&
                        result().channels == in().channels + second().channels,
                    kShape);
      case kChannels:
        return need(all_real() && same_size(in(), result()) && within(s_.before, 0, in().channels) &&
                        s_.before + result().channels <= in().channels,
                    kShape);
      default:
        return need(in().type == kF32 && result().type == kF32 && result().height == 1 && result().width == 1 &&
                        result().channels == in().channels,
                    kShape);
    }
  }

 private:
  static constexpr const char* kShape = "has values whose shapes do not agree";

  void need(bool good, const char* what) const {
    if (!good) fault(at_, what);
  }
  bool known(int64_t v, bool needed) const { return v < p_.value_count && v >= (needed ? 0 : -1); }
  const BnnValue& in() const { return p_.values[s_.input]; }
  const BnnValue& result() const { return p_.values[s_.output >= 0 ? s_.output : s_.bits]; }
  const BnnValue& second() const { return p_.values[s_.second]; }
  bool all_real() const { return in().type == kF32 && result().type == kF32; }
  static bool same_size(const BnnValue& a, const BnnValue& b) { return a.height == b.height && a.width == b.width; }

  // Output, bits, residual and input scale have one size.
  void check_results() const {
    const BnnValue& to = result();
    const auto fits = [&](int64_t v, int64_t type, int64_t channels) {
      if (v < 0) return true;
      const BnnValue& x = p_.values[v];
      return x.type == type && same_size(x, to) && x.channels == channels;
    };
    need(fits(s_.output, kF32, to.channels) && fits(s_.bits, kBits, to.channels) && fits(s_.residual, kF32, to.channels), kShape);
    need(s_.output < 0 || s_.output != s_.bits, kShape);
    need(fits(s_.input_scale, kF32, s_.op == kConv ? s_.groups : 1), kShape);
    if (s_.gate >= 0) {
      const BnnValue& gate = p_.values[s_.gate];
      need(gate.type == kF32 && gate.height == 1 && gate.width == 1 && gate.channels == to.channels, kShape);
    }
    need(within(s_.activation.kind, kNone, kPrelu) && within(s_.stream.kind, kNone, kPrelu), "has an unknown activation");
    need(s_.bits < 0 || s_.thresholds.data != nullptr, "has bits without thresholds");
  }

  void check_window() const {
    check_axis(s_, 0, in().height, result().height, at_);
    check_axis(s_, 1, in().width, result().width, at_);
    (Count(s_.kernel[0]) * s_.kernel[1]).as_int();
  }

  void check_conv() const {
    need(in().channels % s_.groups == 0 && result().channels % s_.groups == 0, "has groups that do not divide the channels");
    need(within(s_.weight_kind, kBitWeight, kBf16Weight), "has an unknown kind of weights");
    if (s_.weight_kind == kBitWeight) {
      check_code(s_.weight_code, at_);
      need(s_.weight_code.factored <= 1, "has weights whose planes are digits");
    }
    if (in().type == kBits) need(s_.weight_kind == kBitWeight, "has real weights for signs");
    if (in().type == kU8) need(s_.weight_kind == kBitWeight || s_.weight_kind == kIntWeight, "has real weights for bytes");
    if (s_.weight_kind == kIntWeight) need(within(s_.digits, 1, in().type == kU8 ? 3 : 1), "has too many digits");
    need(within(s_.pad, -1, 1), "has an unknown padding");
    const bool factored = s_.weight_kind == kBitWeight && s_.weight_code.factored;
    need(factored == (s_.factors.data != nullptr), "has factors without planes, or planes without factors");
    need((in().type == kBits && in().code.factored) == (s_.input_factors.data != nullptr),
         "has factors without planes of its input, or planes without factors");
    need(!factored || in().type != kU8, "has planes of weights for bytes");
  }

  void check_pool() const {
    need(in().type == result().type && in().type != kU8 && in().channels == result().channels, kShape);
    if (in().type == kBits) {
      need(!s_.average && in().code.planes == result().code.planes, kShape);
      need(in().code.factored == 1 || in().code.planes == 1, "pools bits whose planes are digits");
    }
    need(s_.kernel[0] <= kMaxRows, "has a pooling window of more than 64 rows");
  }

  void check_subsample() const {
    need(in().type == kF32 && result().type == kF32 && within(s_.stride[0], 1, kMostSide) && within(s_.stride[1], 1, kMostSide),
         kShape);
    const auto shorter = [&](int64_t size, int d) { return (size + s_.stride[d] - 1) / s_.stride[d]; };
    need(result().height == shorter(in().height, 0) && result().width == shorter(in().width, 1), kShape);
    need(within(s_.before, 0, result().channels) && s_.before + in().channels <= result().channels,
         "has no room for its channels");
  }

  const BnnProgram& p_;
  const BnnStep& s_;
  std::string at_;
};

}  // namespace

void check(const BnnProgram& p) {
  if (p.value_count < 2 || p.step_count < 1 || p.output < 1 || p.output >= p.value_count)
    throw Fault{"the program has no steps or no output"};
  for (int64_t v = 0; v < p.value_count; ++v) check_value(p.values[v], "value " + std::to_string(v));
  for (int64_t i = 0; i < p.step_count; ++i) StepCheck(p, i).run();
  if (p.values[p.output].type != kF32) throw Fault{"the output is not real"};
}

}  // namespace bnn
