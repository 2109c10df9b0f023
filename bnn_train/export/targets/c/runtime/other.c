//: if pool_max_f32
/* The maximum of each channel over a window; NaN wins. */
static void run_max(uint32_t *m, const pool *s)
{
    const window *g = &s->window;
    int32_t row, column, o, i, j;
    for (row = 0; row < g->out[0]; row++)
        for (column = 0; column < g->out[1]; column++)
            for (o = 0; o < s->channels; o++) {
                float most = 0.0f;
                int any = 0;
                for (i = 0; i < g->kernel[0]; i++)
                    for (j = 0; j < g->kernel[1]; j++) {
                        int32_t y = seen(g, 0, row, i), x = seen(g, 1, column, j);
                        if (y >= 0 && x >= 0) {
                            float tap = number(m + s->input + (y * g->in[1] + x) * s->channels + o);
                            if (!any || tap > most || tap != tap)
                                most = tap;
                            any = 1;
                        }
                    }
                put(m + s->output + (row * g->out[1] + column) * s->channels + o, most);
            }
}

//: end
//: if pool_max_bits
/* The maximum of signs over a window, 32 channels at a time: +1, the clear bit, wins; where flipped, -1. */
static void run_max_bits(uint32_t *m, const pool *s)
{
    const window *g = &s->window;
    const int32_t words = (s->channels + 31) / 32, pixel = s->planes * words;
    int32_t row, column, k, i, j;
    for (row = 0; row < g->out[0]; row++)
        for (column = 0; column < g->out[1]; column++)
            for (k = 0; k < pixel; k++) {
                uint32_t all = UINT32_MAX;
                //: if pool_flip
                uint32_t any = 0;
                //: end
                for (i = 0; i < g->kernel[0]; i++)
                    for (j = 0; j < g->kernel[1]; j++) {
                        int32_t y = seen(g, 0, row, i), x = seen(g, 1, column, j);
                        if (y >= 0 && x >= 0) {
                            uint32_t word = m[s->input + (uint32_t)((y * g->in[1] + x) * pixel + k)];
                            all &= word;
                            //: if pool_flip
                            any |= word;
                            //: end
                        }
                    }
                //: if pool_flip
                if (s->flip)
                    all = (all & ~s->flip[k % words]) | (any & s->flip[k % words]);
                //: end
                m[s->output + (uint32_t)((row * g->out[1] + column) * pixel + k)] = all;
            }
}

//: end
//: if pool_average
/* Pixels of an axis that a window sees, those in the padding counted or not. */
static int32_t counted(const window *g, int axis, int32_t pixel, int padded)
{
    int32_t k, count = 0, edge = padded ? g->padding[axis] : 0;
    for (k = 0; k < g->kernel[axis]; k++) {
        int32_t at = pixel * g->stride[axis] - g->padding[axis] + k * g->dilation[axis];
        count += at >= -edge && at < g->in[axis] + edge;
    }
    return count;
}

/* The mean of each channel over a window: added in row order. */
static void run_average(uint32_t *m, const pool *s)
{
    const window *g = &s->window;
    int32_t row, column, o, i, j;
    for (row = 0; row < g->out[0]; row++)
        for (column = 0; column < g->out[1]; column++)
            for (o = 0; o < s->channels; o++) {
                float sum = 0.0f, count = (float)(counted(g, 0, row, s->include_padding) *
                                                  counted(g, 1, column, s->include_padding));
                for (i = 0; i < g->kernel[0]; i++)
                    for (j = 0; j < g->kernel[1]; j++) {
                        int32_t y = seen(g, 0, row, i), x = seen(g, 1, column, j);
                        if (y >= 0 && x >= 0)
                            sum = sum + number(m + s->input + (y * g->in[1] + x) * s->channels + o);
                    }
                put(m + s->output + (row * g->out[1] + column) * s->channels + o, sum / count);
            }
}

//: end
//: if input_scale_step
/* K of XNOR-Net: the mean of |x| over a window and a group's channels; channels: of a group. */
static void run_input_scale(uint32_t *m, const window *g, uint32_t input, uint32_t output, int32_t channels,
                            int32_t groups)
{
    int32_t row, column, o, i, j, k;
    for (row = 0; row < g->out[0]; row++)
        for (column = 0; column < g->out[1]; column++)
            for (o = 0; o < groups; o++) {
                double sum = 0.0;
                for (i = 0; i < g->kernel[0]; i++)
                    for (j = 0; j < g->kernel[1]; j++) {
                        int32_t y = seen(g, 0, row, i), x = seen(g, 1, column, j);
                        double pixel = 0.0;
                        if (y < 0 || x < 0)
                            continue;
                        for (k = 0; k < channels; k++) {
                            double v = number(m + input + ((y * g->in[1] + x) * groups + o) * channels + k);
                            pixel = pixel + (v < 0.0 ? -v : v);
                        }
                        sum = sum + pixel;
                    }
                sum = sum / ((double)g->kernel[0] * g->kernel[1] * channels);
                put(m + output + (row * g->out[1] + column) * groups + o, (float)sum);
            }
}

//: end
//: if subsample
/* Every stride-th pixel, its channels behind `before` zeros. */
static void run_subsample(uint32_t *m, const window *g, uint32_t input, uint32_t output, int32_t channels,
                          int32_t before, int32_t outputs)
{
    int32_t row, column, o;
    for (row = 0; row < g->out[0]; row++)
        for (column = 0; column < g->out[1]; column++)
            for (o = 0; o < outputs; o++) {
                const int32_t pixel = row * g->stride[0] * g->in[1] + column * g->stride[1];
                const int is_kept = o >= before && o < before + channels;
                put(m + output + (row * g->out[1] + column) * outputs + o,
                    is_kept ? number(m + input + pixel * channels + o - before) : 0.0f);
            }
}

//: end
//: if mean
/* The mean of each channel over the map. */
static void run_mean(uint32_t *m, uint32_t input, uint32_t output, int32_t pixels, int32_t channels)
{
    int32_t o, i;
    for (o = 0; o < channels; o++) {
        double sum = 0.0;
        for (i = 0; i < pixels; i++)
            sum = sum + number(m + input + i * channels + o);
        put(m + output + o, (float)(sum / pixels));
    }
}

//: end
//: if concat channels
/* Channels of a map from `first` on, put behind `before` others of another one. */
static void run_copy(uint32_t *m, uint32_t input, uint32_t output, int32_t pixels, const int32_t channels[4])
{
    const int32_t first = channels[0], inputs = channels[1], before = channels[2], outputs = channels[3];
    int32_t i, o, count = inputs - first < outputs - before ? inputs - first : outputs - before;
    for (i = 0; i < pixels; i++)
        for (o = 0; o < count; o++)
            m[output + (uint32_t)(i * outputs + before + o)] = m[input + (uint32_t)(i * inputs + first + o)];
}

//: end
