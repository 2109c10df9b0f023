// The C interface of the library: a program as flat data, and what can be done with it. Mirrored in packed/native_abi.py.
#pragma once
#include <cstdint>

#define BNN_API extern "C" __attribute__((visibility("default")))

enum BnnType : int64_t { kU8, kF32, kBits };
enum BnnOp : int64_t { kConv, kMap, kPool, kInputScale, kSubsample, kMean, kConcat, kChannels };
enum BnnWeightKind : int64_t { kBitWeight, kIntWeight, kF32Weight, kBf16Weight };
enum BnnActivation : int64_t { kNone, kRelu, kHardtanh, kSigmoid, kPrelu };
enum BnnIsa : int64_t { kAvx512, kAvx2, kNeon, kPortable, kIsaCount };

// An absent tensor has data == nullptr and bytes == 0.
struct BnnTensor {
  const void* data;
  int64_t bytes;
};

// factored: the planes stand for no whole number together, and real factors are given where they are multiplied: 1, each has a
// threshold of its own; 2, they are the binary digits of the count of thresholds passed, as of a code.
struct BnnCode {
  int64_t offset, denominator, planes, factored, values[8];
};

struct BnnValue {
  int64_t type, height, width, channels;
  BnnCode code;
};

// A nonlinearity; the tensors are kPrelu's, and all but `negative` may be absent.
struct BnnBend {
  int64_t kind;
  BnnTensor before, negative, positive, after;
};

// Absent indices of values are -1; fields of other operations are 0.
struct BnnStep {
  int64_t op, input, output, bits;
  int64_t kernel[2], stride[2], padding[2], dilation[2], groups;
  int64_t weight_kind, digits;
  BnnTensor weight;
  BnnCode weight_code;
  BnnTensor gain, factors, input_factors;
  int64_t pad;
  BnnTensor scale, bias, norm_factor, norm_summand;
  int64_t input_scale, gate, residual;
  BnnBend activation, stream;
  BnnTensor thresholds, flip;
  int64_t float_thresholds;
  int64_t average, include_padding, before, second;
};

struct BnnProgram {
  int64_t value_count, step_count, output;
  const BnnValue* values;
  const BnnStep* steps;
};

// Images, channels and map of a product of signs: O filters over N×H×W×I.
struct BnnSignProduct {
  int64_t images, inputs, outputs, height, width, out_height, out_width;
  int64_t kernel[2], stride[2], padding[2], dilation[2];
};

// Layout check: the sizes of BnnValue and BnnStep that this library was built with.
BNN_API void bnn_sizes(int64_t* value, int64_t* step);
// Bit i is set where this processor and this build can run the instruction set i of BnnIsa.
BNN_API int bnn_isas(void);
// A model, or nullptr with a sentence in `message`. Every tensor is copied. All that the model will ever take, its work space
// for whatever number of images and threads included, stays within `limit` bytes. `stop`, if given: once it is not 0, the call
// ends soon.
BNN_API void* bnn_create(const BnnProgram* program, int isa, int64_t limit, const int32_t* stop, char* message, int64_t size);
// The most bytes that the model has taken so far.
BNN_API int64_t bnn_peak(void* model);
BNN_API void bnn_destroy(void* model);
// n images in the plain layout of value 0 -> n x classes. Returns 0, or another number and a sentence in `message`. `stop`
// as above; then the output means nothing.
BNN_API int bnn_run(void* model, const void* input, int64_t n, float* output, int threads, const int32_t* stop, char* message,
                    int64_t size);
// Step `index` alone; in[v] and out[v] are plain arrays of value v, or nullptr where the step does not touch it.
BNN_API int bnn_step(void* model, int64_t index, const void* const* in, void* const* out, int64_t n,
                     char* message, int64_t size);
// The least time of each of the program's steps over `repeats` calls on n images at once, one thread, in nanoseconds; a chain
// of steps that run band by band counts as its first.
BNN_API int bnn_profile(void* model, const void* input, int64_t n, int64_t repeats, int64_t* nanoseconds, char* message,
                        int64_t size);
// The gradients of a product of signs from g (N×H′×W′×O, floats): of its input to `out` (N×H×W×I), from the signs of `codes`
// (O×Kh×Kw×I) with g[…, o]·alpha[o] for g where alpha is given; of its weight to `out` (O×Kh×Kw×I), from the signs of `x`
// (N×H×W×I). Padded taps count as 0. Returns 0, or another number and a sentence in `message`.
BNN_API int bnn_sign_input_gradient(const BnnSignProduct* product, int isa, const float* g, const float* codes, const float* alpha,
                                    float* out, int threads, char* message, int64_t size);
BNN_API int bnn_sign_weight_gradient(const BnnSignProduct* product, int isa, const float* g, const float* x, float* out, int threads,
                                     char* message, int64_t size);
// out[i] = -1 where x[i] < 0, else +1; out[i] = g[i] where low < x[i] < high, else 0.
BNN_API int bnn_signs(int isa, const float* x, int64_t count, float* out, int threads, char* message, int64_t size);
BNN_API int bnn_window(int isa, const float* g, const float* x, int64_t count, float low, float high, float* out, int threads,
                       char* message, int64_t size);
// A picture of shape (height, width, channels), rows `stride` bytes apart, resized to `size` (height, width) and of that the window
// (top, left, height, width), dense; the bytes are Pillow's (BILINEAR, antialiased). `flipped`: left to right. 0, or 1 where memory is short.
BNN_API int bnn_resample(const uint8_t* pixels, int64_t stride, const int32_t* shape, const int32_t* size, const int32_t* window,
                         int flipped, uint8_t* out);
// Images N×H×W×C of bytes, shape their four sizes, onto `out`: each pixel (y, x) is that at (y + top, x + left), black outside;
// the images of `flipped` are mirrored afterwards.
BNN_API void bnn_crop(const uint8_t* images, const int64_t* shape, const int64_t* tops, const int64_t* lefts,
                      const uint8_t* flipped, uint8_t* out);
