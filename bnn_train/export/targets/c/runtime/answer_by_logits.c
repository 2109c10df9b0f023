int bnn_answer(bnn_memory *memory)
{
    float logits[BNN_CLASSES];
    int o, best = 0;
    bnn_logits(memory, logits);
    for (o = 1; o < BNN_CLASSES; o++)
        if (logits[o] > logits[best])
            best = o;
    return best;
}
