// A prepared program: values with their memory, steps with their weights as the kernels want them.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "budget.h"
#include "buffer.h"
#include "kernels.h"
#include "layout.h"

namespace bnn {

struct Value {
  BnnValue shape;
  Layout layout;
  int slot = -1;
};

// One call as a step sees it: the place of each value's images.
struct Frame {
  const Kernels* kernels;
  std::vector<Place> places;  // by value
  int images = 0;
  int threads = 1;

  Place place(int value) const { return value < 0 ? Place{} : places[size_t(value)]; }
};

// Some rows of one image's result.
struct Rows {
  int image, begin, end;
};

class Step {
 public:
  virtual ~Step() = default;
  // Pieces of work that may run in any order and at once, for frame.images images.
  virtual int tasks(const Frame& frame) const = 0;
  virtual void run(const Frame& frame, int task, uint8_t* scratch) const = 0;
  virtual void run_rows(const Frame&, const Rows&, uint8_t*) const {}
  virtual size_t scratch_bytes() const { return 0; }
  // Input rows begin … end − 1 that some rows of the result need.
  virtual Rows needs(const Rows& rows) const { return rows; }
  // The way in which the result depends on the input; kOther has no run_rows.
  enum class Shape { kOther, kConv, kPool, kMap };
  virtual Shape shape() const { return Shape::kOther; }
  std::vector<int> reads, writes;
  const Step* runs_in = nullptr;  // the chain that runs it
  int in_place = -1;  // a value read whose memory may become that of writes[0]
};

using Steps = std::vector<std::unique_ptr<Step>>;

constexpr int kMostPart = 32, kMostChunk = 128;  // images at a time: through the maps, through the dense layers

// A region of memory that values whose lives do not overlap share: `bytes` for each image, and the layout of the border that
// is written into it once. `whole`: it holds a whole chunk of images, as the dense layers at the end work on; else the few
// images (Portions::part) that pass through the maps together.
struct Slot {
  size_t bytes = 0;
  Layout layout;
  bool whole = false;
};

// The sizes of a call: images of a chunk, images that pass through the maps together, threads.
struct Portions {
  int chunk, part, threads;
};

// The memory of all slots that are `whole`, or of all others, for some images.
struct Memory {
  std::vector<Buffer> slots;  // by slot; empty where the slot is of the other kind
  int images = 0;
};

// The memory of the calls of one process. A forked child makes its own: a thread of the parent may have held the lock, and
// have been in the midst of the maps, when the child came to be.
struct Workspace {
  explicit Workspace(int64_t owner) : process(owner) {}
  const int64_t process;
  std::mutex busy;
  Portions reserved{0, 0, 0};
  Memory whole;                 // of a chunk
  std::vector<Memory> parts;    // by thread
  std::vector<Buffer> scratch;  // by thread
};

struct Model {
  explicit Model(const Kernels& k, Budget b) : kernels(&k), budget(b) {}
  ~Model() { delete workspace.load(); }

  const Kernels* kernels;
  Budget budget;
  std::vector<Value> values;
  Steps steps;
  Steps chains;                    // chains of steps that run band by band
  std::vector<const Step*> order;  // what a call runs: steps, or chains in their places
  std::vector<size_t> first_step;  // of each step of the program, and the end
  std::vector<Slot> slots;
  int output = 0, program_values = 0;
  size_t tail = 0;          // where in `order` the dense layers at the end begin
  int part = 1, chunk = 1;  // images at a time: through the maps, and through the dense layers
  size_t scratch_bytes = 0;
  std::atomic<Workspace*> workspace{nullptr};
};

// checks.cpp: Fault for a program that is not consistent.
void check(const BnnProgram& program);
// prepare.cpp
std::unique_ptr<Model> prepare(const BnnProgram& program, const Kernels& kernels, Budget budget);
// chains.cpp: fills `chains` and `order`.
void chain_steps(Model& model);
// memory_plan.cpp: gives every value that `order` touches a slot.
void plan_memory(Model& model);
// Bytes of the work space for so many images and threads.
Count work_space(const Model& model, const Portions& portions);
// run.cpp
void run_model(Model& model, const uint8_t* input, int64_t n, uint8_t* output, int threads, const Stop* stop);
void run_step(Model& model, size_t index, const void* const* in, void* const* out, int64_t n);
void profile(Model& model, const uint8_t* input, int n, int64_t repeats, int64_t* nanoseconds);
// convert_layout.cpp
void to_layout(const Value& value, const void* plain, int64_t first, int n, uint8_t* to);
void from_layout(const Value& value, const uint8_t* from, int64_t first, int n, void* plain);
void fill_border(const Layout& layout, uint8_t* at, int images);

// Everything that a step's preparation needs.
struct Preparation {
  Model& model;
  const BnnStep& step;
  int add_value(BnnValue shape, uint8_t fill, bool packed = false);
  const Value& value(int64_t index) const { return model.values[size_t(index)]; }
};

std::unique_ptr<Step> make_pool(const Preparation& prep);
std::unique_ptr<Step> make_input_scale(const Preparation& prep);
std::unique_ptr<Step> make_subsample(const Preparation& prep);
std::unique_ptr<Step> make_mean(const Preparation& prep);
std::unique_ptr<Step> make_concat(const Preparation& prep);
std::unique_ptr<Step> make_channels(const Preparation& prep);
void make_conv(Preparation& prep);  // adds one step, or two where the input is rounded, widened or regrouped
std::unique_ptr<Step> make_map(const Preparation& prep);
std::unique_ptr<Step> make_quantize(const Preparation& prep, int to, int unit);
std::unique_ptr<Step> make_widen(const Preparation& prep, int to);
std::unique_ptr<Step> make_regroup(const Preparation& prep, int to);

// The bytes of a tensor, which must be `count` elements of T.
template <class T>
const T* elements(const BnnTensor& tensor, Count count, const char* what) {
  const size_t bytes = size_t(count * sizeof(T));
  if (tensor.data == nullptr || tensor.bytes < 0 || size_t(tensor.bytes) != bytes)
    throw Fault{std::string(what) + " has " + std::to_string(tensor.bytes) + " bytes, not " + std::to_string(bytes)};
  return static_cast<const T*>(tensor.data);
}

}  // namespace bnn
