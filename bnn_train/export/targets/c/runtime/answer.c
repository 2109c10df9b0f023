//: if score_rounded
/* A sum rounded to 24 binary digits, ties to even: equal where the real numbers that it stands for are equal. */
static int64_t rounded_sum(int64_t sum)
{
    uint64_t size = sum < 0 ? (uint64_t)0 - (uint64_t)sum : (uint64_t)sum, half;
    int shift = 0;
    while (size >> shift >= (uint64_t)1 << 24)
        shift++;
    if (shift) {
        half = (uint64_t)1 << (shift - 1);
        half -= !(size >> shift & 1u);
        size = (size + half) >> shift << shift;
    }
    return sum < 0 ? -(int64_t)size : (int64_t)size;
}

//: end
