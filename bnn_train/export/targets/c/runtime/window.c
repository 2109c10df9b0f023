/* The input row (axis 0) or column (axis 1) that a tap of an output pixel sees; below 0: outside the map. */
static int32_t seen(const window *g, int axis, int32_t pixel, int32_t tap)
{
    int32_t at = pixel * g->stride[axis] - g->padding[axis] + tap * g->dilation[axis];
    return at < g->in[axis] ? at : -1;
}

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
