//: if pixels_bits pixels_ints pixels_in_order
/* The first pixel of a group that row i of a window sees inside the map. */
static const uint8_t *row_of(const uint8_t *image, const conv *c, const view *v, int32_t i, int32_t o)
{
    const window *g = &c->window;
    const int32_t y = v->at[0] + i * g->dilation[0], x = v->at[1] + v->first[1] * g->dilation[1];
    return image + (y * g->in[1] + x) * c->channels * c->groups + o / (c->outputs / c->groups) * c->channels;
}

//: end
//: if pixels_bits
/* Pixels times the signs of a filter, whole and exact; taps outside the map add nothing. */
static bnn_whole signed_sum(const uint8_t *image, const conv *c, const view *v, const uint8_t *filter, int32_t o)
{
    const window *g = &c->window;
    bnn_whole sum = 0;
    int32_t i, j, k;
    for (i = v->first[0]; i < v->end[0]; i++) {
        const uint8_t *pixel = row_of(image, c, v, i, o);
        int32_t bit = (i * g->kernel[1] + v->first[1]) * c->channels;
        for (j = v->first[1]; j < v->end[1]; j++) {
            for (k = 0; k < c->channels; k++, bit++) {
                bnn_whole value = pixel[k];
                //: if gain
                if (c->gain)
                    value *= c->gain[k];
                //: end
                sum += filter[bit >> 3] >> (bit & 7) & 1 ? -value : value;
            }
            pixel += g->dilation[1] * c->channels * c->groups;
        }
    }
    return sum;
}

//: if pixel_codes
/* The sum of the pixels that a filter sees. */
static bnn_whole plain_sum(const uint8_t *image, const conv *c, const view *v, int32_t o)
{
    bnn_whole sum = 0;
    int32_t i, j, k;
    for (i = v->first[0]; i < v->end[0]; i++) {
        const uint8_t *pixel = row_of(image, c, v, i, o);
        for (j = v->first[1]; j < v->end[1]; j++) {
            for (k = 0; k < c->channels; k++) {
                bnn_whole value = pixel[k];
                //: if gain
                if (c->gain)
                    value *= c->gain[k];
                //: end
                sum += value;
            }
            pixel += c->window.dilation[1] * c->channels * c->groups;
        }
    }
    return sum;
}

//: end
static bnn_whole pixel_product(const uint8_t *image, const conv *c, const view *v, int32_t o)
{
    const int32_t bytes = (c->window.kernel[0] * c->window.kernel[1] * c->channels + 7) / 8;
    //: if pixel_codes
    bnn_whole sum = 0;
    int32_t p;
    for (p = 0; p < c->weight_code.planes; p++)
        sum += c->weight_code.values[p] * signed_sum(image, c, v, c->rows + (p * c->outputs + o) * bytes, o);
    if (c->weight_code.offset)
        sum += c->weight_code.offset * plain_sum(image, c, v, o);
    return sum / c->weight_code.denominator;
    //: end
    //: unless pixel_codes
    return signed_sum(image, c, v, c->rows + o * bytes, o);
    //: end
}

//: end
//: if pixels_ints
/* Pixels times whole-number weights, exact. */
static bnn_whole pixel_sum_of_ints(const uint8_t *image, const conv *c, const view *v, int32_t o)
{
    const window *g = &c->window;
    bnn_whole sum = 0;
    int32_t i, j, k;
    for (i = v->first[0]; i < v->end[0]; i++) {
        const uint8_t *pixel = row_of(image, c, v, i, o);
        const bnn_int *w = c->ints + ((o * g->kernel[0] + i) * g->kernel[1] + v->first[1]) * c->channels;
        for (j = v->first[1]; j < v->end[1]; j++, w += c->channels) {
            for (k = 0; k < c->channels; k++)
                sum += (bnn_whole)w[k] * pixel[k];
            pixel += g->dilation[1] * c->channels * c->groups;
        }
    }
    return sum;
}

//: end
//: if pixels_in_order
/* Pixels times weights of up to 24 bits, added one by one with one rounding each: the sums are whole numbers of at most
   2^52, which double holds with any product beside them. */
static float pixel_sum_in_order(const uint8_t *image, const conv *c, const view *v, int32_t o)
{
    const window *g = &c->window;
    float sum = 0.0f;
    int32_t i, j, k;
    for (i = v->first[0]; i < v->end[0]; i++) {
        const uint8_t *pixel = row_of(image, c, v, i, o);
        const bnn_int *w = c->ints + ((o * g->kernel[0] + i) * g->kernel[1] + v->first[1]) * c->channels;
        for (j = v->first[1]; j < v->end[1]; j++, w += c->channels) {
            for (k = 0; k < c->channels; k++) {
#if defined(__FP_FAST_FMAF) /* an instruction of this machine */
                sum = __builtin_fmaf((float)w[k], (float)pixel[k], sum);
#else
                double product = (double)w[k] * (double)pixel[k];
                sum = (float)((double)sum + product);
#endif
            }
            pixel += g->dilation[1] * c->channels * c->groups;
        }
    }
    return sum;
}

//: end
