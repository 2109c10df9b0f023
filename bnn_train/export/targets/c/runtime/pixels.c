//: if pixels_bits
/* Pixels times weights in bits, whole and exact; taps outside the map add nothing. */
static bnn_whole pixel_product(const uint8_t *image, const conv *c, int32_t row, int32_t column, int32_t o)
{
    const window *g = &c->window;
    const int32_t first = o / (c->outputs / c->groups) * c->channels;
    const int32_t bytes = (g->kernel[0] * g->kernel[1] * c->channels + 7) / 8;
    bnn_whole total = 0, negative = 0;
    int32_t i, j, k, bit;
    //: if pixel_codes
    bnn_whole sum = 0;
    int32_t p;
    for (p = 0; p < c->weight_code.planes; p++) {
        const uint8_t *filter = c->rows + (p * c->outputs + o) * bytes;
        total = negative = 0;
    //: end
    //: unless pixel_codes
        const uint8_t *filter = c->rows + o * bytes;
    //: end
        bit = 0;
        for (i = 0; i < g->kernel[0]; i++) {
            int32_t y = seen(g, 0, row, i);
            for (j = 0; j < g->kernel[1]; j++) {
                int32_t x = seen(g, 1, column, j);
                const uint8_t *pixel = image + (y * g->in[1] + x) * c->channels * c->groups + first;
                if (y < 0 || x < 0) {
                    bit += c->channels;
                    continue;
                }
                for (k = 0; k < c->channels; k++, bit++) {
                    bnn_whole value = pixel[k];
                    //: if gain
                    if (c->gain)
                        value *= c->gain[k];
                    //: end
                    total += value;
                    if (filter[bit >> 3] >> (bit & 7) & 1)
                        negative += value;
                }
            }
        }
    //: if pixel_codes
        sum += c->weight_code.values[p] * (total - 2 * negative);
    }
    return (sum + c->weight_code.offset * total) / c->weight_code.denominator;
    //: end
    //: unless pixel_codes
    return total - 2 * negative;
    //: end
}

//: end
//: if pixels_ints
/* Pixels times whole-number weights, exact. */
static bnn_whole pixel_sum_of_ints(const uint8_t *image, const conv *c, int32_t row, int32_t column, int32_t o)
{
    const window *g = &c->window;
    const int32_t first = o / (c->outputs / c->groups) * c->channels;
    const bnn_int *w = c->ints + o * g->kernel[0] * g->kernel[1] * c->channels;
    bnn_whole sum = 0;
    int32_t i, j, k;
    for (i = 0; i < g->kernel[0]; i++) {
        int32_t y = seen(g, 0, row, i);
        for (j = 0; j < g->kernel[1]; j++, w += c->channels) {
            int32_t x = seen(g, 1, column, j);
            if (y < 0 || x < 0)
                continue;
            for (k = 0; k < c->channels; k++)
                sum += (bnn_whole)w[k] * image[(y * g->in[1] + x) * c->channels * c->groups + first + k];
        }
    }
    return sum;
}

//: end
