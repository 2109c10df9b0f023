//: if real_product rounded
/* The channels of a group at the pixel that a tap sees. */
static const uint32_t *real_pixel(const uint32_t *m, const conv *c, const view *v, int32_t i, int32_t j, int32_t o)
{
    const window *g = &c->window;
    const int32_t y = v->at[0] + i * g->dilation[0], x = v->at[1] + j * g->dilation[1];
    return m + c->input + (y * g->in[1] + x) * c->channels * c->groups +
           o / (c->outputs / c->groups) * c->channels;
}

//: end
//: if real_product
/* A real weight of output channel o, number n of its filter. */
static float weight(const conv *c, int32_t o, int32_t n)
{
    const int32_t count = c->window.kernel[0] * c->window.kernel[1] * c->channels;
    //: if floats
    if (c->floats)
        return c->floats[o * count + n];
    //: end
    //: if halves
    if (c->halves) {
        uint32_t bits = (uint32_t)c->halves[o * count + n] << 16;
        return number(&bits);
    }
    //: end
    //: if real_bits
    {
        const int32_t bytes = (count + 7) / 8;
        int32_t p;
        //: if real_planes
        if (c->factors) {
            float total = 0.0f;
            for (p = 0; p < c->terms; p++) {
                float factor = c->factors[p * c->outputs + o];
                if (c->rows[(p * c->outputs + o) * bytes + (n >> 3)] >> (n & 7) & 1)
                    factor = -factor;
                total = p ? total + factor : factor;
            }
            return total;
        }
        //: end
        //: if codes
        {
            int32_t sum = c->weight_code.offset;
            for (p = 0; p < c->weight_code.planes; p++) {
                int32_t value = c->weight_code.values[p];
                sum += c->rows[(p * c->outputs + o) * bytes + (n >> 3)] >> (n & 7) & 1 ? -value : value;
            }
            return (float)(sum / c->weight_code.denominator);
        }
        //: end
        //: unless codes
        return 0.0f;
        //: end
    }
    //: end
    //: unless real_bits
    return 0.0f;
    //: end
}

/* Real numbers times weights in float32, in the order row, column, channel. */
static float real_product(const uint32_t *m, const conv *c, const view *v, int32_t o)
{
    const window *g = &c->window;
    float sum = 0.0f;
    int32_t i, j, k;
    for (i = v->first[0]; i < v->end[0]; i++)
        for (j = v->first[1]; j < v->end[1]; j++) {
            const uint32_t *x = real_pixel(m, c, v, i, j, o);
            for (k = 0; k < c->channels; k++) {
                float term = number(x + k);
                term = term * weight(c, o, (i * g->kernel[1] + j) * c->channels + k);
                sum = sum + term;
            }
        }
    return sum;
}

//: end
//: if rounded
/* The largest magnitude of a layer's input; NaN wins. */
static float largest(const uint32_t *m, const conv *c)
{
    const int32_t count = c->window.in[0] * c->window.in[1] * c->channels * c->groups;
    float most = 0.0f;
    int32_t i;
    for (i = 0; i < count; i++) {
        float x = number(m + c->input + i);
        if (x < 0.0f)
            x = -x;
        if (x > most || x != x)
            most = x;
    }
    return most;
}

/* Inputs rounded to 8 bits by their largest magnitude, times whole-number weights. */
static float rounded_product(const uint32_t *m, const conv *c, float most, const view *v, int32_t o)
{
    const window *g = &c->window;
    const float factor = 127.0f / most, unit = most / 127.0f, half = 12582912.0f; /* 1.5 * 2^23 rounds */
    bnn_whole sum = 0;
    int32_t i, j, k;
    if (!(factor > 0.0f && factor <= FLT_MAX))
        return 0.0f * unit;
    for (i = v->first[0]; i < v->end[0]; i++)
        for (j = v->first[1]; j < v->end[1]; j++) {
            const uint32_t *x = real_pixel(m, c, v, i, j, o);
            const bnn_int *w = c->ints + ((o * g->kernel[0] + i) * g->kernel[1] + j) * c->channels;
            for (k = 0; k < c->channels; k++) {
                float q = number(x + k) * factor;
                q = q + half;
                q = q - half;
                sum += (bnn_whole)w[k] * (int32_t)q;
            }
        }
    return (float)sum * unit;
}

//: end
