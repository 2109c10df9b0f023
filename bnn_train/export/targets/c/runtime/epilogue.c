//: if norm
/* a * b + c with one rounding: the product is exact in double, the sum there rounded to odd (Boldo and Melquiond
   2008), so that the last rounding gives what a single one would. */
static float fused(float a, float b, float c)
{
    union {
        double number;
        uint64_t bits;
    } total;
    double product = (double)a * (double)b, summand = c, back, error, rest;
    total.number = product + summand;
    back = total.number - product;
    error = total.number - back;
    error = product - error;
    rest = summand - back;
    error = error + rest;
    if (error != 0.0 && error - error == 0.0 && total.number - total.number == 0.0 && !(total.bits & 1u)) {
        if ((error > 0.0) == (total.number > 0.0))
            total.bits++;
        else
            total.bits--;
    }
    return (float)total.number;
}

//: end
//: if sigmoid
/* 1 / (1 + e^-y) by operations that every machine repeats. */
static float sigmoid(float y)
{
    static const double terms[14] = {@SIGMOID_TERMS@};
    const double whole = 6755399441055744.0; /* 1.5 * 2^52: adding it rounds to a whole number */
    double t = y < 0.0f ? (double)y : -(double)y, k, r, p, part;
    union {
        double number;
        uint64_t bits;
    } power;
    int i;
    if (y != y)
        return y;
    if (t < -104.0)
        t = -104.0;
    k = t * @PER_LN2@;
    k = k + whole;
    k = k - whole;
    part = k * @LN2_HIGH@;
    r = t - part;
    part = k * @LN2_LOW@;
    r = r - part;
    p = terms[13];
    for (i = 12; i >= 0; i--) {
        p = p * r;
        p = p + terms[i];
    }
    power.bits = (uint64_t)(1023 + (int32_t)k) << 52;
    p = p * power.number;
    part = 1.0 + p;
    return (float)((y < 0.0f ? p : 1.0) / part);
}

//: end
//: if bends
static float bent(float y, const bend *b, int32_t o)
{
    (void)o;
    switch (b->kind) {
    //: if relu
    case BEND_RELU:
        return y < 0.0f ? 0.0f : y;
    //: end
    //: if hardtanh
    case BEND_HARDTANH:
        return y < -1.0f ? -1.0f : y > 1.0f ? 1.0f : y;
    //: end
    //: if sigmoid
    case BEND_SIGMOID:
        return sigmoid(y);
    //: end
    //: if prelu
    case BEND_PRELU:
        if (b->before)
            y = y + b->before[o];
        if (y < 0.0f)
            y = y * b->negative[o];
        else if (b->positive)
            y = y * b->positive[o];
        return b->after ? y + b->after[o] : y;
    //: end
    default:
        return y;
    }
}

//: end
//: if real
/* From a product to a real number, each line rounded once. */
static float finished(const uint32_t *m, const conv *c, float y, const view *v, int32_t o)
{
    const epilogue *e = &c->epilogue;
    const int32_t pixel = v->pixel[0] * c->window.out[1] + v->pixel[1];
    (void)m, (void)e, (void)pixel, (void)o;
    //: if scale
    if (e->scale)
        y = y * e->scale[o];
    //: end
    //: if input_scale
    if (e->input_scale != NOWHERE)
        y = y * number(m + e->input_scale + pixel * e->scale_groups + o / (c->outputs / e->scale_groups));
    //: end
    //: if bias
    if (e->bias) {
        int32_t border = 0;
        //: if border
        if (e->row_class)
            border = e->row_class[v->pixel[0]] * e->column_classes + e->column_class[v->pixel[1]];
        //: end
        y = y + e->bias[border * c->outputs + o];
    }
    //: end
    //: if gate
    if (e->gate != NOWHERE)
        y = y * number(m + e->gate + o);
    //: end
    //: if norm
    if (e->factor)
        y = fused(y, e->factor[o], e->summand[o]);
    //: end
    //: if bends
    y = bent(y, &e->activation, o);
    //: end
    //: if residual
    if (e->residual != NOWHERE)
        y = y + number(m + e->residual + pixel * c->outputs + o);
    //: end
    //: if bends
    y = bent(y, &e->stream, o);
    //: end
    return y;
}

//: end
//: if flip fused_flip
static int is_set(const uint32_t *bits, int32_t o)
{
    return bits && (bits[o >> 5] >> (o & 31) & 1u);
}

//: end
//: if result_bits
/* The planes of a number whose sign is -1, plane p in bit p. */
//: if whole_limits
static uint32_t failed_whole(const conv *c, bnn_whole y, int32_t o)
{
    const limits *t = &c->limits;
    uint32_t passed = 0;
    //: if apart
    uint32_t fails = 0;
    //: end
    int32_t i;
    for (i = 0; i < t->count; i++) {
        bnn_whole limit = t->whole[i * c->outputs + o];
        int fail = y < limit;
        //: if flip
        if (is_set(t->flip, o))
            fail = y > limit;
        //: end
        //: if apart
        fails |= (uint32_t)fail << i;
        //: end
        passed += !fail;
    }
    //: if apart
    if (t->apart)
        return fails;
    //: end
    return ~passed & ((1u << t->planes) - 1u);
}

//: end
//: if real_limits
static uint32_t failed_real(const conv *c, float y, int32_t o)
{
    const limits *t = &c->limits;
    uint32_t passed = 0;
    //: if apart
    uint32_t fails = 0;
    //: end
    int32_t i;
    for (i = 0; i < t->count; i++) {
        float limit = t->real[i * c->outputs + o];
        int fail = y < limit;
        //: if flip
        if (is_set(t->flip, o))
            fail = y > limit;
        //: end
        //: if apart
        fails |= (uint32_t)fail << i;
        //: end
        passed += !fail;
    }
    //: if apart
    if (t->apart)
        return fails;
    //: end
    return ~passed & ((1u << t->planes) - 1u);
}

//: end
//: end
