//: if whole
/* The exact product at one pixel and channel. */
static bnn_whole whole_product(const uint32_t *m, const conv *c, int32_t row, int32_t column, int32_t o)
{
    switch (c->kind) {
    //: if pixels_bits
    case PIXELS_BITS:
        return pixel_product((const uint8_t *)(m + c->input), c, row, column, o);
    //: end
    //: if pixels_ints
    case PIXELS_INTS:
        return pixel_sum_of_ints((const uint8_t *)(m + c->input), c, row, column, o);
    //: end
    default:
        //: if bits
        return bit_product(m, c, row, column, o, 0, 0);
        //: end
        //: unless bits
        return 0;
        //: end
    }
}

//: end
//: if conv map
/* One number of the result: written where it is real, and the planes of it that are -1. */
static uint32_t resolve(uint32_t *m, const conv *c, @MOST@int32_t row, int32_t column, int32_t o)
{
    //: if body_real
    uint32_t fails = 0;
    float y = 0.0f;
    //: end
    //: if body_whole
    //: if body_other
    bnn_whole whole = 0;
    if (c->kind <= PIXELS_INTS)
        whole = whole_product(m, c, row, column, o);
    //: end
    //: unless body_other
    bnn_whole whole = whole_product(m, c, row, column, o);
    //: end
    //: if whole_limits
    //: if body_real
    if (c->limits.whole) {
        fails = failed_whole(c, whole, o);
        //: if result_f32
        if (c->output == NOWHERE)
        //: end
            return fails;
    }
    //: end
    //: unless body_real
    return failed_whole(c, whole, o);
    //: end
    //: end
    //: end
    //: if body_real
    switch (c->kind) {
    //: if map
    case MAP:
        y = number(m + c->input + (row * c->window.in[1] + column) * c->outputs + o);
        break;
    //: end
    //: if real_product
    case REAL:
        y = real_product(m, c, row, column, o);
        break;
    //: end
    //: if rounded
    case ROUNDED:
        y = rounded_product(m, c, most, row, column, o);
        break;
    //: end
    //: if factored
    case PLANES:
        y = plane_product(m, c, row, column, o);
        break;
    //: end
    default:
        //: if body_whole
        y = (float)whole;
        //: end
        break;
    }
    y = finished(m, c, y, row, column, o);
    //: if result_f32
    if (c->output != NOWHERE)
        put(m + c->output + (row * c->window.out[1] + column) * c->outputs + o, y);
    //: end
    //: if real_limits
    if (c->limits.real)
        fails = failed_real(c, y, o);
    //: end
    return fails;
    //: end
}

//: if fused
/* As resolve, of the maximum over the window of a pooling that follows: +1 wins, where flipped -1. */
static uint32_t resolve_window(uint32_t *m, const conv *c, @MOST@int32_t row, int32_t column, int32_t o)
{
    const window *g = &c->pooled->window;
    uint32_t all = UINT32_MAX;
    //: if pool_flip
    uint32_t any = 0;
    //: end
    int32_t i, j;
    for (i = 0; i < g->kernel[0]; i++) {
        int32_t y = seen(g, 0, row, i);
        for (j = 0; j < g->kernel[1]; j++) {
            int32_t x = seen(g, 1, column, j);
            if (y >= 0 && x >= 0) {
                uint32_t fails = resolve(m, c, @MOST_ARGUMENT@y, x, o);
                all &= fails;
                //: if pool_flip
                any |= fails;
                //: end
            }
        }
    }
    //: if pool_flip
    if (is_set(c->pooled->flip, o))
        return any;
    //: end
    return all;
}

//: end
/* All pixels and channels of a convolution or map. */
static void run_conv(uint32_t *m, const conv *c)
{
    int32_t rows = c->window.out[0], columns = c->window.out[1], row, column, o;
    //: if rounded
    float most = 0.0f;
    //: end
    //: if result_bits
    const int32_t words = (c->outputs + 31) / 32, planes = c->limits.planes;
    //: if result_f32
    uint32_t *bits = c->bits == NOWHERE ? m : m + c->bits;
    //: end
    //: unless result_f32
    uint32_t *bits = m + c->bits;
    //: end
    int32_t p;
    //: end
    //: if rounded
    if (c->kind == ROUNDED)
        most = largest(m, c);
    //: end
    //: if fused
    if (c->pooled) {
        rows = c->pooled->window.out[0];
        columns = c->pooled->window.out[1];
    }
    //: end
    for (row = 0; row < rows; row++)
        for (column = 0; column < columns; column++) {
            //: if result_bits
            //: if result_f32
            if (c->bits != NOWHERE)
            //: end
                for (p = 0; p < planes * words; p++)
                    bits[p] = 0;
            //: end
            for (o = 0; o < c->outputs; o++) {
                //: if fused
                uint32_t fails = c->pooled ? resolve_window(m, c, @MOST_ARGUMENT@row, column, o)
                                           : resolve(m, c, @MOST_ARGUMENT@row, column, o);
                //: end
                //: unless fused
                uint32_t fails = resolve(m, c, @MOST_ARGUMENT@row, column, o);
                //: end
                //: if result_bits
                //: if result_f32
                if (c->bits != NOWHERE)
                //: end
                    for (p = 0; p < planes; p++)
                        bits[p * words + (o >> 5)] |= (fails >> p & 1u) << (o & 31);
                //: end
                //: unless result_bits
                (void)fails;
                //: end
            }
            //: if result_bits
            bits += planes * words;
            //: end
        }
}

//: end
