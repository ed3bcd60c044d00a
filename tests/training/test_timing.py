import time

from torch import nn

from nonlocal_det.training.result import InferenceTimer


class Slow(nn.Module):
    def forward(self, images):
        time.sleep(0.05 * len(images))


def test_the_time_of_an_image_is_taken_in_evaluation_alone():
    model = Slow()
    timer = InferenceTimer(model)
    model.train()([0] * 5)
    model.eval()([])
    assert timer.s_per_image is None
    for _ in range(3):
        model([0] * 4)
    assert 0.05 <= timer.s_per_image < 0.15
