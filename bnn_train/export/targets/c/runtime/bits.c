//: if bits
/* Signs are bits, set for -1; over n channels a dot product is n - 2 * popcount(a ^ w). */
static int32_t ones(uint32_t x)
{
#ifdef __POPCNT__
    return (int32_t)__builtin_popcount(x);
#else
    x = x - ((x >> 1) & 0x55555555u);
    x = (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0fu;
    return (int32_t)((x * 0x01010101u) >> 24);
#endif
}

//: if split
/* Up to 32 channels of a pixel's words, from any channel on. */
static uint32_t cut(const uint32_t *a, int32_t first, int32_t count)
{
    int32_t shift = first & 31;
    uint32_t word = a[first >> 5] >> shift;
    if (shift + count > 32)
        word |= a[(first >> 5) + 1] << (32 - shift);
    return count < 32 ? word & (((uint32_t)1 << count) - 1u) : word;
}

//: end
/* The sum of sign * sign over the channels of a group from `first` on. */
static int32_t sign_dot(const uint32_t *a, int32_t first, const uint32_t *w, int32_t channels)
{
    int32_t i, different = 0;
    for (i = 0; 32 * i < channels; i++) {
        //: if split
        int32_t left = channels - 32 * i;
        different += ones(cut(a, first + 32 * i, left < 32 ? left : 32) ^ w[i]);
        //: end
        //: unless split
        different += ones(a[(first >> 5) + i] ^ w[i]);
        //: end
    }
    return channels - 2 * different;
}

//: if input_offsets pad
/* The sum of the signs of a filter's tap. */
static int32_t sign_sum(const uint32_t *w, int32_t channels)
{
    int32_t i, negative = 0;
    for (i = 0; 32 * i < channels; i++)
        negative += ones(w[i]);
    return channels - 2 * negative;
}

//: end
//: if weight_offsets
/* The sum of the signs of a pixel's group. */
static int32_t pixel_sum(const uint32_t *a, int32_t first, int32_t channels)
{
    int32_t i, negative = 0;
    for (i = 0; 32 * i < channels; i++) {
        int32_t left = channels - 32 * i;
        //: if split
        negative += ones(cut(a, first + 32 * i, left < 32 ? left : 32));
        //: end
        //: unless split
        (void)left;
        negative += ones(a[(first >> 5) + i]);
        //: end
    }
    return channels - 2 * negative;
}

//: end
//: if bit_codes
/* One tap's sum of code * code, before the division by both denominators; plane: words from one plane of the
   weight to the next. */
static int32_t code_dot(const conv *c, const uint32_t *a, int32_t first, const uint32_t *w, int32_t plane)
{
    const int32_t input_words = (c->channels * c->groups + 31) / 32;
    int32_t p, q, sum = 0;
    for (q = 0; q < c->input_code.planes; q++)
        for (p = 0; p < c->weight_code.planes; p++)
            sum += (int32_t)c->input_code.values[q] * c->weight_code.values[p] *
                   sign_dot(a + q * input_words, first, w + p * plane, c->channels);
    //: if input_offsets
    sum += c->channels * c->input_code.offset * c->weight_code.offset;
    if (c->input_code.offset)
        for (p = 0; p < c->weight_code.planes; p++)
            sum += c->input_code.offset * c->weight_code.values[p] * sign_sum(w + p * plane, c->channels);
    //: end
    //: if weight_offsets
    if (c->weight_code.offset)
        for (q = 0; q < c->input_code.planes; q++)
            sum += c->weight_code.offset * c->input_code.values[q] *
                   pixel_sum(a + q * input_words, first, c->channels);
    //: end
    return sum;
}

//: if pad
/* One tap's sum of weight codes, before the division. */
static int32_t code_sum(const conv *c, const uint32_t *w, int32_t plane)
{
    int32_t p, sum = c->channels * c->weight_code.offset;
    for (p = 0; p < c->weight_code.planes; p++)
        sum += c->weight_code.values[p] * sign_sum(w + p * plane, c->channels);
    return sum;
}

//: end
//: end
/* The whole-number product of a view and a channel, of the weight's planes from p on and the input's from q on. */
static int32_t bit_product(const uint32_t *m, const conv *c, const view *v, int32_t o, int32_t p, int32_t q)
{
    const window *g = &c->window;
    const int32_t words = (c->channels + 31) / 32, filter = g->kernel[0] * g->kernel[1] * words;
    const int32_t plane = (c->channels * c->groups + 31) / 32, pixel = c->input_planes * plane;
    const int32_t first = o / (c->outputs / c->groups) * c->channels;
    const uint32_t *weights = c->words + (p * c->outputs + o) * filter;
    int32_t i, j, sum = 0;
    for (i = v->first[0]; i < v->end[0]; i++) {
        const int32_t y = v->at[0] + i * g->dilation[0], x = v->at[1] + v->first[1] * g->dilation[1];
        const uint32_t *a = m + c->input + q * plane + (y * g->in[1] + x) * pixel;
        const uint32_t *w = weights + (i * g->kernel[1] + v->first[1]) * words;
        for (j = v->first[1]; j < v->end[1]; j++) {
            //: if bit_codes
            sum += code_dot(c, a, first, w, c->outputs * filter);
            //: end
            //: unless bit_codes
            sum += sign_dot(a, first, w, c->channels);
            //: end
            a += g->dilation[1] * pixel;
            w += words;
        }
    }
    //: if bit_codes
    sum /= c->input_code.denominator * c->weight_code.denominator;
    //: end
    //: if pad
    if (c->pad) {
        int32_t outside = 0;
        for (i = 0; i < g->kernel[0]; i++)
            for (j = 0; j < g->kernel[1]; j++) {
                const int inside = i >= v->first[0] && i < v->end[0] && j >= v->first[1] && j < v->end[1];
                const uint32_t *w = weights + (i * g->kernel[1] + j) * words;
                //: if bit_codes
                outside += inside ? 0 : code_sum(c, w, c->outputs * filter);
                //: end
                //: unless bit_codes
                outside += inside ? 0 : sign_sum(w, c->channels);
                //: end
            }
        //: if bit_codes
        outside /= c->weight_code.denominator;
        //: end
        sum += c->pad * outside;
    }
    //: end
    return sum;
}

//: end
//: if factored
/* Planes that count for real factors: the sum over p, then q, of factor * factor * float(dot), each operation
   rounded once. */
static float plane_product(const uint32_t *m, const conv *c, const view *v, int32_t o)
{
    float total = 0.0f;
    int32_t p, q, terms = 1, input_terms = 1;
    //: if weight_factors
    terms = c->factors ? c->terms : 1;
    //: end
    //: if input_factors
    input_terms = c->input_factors ? c->input_terms : 1;
    //: end
    for (p = 0; p < terms; p++)
        for (q = 0; q < input_terms; q++) {
            float factor = 1.0f, term = (float)bit_product(m, c, v, o, p, q);
            //: if weight_factors
            if (c->factors)
                factor = c->factors[p * c->outputs + o];
            //: end
            //: if input_factors
            if (c->input_factors)
                factor = factor * c->input_factors[q];
            //: end
            term = term * factor;
            total = p || q ? total + term : term;
        }
    return total;
}

//: end
