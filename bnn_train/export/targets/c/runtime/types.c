/* The walk of a window over a map; rows first. */
typedef struct {
    uint16_t in[2], out[2], kernel[2], stride[2], padding[2], dilation[2];
} window;

//: if codes
/* Whole numbers in planes of signs: (offset + sum of values[p] * sign p) / denominator. */
typedef struct {
    int32_t offset;
    const uint16_t *values;
    uint16_t planes, denominator;
} code;

//: end
//: if bends
/* A nonlinearity: which one, and the numbers of each channel where it has any. */
typedef struct {
    uint8_t kind;
    //: if prelu
    const float *before, *negative, *positive, *after;
    //: end
} bend;

enum { BEND_NONE, BEND_RELU, BEND_HARDTANH, BEND_SIGMOID, BEND_PRELU };

//: end
//: if real
/* The real arithmetic behind a product; a null pointer or NOWHERE: the line is left out. */
typedef struct {
    //: unless epilogue
    uint8_t empty;
    //: end
    //: if scale
    const float *scale;
    //: end
    //: if input_scale
    uint32_t input_scale;
    int32_t scale_groups;
    //: end
    //: if bias
    const float *bias;
    //: end
    //: if border
    const uint8_t *row_class, *column_class;
    uint16_t column_classes;
    //: end
    //: if gate
    uint32_t gate;
    //: end
    //: if norm
    const float *factor, *summand;
    //: end
    //: if bends
    bend activation, stream;
    //: end
    //: if residual
    uint32_t residual;
    //: end
} epilogue;

//: end
//: if result_bits
/* The comparisons that turn a number into bits. */
typedef struct {
    //: if whole_limits
    const bnn_limit *whole;
    //: end
    //: if real_limits
    const float *real;
    //: end
    //: if flip
    const uint32_t *flip;
    //: end
    uint8_t count, planes;
    //: if apart
    uint8_t apart;
    //: end
} limits;

//: end
//: if pool_max_bits pool_max_f32 pool_average fused
typedef struct {
    window window;
    uint32_t input, output;
    int32_t channels;
    //: if pool_max_bits
    int32_t planes;
    //: end
    //: if pool_flip
    const uint32_t *flip;
    //: end
    //: if pool_average
    uint8_t include_padding;
    //: end
} pool;

//: end
//: if conv map
enum { BITS, PIXELS_BITS, PIXELS_INTS, PIXELS_IN_ORDER, PLANES, REAL, ROUNDED, MAP }; /* the first three are whole */

/* A convolution (or a map, pixel by pixel) with all that follows it. Places in memory are counted in words. */
typedef struct {
    window window;
    uint8_t kind;
    uint32_t input;
    int32_t channels; /* of a group of the input */
    int32_t outputs;  /* of all groups */
    int32_t groups;
    //: if bits
    const uint32_t *words;
    uint16_t input_planes;
    //: end
    //: if pad
    int8_t pad;
    //: end
    //: if rows
    const uint8_t *rows;
    //: end
    //: if codes
    code input_code, weight_code;
    //: end
    //: if gain
    const int32_t *gain;
    //: end
    //: if ints
    const bnn_int *ints;
    //: end
    //: if floats
    const float *floats;
    //: end
    //: if halves
    const uint16_t *halves;
    //: end
    //: if weight_factors
    const float *factors;
    uint16_t terms; /* planes of the weight that count for a factor each */
    //: end
    //: if input_factors
    const float *input_factors;
    uint16_t input_terms;
    //: end
    //: if real
    epilogue epilogue;
    //: end
    //: if result_f32
    uint32_t output;
    //: end
    //: if result_bits
    uint32_t bits;
    limits limits;
    //: end
    //: if fused
    const pool *pooled;
    //: end
} conv;

//: end
#define NOWHERE UINT32_MAX
