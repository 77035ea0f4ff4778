"""DeepSVDD on images, in PyTorch: LeNet as in the article and as in its authors' repository.

Ruff et al., "Deep One-Class Classification" (ICML 2018) and the repository that OCSDF App. H.1
names: LeNet without biases and with leaky ReLU (0.1), images contrast-normalized in l1 and scaled
to [0, 1] by the extremes of the training images, an autoencoder's weights to begin with.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

# Of the centre, no coordinate is nearer to 0 than this; the share of rows that the soft boundary
# leaves outside.
_LEAST, _NU = 0.1, 0.1
_PRETRAIN_DECAY, _DECAY = 5e-4, 5e-7
_ROWS = 500


class Effort(NamedTuple):
    """How much is spent: epochs of the autoencoder, then of DeepSVDD; batches; Adam's rate, which
    falls to a tenth after two thirds of the epochs of each.
    """

    pretrain_epochs: int
    epochs: int
    batch_size: int
    rate: float


class LeNet(nn.Module):
    """Convolutions of 5 x 5, each followed by leaky ReLU and pooling, and a dense layer."""

    def __init__(self, shape, batch_norm):
        super().__init__()
        self.shape = shape
        channels, self.width = ((8, 4), 32) if shape[0] == 1 else ((32, 64, 128), 128)
        parts, before = [], shape[0]
        for after in channels:
            parts.append(nn.Conv2d(before, after, 5, padding=2, bias=False))
            if batch_norm:
                parts.append(nn.BatchNorm2d(after, eps=1e-4, affine=False))
            parts += [nn.LeakyReLU(0.1), nn.MaxPool2d(2)]
            before = after
        self.side = shape[1] // 2 ** len(channels)
        parts += [nn.Flatten(), nn.Linear(before * self.side**2, self.width, bias=False)]
        self.encoder, self.channels, self.batch_norm = nn.Sequential(*parts), channels, batch_norm

    def forward(self, images):
        return self.encoder(images)

    def decoder(self):
        """Make what undoes it, for the autoencoder."""
        last = self.channels[-1]
        parts = [nn.Linear(self.width, last * self.side**2, bias=False)]
        parts.append(nn.Unflatten(1, (last, self.side, self.side)))
        for before, after in zip(
            self.channels[::-1], (*self.channels[-2::-1], self.shape[0]), strict=True
        ):
            if self.batch_norm:
                parts.append(nn.BatchNorm2d(before, eps=1e-4, affine=False))
            parts += [nn.LeakyReLU(0.1), nn.Upsample(scale_factor=2)]
            parts.append(nn.Conv2d(before, after, 5, padding=2, bias=False))
        return nn.Sequential(*parts, nn.Sigmoid())


class DeepSVDD:
    """A fitted network, its centre, and how images are prepared; scores are high inside.

    ``losses`` has the loss of each epoch.
    """

    def __init__(self, shape, batch_norm, soft_boundary, effort, seed):
        torch.manual_seed(seed)
        self.shape = (shape[2], *shape[:2])
        self.soft_boundary, self.effort = soft_boundary, effort
        self.network = LeNet(self.shape, batch_norm)
        self.losses = []

    def fit(self, rows):
        """Fit to rows of pixels in [0, 1], (n, height * width * channels)."""
        images = _normalized(torch.tensor(rows, dtype=torch.float32), self.shape)
        self.low, self.high = float(images.min()), float(images.max())
        images = self._scaled(images)
        self._pretrain(images)
        self._train(images)
        self.network.eval()
        return self

    def score(self, points):
        """Minus the squared distance to the centre, (n,), float64."""
        points = np.asarray(points, dtype=np.float32)
        with torch.no_grad():
            parts = [self._score(torch.tensor(points[at : at + _ROWS]))
                     for at in range(0, len(points), _ROWS)]  # fmt: skip
        return torch.cat(parts).numpy().astype(np.float64)

    def value_and_gradient(self, points):
        """Return scores, and their gradient with respect to pixels."""
        rows = torch.tensor(np.asarray(points), dtype=torch.float32, requires_grad=True)
        score = self._score(rows)
        (slope,) = torch.autograd.grad(score.sum(), rows)
        return score.detach().numpy().astype(np.float64), slope.numpy().astype(np.float64)

    def _score(self, rows):
        features = self.network(self._scaled(_normalized(rows, self.shape)))
        return -torch.sum((features - self.center) ** 2, dim=1)

    def _scaled(self, images):
        return (images - self.low) / (self.high - self.low)

    def _pretrain(self, images):
        model = nn.Sequential(self.network, self.network.decoder())
        weights = [*model.parameters()]

        def loss(batch):
            return torch.mean(torch.sum((model(batch) - batch) ** 2, dim=(1, 2, 3)))

        self._descend(model, weights, images, self.effort.pretrain_epochs, _PRETRAIN_DECAY, loss)

    def _train(self, images):
        self.network.eval()
        with torch.no_grad():
            center = self.network(images).mean(dim=0)
        sign = torch.where(center < 0.0, -1.0, 1.0)
        self.center = torch.where(center.abs() < _LEAST, _LEAST * sign, center)
        radius, begun = torch.zeros(()), self.effort.epochs // 2

        def loss(batch):
            squares = torch.sum((self.network(batch) - self.center) ** 2, dim=1)
            if not self.soft_boundary:
                return squares.mean()
            # The repository's schedule: the radius stays at 0 until warm-up ends.
            if len(self.losses) >= begun:
                radius.copy_(torch.quantile(squares.detach().sqrt(), 1.0 - _NU))
            return radius**2 + torch.relu(squares - radius**2).mean() / _NU

        self.losses = []
        self._descend(
            self.network, [*self.network.parameters()], images, self.effort.epochs, _DECAY, loss,
            self.losses,
        )  # fmt: skip

    def _descend(self, model, weights, images, epochs, decay, loss, history=None):
        optimizer = torch.optim.Adam(weights, lr=self.effort.rate, weight_decay=decay)
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [max(1, 2 * epochs // 3)], 0.1)
        model.train()
        for _ in range(epochs):
            total = 0.0
            batches = torch.randperm(len(images)).split(self.effort.batch_size)
            for rows in batches:
                optimizer.zero_grad()
                value = loss(images[rows])
                value.backward()
                optimizer.step()
                total += float(value.detach())
            schedule.step()
            if history is not None:
                history.append(total / len(batches))


def _normalized(rows, shape):
    """Take the mean from each image and divide it by its mean size (l1 contrast)."""
    height, width = shape[1:]
    images = rows.reshape(-1, height, width, shape[0]).permute(0, 3, 1, 2)
    images = images - images.mean(dim=(1, 2, 3), keepdim=True)
    return images / functional.relu(images.abs().mean(dim=(1, 2, 3), keepdim=True) - 1e-6).add(1e-6)
