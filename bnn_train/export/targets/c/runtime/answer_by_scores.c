/* Without real numbers: whole scores that are ordered as the logits are, for every sum that can be reached. */
int bnn_answer(bnn_memory *memory)
{
    uint32_t *m = memory->words;
    @SCORE@ score, most = 0;
    view v;
    int32_t o;
    int best = 0;
    look(&@HEAD@.window, 0, 0, &v);
    run(m);
    for (o = 0; o < BNN_CLASSES; o++) {
        score = score_factors[o] * whole_product(m, &@HEAD@, &v, o) + score_summands[o];
        //: if rounded_score
        score = rounded_sum(score);
        //: end
        if (!o || score > most) {
            most = score;
            best = (int)o;
        }
    }
    return best;
}
