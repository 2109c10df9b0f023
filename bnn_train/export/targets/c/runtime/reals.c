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
static float real_product(const uint32_t *m, const conv *c, int32_t row, int32_t column, int32_t o)
{
    const window *g = &c->window;
    const int32_t first = o / (c->outputs / c->groups) * c->channels;
    float sum = 0.0f;
    int32_t i, j, k;
    for (i = 0; i < g->kernel[0]; i++) {
        int32_t y = seen(g, 0, row, i);
        for (j = 0; j < g->kernel[1]; j++) {
            int32_t x = seen(g, 1, column, j);
            if (y < 0 || x < 0)
                continue;
            for (k = 0; k < c->channels; k++) {
                float term = number(m + c->input + (y * g->in[1] + x) * c->channels * c->groups + first + k);
                term = term * weight(c, o, (i * g->kernel[1] + j) * c->channels + k);
                sum = sum + term;
            }
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
static float rounded_product(const uint32_t *m, const conv *c, float most, int32_t row, int32_t column, int32_t o)
{
    const window *g = &c->window;
    const int32_t first = o / (c->outputs / c->groups) * c->channels;
    const bnn_int *w = c->ints + o * g->kernel[0] * g->kernel[1] * c->channels;
    const float factor = 127.0f / most, unit = most / 127.0f, half = 12582912.0f; /* 1.5 * 2^23 rounds */
    bnn_whole sum = 0;
    int32_t i, j, k;
    if (!(factor > 0.0f && factor <= FLT_MAX))
        return 0.0f * unit;
    for (i = 0; i < g->kernel[0]; i++) {
        int32_t y = seen(g, 0, row, i);
        for (j = 0; j < g->kernel[1]; j++, w += c->channels) {
            int32_t x = seen(g, 1, column, j);
            if (y < 0 || x < 0)
                continue;
            for (k = 0; k < c->channels; k++) {
                float q = number(m + c->input + (y * g->in[1] + x) * c->channels * c->groups + first + k);
                q = q * factor;
                q = q + half;
                q = q - half;
                sum += (bnn_whole)w[k] * (int32_t)q;
            }
        }
    }
    return (float)sum * unit;
}

//: end
