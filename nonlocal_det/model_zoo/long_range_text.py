"""What model_zoo.md says of the drawn long-range data, before its tables."""

INTRO = """
## The drawn long-range data

Objects that only something far away tells apart (`python tools/make_long_range.py`), small models
from scratch on CPU cores: what a block brings, beside a **control** of the same parameters and
multiply-adds that has no reach. Every model has its own learning rate, from one grid, chosen on
other images and under another seed than those of the test (`learning_rates.json`). AP: of boxes,
of keypoints where the level is pose. Δ: paired over the seeds, in AP points, with the 95 % interval
of the mean. **right**: percent of the detected objects with the right category, of the limbs'
joints with the right side, by their distance to the evidence in receptive fields of the backbone;
Δ there: to the control, in the farthest range. Commands: `python tools/reproduce.py --suite
long-range --only QUESTION --jobs 2`; figures: `python tools/draw_long_range.py RESULTS.json --out
FOLDER`, of the first test image with an object beyond the receptive field, under every seed."""

CONCLUSIONS = """
### What came out, beside what the paper found

- **Reach, not capacity.** With one block every object is told rightly at any distance. The baseline
  and the control of equal cost are right beside the bar and guess from half a receptive field on,
  which is as far as a detection sees without a block; layers of the same cost bring nothing. The
  paper has no such control; its own evidence is the gain on COCO (+0.9 to +1.3 box AP, Table 5).
- **Nothing where the answer is near.** At level local all three arms are always right, and the
  interval of the block over the control contains 0.
- **The head's four blocks reach too.** Where neither the backbone nor the head's convolutions see a
  figure's other end, the joints of their control are told rightly near the head, and by chance from
  half a receptive field on; with the blocks they are right everywhere, and the boxes are as good.
  The paper's four blocks bring +0.9 keypoint AP on COCO (Table 6), where its 14x14 cells are within
  the convolutions' sight.
- **In a head without norms the paper's softmax had to be scaled.** From scratch, and with theta .
  phi as it is, training fell back to chance within 500 iterations at rates of 0.01 to 0.04, and at
  0.005 learnt under one seed and not under another. Divided by the root of the width
  (`NONLOCAL.SCALE`, as in the authors' code), it is as stable as the control. Batch norm in the
  blocks is stable as well, but its scale, from 0, had come to 5 % after 1500 iterations. Trials on
  val, not in the tables; all models of level pose have the scale.
- **Attention is not an explanation.** In res4 two of three seeds look at the bar, as one would
  hope; the third often looks elsewhere, and is right all the same. Of the keypoint heads one of
  three looks at the figure's head in the picture below, and all are right.
"""
