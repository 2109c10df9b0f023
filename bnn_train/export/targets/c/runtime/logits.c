void bnn_logits(bnn_memory *memory, float logits[BNN_CLASSES])
{
    uint32_t *m = memory->words;
    int32_t o;
    //: if head
    view v;
    look(&@HEAD@.window, 0, 0, &v);
    //: end
    run(m);
    for (o = 0; o < BNN_CLASSES; o++)
        //: if head
        logits[o] = finished(m, &@HEAD@, (float)whole_product(m, &@HEAD@, &v, o), &v, o);
        //: end
        //: if no_head
        logits[o] = number(m + @OUTPUT@ + o);
        //: end
}
