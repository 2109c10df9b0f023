//: if whole
/* The exact product at one pixel and channel. */
static bnn_whole whole_product(const uint32_t *m, const conv *c, const view *v, int32_t o)
{
    switch (c->kind) {
    //: if pixels_bits
    case PIXELS_BITS:
        return pixel_product((const uint8_t *)(m + c->input), c, v, o);
    //: end
    //: if pixels_ints
    case PIXELS_INTS:
        return pixel_sum_of_ints((const uint8_t *)(m + c->input), c, v, o);
    //: end
    default:
        //: if bits
        return bit_product(m, c, v, o, 0, 0);
        //: end
        //: unless bits
        return 0;
        //: end
    }
}

//: end
//: if conv map
/* One number of the result: written where it is real, and the planes of it that are -1. */
static uint32_t resolve(uint32_t *m, const conv *c, @MOST@const view *v, int32_t o)
{
    //: if body_real
    uint32_t fails = 0;
    float y = 0.0f;
    //: end
    //: if body_whole
    //: if body_other
    bnn_whole whole = 0;
    if (c->kind <= PIXELS_INTS)
        whole = whole_product(m, c, v, o);
    //: end
    //: unless body_other
    bnn_whole whole = whole_product(m, c, v, o);
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
        y = number(m + c->input + (v->pixel[0] * c->window.in[1] + v->pixel[1]) * c->outputs + o);
        break;
    //: end
    //: if real_product
    case REAL:
        y = real_product(m, c, v, o);
        break;
    //: end
    //: if rounded
    case ROUNDED:
        y = rounded_product(m, c, most, v, o);
        break;
    //: end
    //: if pixels_in_order
    case PIXELS_IN_ORDER:
        y = pixel_sum_in_order((const uint8_t *)(m + c->input), c, v, o);
        break;
    //: end
    //: if factored
    case PLANES:
        y = plane_product(m, c, v, o);
        break;
    //: end
    default:
        //: if body_whole
        y = (float)whole;
        //: end
        break;
    }
    y = finished(m, c, y, v, o);
    //: if result_f32
    if (c->output != NOWHERE)
        put(m + c->output + (v->pixel[0] * c->window.out[1] + v->pixel[1]) * c->outputs + o, y);
    //: end
    //: if real_limits
    if (c->limits.real)
        fails = failed_real(c, y, o);
    //: end
    return fails;
    //: end
}

//: if result_bits
/* Put a channel's planes of a pixel; `first`: the first number that the pixel is made of, and not one more of a
   maximum, which +1 wins, and where it is flipped -1. */
static void put_bits(uint32_t *bits, const conv *c, uint32_t fails, @FIRST@int32_t o)
{
    const int32_t words = (c->outputs + 31) / 32;
    const uint32_t bit = (uint32_t)1 << (o & 31);
    int32_t p;
    for (p = 0; p < c->limits.planes; p++) {
        uint32_t *word = bits + p * words + (o >> 5);
        if (fails >> p & 1u) {
            //: if fused_flip
            if (first || is_set(c->pooled->flip, o))
            //: end
            //: if fused_plain
            if (first)
            //: end
                *word |= bit;
        } else {
            //: if fused_flip
            if (first || !is_set(c->pooled->flip, o))
            //: end
                *word &= ~bit;
        }
    }
}

//: end
//: if fused
/* Whether no further number can change a pixel of a maximum. */
static int is_decided(const uint32_t *bits, const conv *c, int32_t o)
{
    const uint32_t is_minus = bits[o >> 5] >> (o & 31) & 1u;
    //: if fused_flip
    if (is_set(c->pooled->flip, o))
        return c->limits.planes == 1 && is_minus;
    //: end
    return c->limits.planes == 1 && !is_minus;
}

//: end
/* One output pixel: all channels. */
static void run_pixel(uint32_t *m, const conv *c, uint32_t *bits, @MOST@@FIRST@int32_t row, int32_t column)
{
    view v;
    int32_t o;
    look(&c->window, row, column, &v);
    for (o = 0; o < c->outputs; o++) {
        uint32_t fails;
        //: if fused
        if (!first && is_decided(bits, c, o))
            continue;
        //: end
        fails = resolve(m, c, @MOST_ARGUMENT@&v, o);
        //: if result_bits
        //: if result_f32
        if (bits)
        //: end
            put_bits(bits, c, fails, @FIRST_ARGUMENT@o);
        //: end
        //: unless result_bits
        (void)fails, (void)bits;
        //: end
    }
}

/* All pixels of a convolution or map, those of a pooling behind it as soon as they can be told. */
static void run_conv(uint32_t *m, const conv *c)
{
    const window *g = &c->window;
    uint32_t *bits = 0;
    int32_t row, column;
    //: if rounded
    const float most = c->kind == ROUNDED ? largest(m, c) : 0.0f;
    //: end
    //: if result_bits
    const int32_t words = c->limits.planes * ((c->outputs + 31) / 32);
    int32_t p;
    //: if result_f32
    if (c->bits != NOWHERE)
    //: end
        bits = m + c->bits;
    //: end
    //: if fused
    g = c->pooled ? &c->pooled->window : g;
    //: end
    for (row = 0; row < g->out[0]; row++)
        for (column = 0; column < g->out[1]; column++) {
            //: if result_bits
            for (p = 0; bits && p < words; p++)
                bits[p] = 0;
            //: end
            //: if fused
            if (c->pooled) {
                int32_t i, j;
                int first = 1;
                for (i = 0; i < g->kernel[0]; i++)
                    for (j = 0; j < g->kernel[1]; j++) {
                        int32_t y = seen(g, 0, row, i), x = seen(g, 1, column, j);
                        if (y >= 0 && x >= 0) {
                            run_pixel(m, c, bits, @MOST_ARGUMENT@first, y, x);
                            first = 0;
                        }
                    }
            } else
                run_pixel(m, c, bits, @MOST_ARGUMENT@1, row, column);
            //: end
            //: unless fused
            run_pixel(m, c, bits, @MOST_ARGUMENT@row, column);
            //: end
            //: if result_bits
            if (bits)
                bits += words;
            //: end
        }
}

//: end
