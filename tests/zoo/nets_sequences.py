"""Sequences: recurrent, packed, nested, padded, attended to."""

import torch
from torch import nn


class Recurrent(nn.Module):
    def __init__(self, kind, batch_first):
        super().__init__()
        self.batch_first = batch_first
        self.rnn, self.head = getattr(nn, kind)(16, 6, batch_first=batch_first, bidirectional=True), nn.Linear(12, 3)

    def forward(self, x):
        y, _ = self.rnn(x if self.batch_first else x.transpose(0, 1))
        return self.head(y)


class Packed(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.rnn, self.head = getattr(nn, kind)(16, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        y, _ = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        return self.head(y[:, 0])


class Nested(nn.Module):
    def __init__(self, layout):
        super().__init__()
        self.layout, self.fc, self.act = layout, nn.Linear(16, 5), nn.ReLU()

    def forward(self, x, lengths):
        parts = [part[:length] for part, length in zip(x, lengths.tolist(), strict=True)]
        return self.act(self.fc(torch.nested.nested_tensor(parts, layout=self.layout))).to_padded_tensor(0.0)


class Padded(nn.Module):
    """torch's own encoder, which makes nested tensors of padded batches unless it is kept from it."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 24, batch_first=True), 2)

    def forward(self, x, src_key_padding_mask):
        return self.encoder(x, src_key_padding_mask=src_key_padding_mask)


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.head = nn.MultiheadAttention(16, 4, batch_first=True), nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.attention(x, x, x, need_weights=False)[0])
