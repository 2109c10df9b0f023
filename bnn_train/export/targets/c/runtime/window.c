//: if pool_max_bits pool_max_f32 pool_average input_scale_step fused
/* The input row (axis 0) or column (axis 1) that a tap of an output pixel sees; below 0: outside the map. */
static int32_t seen(const window *g, int axis, int32_t pixel, int32_t tap)
{
    int32_t at = pixel * g->stride[axis] - g->padding[axis] + tap * g->dilation[axis];
    return at < g->in[axis] ? at : -1;
}

//: end
//: if products
/* An output pixel, and what its window sees: taps from `first` to before `end` lie inside the map, tap 0 at `at`. */
typedef struct {
    int32_t pixel[2], at[2], first[2], end[2];
} view;

static void look(const window *g, int32_t row, int32_t column, view *v)
{
    int axis;
    v->pixel[0] = row;
    v->pixel[1] = column;
    for (axis = 0; axis < 2; axis++) {
        const int32_t step = g->dilation[axis];
        const int32_t at = v->pixel[axis] * g->stride[axis] - g->padding[axis], left = g->in[axis] - at;
        const int32_t end = left > 0 ? (left + step - 1) / step : 0;
        v->at[axis] = at;
        v->first[axis] = at < 0 ? (step - 1 - at) / step : 0;
        v->end[axis] = end < g->kernel[axis] ? end : g->kernel[axis];
    }
}

//: end
//: if map real_product rounded halves input_scale gate residual pool_max_f32 pool_average input_scale_step subsample mean no_head
/* A real number at a place in memory. */
static float number(const uint32_t *at)
{
    union {
        uint32_t bits;
        float number;
    } both;
    both.bits = *at;
    return both.number;
}

//: end
//: if result_f32 pool_max_f32 pool_average input_scale_step subsample mean preprocess
static void put(uint32_t *at, float y)
{
    union {
        uint32_t bits;
        float number;
    } both;
    both.number = y;
    *at = both.bits;
}

//: end
