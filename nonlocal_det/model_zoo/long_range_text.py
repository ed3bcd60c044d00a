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
Δ there: to the control, in the farthest range. **s/iter**: as the runs went, two at a time on a
shared machine, which was now more, now less busy; costs to compare are under Costs. Commands:
`python tools/reproduce.py --suite long-range --only QUESTION --jobs 2`; figures: `python
tools/draw_long_range.py RESULTS.json --out FOLDER`, of the first test image with an object beyond
the receptive field and of the model's last block, under every seed."""

CONCLUSIONS = """
### What came out, beside what the paper found

- **Reach, not capacity.** With one block every object is told rightly at any distance. The baseline
  and the control of equal cost are right beside the bar and guess from half a receptive field on,
  which is as far as a detection sees without a block; layers of the same cost bring nothing. The
  paper has no such control; its own evidence is the gain on COCO (+0.9 to +1.3 box AP, Table 5).
- **The function does not matter, if it learns.** Gaussian, embedded Gaussian and dot product are
  right at every distance under every seed, the embedded Gaussian without subsampling, too.
  Concatenation is under two seeds; under the third it still guessed what is far when training
  ended. The paper: any of the four 72.5 to 72.9 % on Kinetics, and 71.8 without (Table 2a).
- **Nor does the stage, of res2 to res4.** A block in any of them is right at every distance under
  every seed, 14 to 15 points over its control; for the backward pass it keeps 2.0 MiB an image in
  res2, 0.1 in res4. Those of res2 and res3 ran later, beside a baseline of their own: 65.1 ± 10.3,
  as under one seed of three it had not learnt the bar even beside it (right in 60 %). Their Δ to
  the baseline is as wide as that; the one to the control is narrow. The paper: 72.7 to 72.9 % in
  res2 to res4 (Table 2b).
- **Nor is res5 worse.** In images of 640 px, with all four stages, its cells of 32 px are two rows
  high, and a block there is right at every distance as one in res4 is: 82.4 and 82.3 box AP, the
  baseline 66.2; over its control +12.5 [+8.6, +16.4]. The control of res4 had not learnt the bar
  even beside it under two seeds of three, at the rate chosen for it under another (44, 43 and 70
  box AP), so the interval over that one contains 0 and says nothing of reach; the one over the
  baseline is narrow. The paper finds 72.3 % in res5, less than elsewhere, and supposes its
  cells too coarse (Table 2b); a bar as high as the image does not ask for fine ones.
- **Five or ten blocks bring no more than one, where they learn.** In a narrow ResNet-50 one block
  is right at every distance under every seed: 84.7 box AP, over its control +18.7 [+17.4, +20.0].
  Five and ten are, too, under two seeds of three (84.3, 84.6; 83.9, 84.5), so nothing is left for
  them to add; under the third they never learnt the bar even beside it (43.5; 44.7). Nor did their
  controls under one (45.5; 45.4), so attention is not needed for that. Every model has the rate
  chosen for it under another seed, and three seeds do not tell how often it happens; the intervals
  of five and ten contain 0. The paper gains on Kinetics with more blocks (72.7, 73.8, 74.3 %, Table
  2c), and found diminishing returns on COCO; a single bar does not ask for several looks.
- **At level beacon one vector for all queries is enough.** GCNet's block, which has a fifteenth of
  the parameters, does as well: the level was drawn so that it can. Level pairs asks for more.
- **Where to look is another place for every shape: only the pairwise block learns it.** At level
  pairs it has 86.9 box AP and is right for 98 or 99 % at any distance. The baseline (47.4), the
  control (47.2) and GCNet's block (48.5), whose one vector serves all queries, are right for 50 to
  54 % of all shapes: they guess, or do as one would who took the nearest bar, right beside it and
  wrong rather than right elsewhere (GCNet's, and the baseline under two seeds of three). In the
  figure the block looks past the other bar at the shape's own, under every seed. The paper asks no
  such question.
- **Nothing where the answer is near.** At level local all three arms are always right, and the
  interval of the block over the control contains 0.
- **The head's four blocks reach too, and one block in the backbone does.** With 28x28 cells and a
  short backbone a joint sees 1.5 receptive fields without a block. Beyond that its side is a matter
  of chance for the baseline and the controls (49 to 52 %), and right (99 to 100 %) with four blocks
  in the head, one in res2, or both; the boxes are as good. The controls guess from half a field on,
  so they do not use all that they could see: the last range alone shows reach.
- **The head's blocks add exactness to the backbone's one, not right sides.** Keypoint AP seed by
  seed: 95.7, 95.7, 95.4 with both; 86.7, 95.7, 95.0 with the head's; 84.9, 90.4, 84.0 with that in
  res2. Both over res2 alone +9.2 [+0.9, +17.4]; sides are as right, and AP50 is 100 in all three,
  so the difference is in how exactly a joint is placed. Whether reach or mere layers in the head
  bring it is not measured: no model has the block in res2 and the head's control. Both over the
  head's alone +3.1 [-9.5, +15.7], which contains 0. The paper on COCO: +0.9 keypoint AP with four
  blocks in the head, +1.4 with one in res4 besides (Table 6), where the head's 14x14 cells are
  within the convolutions' sight.
- **Where all is within reach, three seeds prove nothing, but a block in res4 failed under none.**
  On the paper's 14x14 cells no joint is beyond sight, and every model can learn its side. Without a
  block in the backbone, how far a seed has come when training ends is luck: keypoint AP 85, 59, 87
  of the baseline, 90, 75, 88 of the head's control, 92, 46, 89 with the head's four blocks. The
  same seeds at commit 979262b on another machine: 70, 87, 78; 42, 43, 74; 37, 74, 88. With a block
  in res4, alone or with the head's, all six runs came to 88 to 93, right for 99 to 100 % at any
  distance, their controls to 75 to 92: over the control +11.0 [-1.9, +23.9] alone, +7.6 [-14.6,
  +29.9] with the head's. In keypoint AP every interval contains 0. Their boxes are worse than the
  baseline's, by 1.8 [0.7, 2.9] and 1.7 [1.5, 2.0] box AP; so are those of the control of both, by
  1.5 [0.7, 2.4]: all three have the higher of the two rates, which keypoint AP on val chose.
- **In a head without norms the paper's softmax had to be scaled.** From scratch, and with theta .
  phi as it is, training fell back to chance within 500 iterations at rates of 0.01 to 0.04 with 8
  images a step, and at 0.005 with 16 learnt under one seed and not under another (trials at commit
  02dc56d, `train_net.py` with `nl_pose_short_R18_head`). Batch norm in the blocks was stable, but
  its scale, from 0, had come to 5 % after 1500 iterations (41a008c). Divided by the root of the
  width (`NONLOCAL.SCALE`, as in the authors' code), it is as stable as the control: all models of
  level pose have that, and those of several blocks in a backbone (`beacon_deep`). There, without
  norm or scale, ten blocks learnt the bar and had lost it by iteration 500, and five never learnt
  it; some block's output grew to 35 and 96 times its input. With the scale both learnt and kept it,
  and no output passed 5 times its input: 81 and 80 box AP, 37 and 42 without (val, seed 1000, rate
  0.01, 1000 iterations, commit 87afc2e, `train_net.py` with `nl_beacon_deep_R50_10blocks` and
  `_5blocks`, `MODEL.NONLOCAL.SCALE True`). That is no promise that they learn it: at rate 0.02 and
  2000 iterations ten blocks with the scale stayed at chance (46.8, val, seed 1000, commit b822e8f,
  `reproduce.py --suite long-range --choose-lr --lr-grid 0.01,0.02 --only beacon_deep`).
- **Attention is not an explanation.** In res4 two of three seeds look at the bar, as one would
  hope; the third often looks elsewhere, and is right all the same. In the keypoint head one of
  three does, in the last of its four blocks; what is far may have come through an earlier one.
"""
