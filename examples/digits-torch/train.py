"""A small convolutional network on the handwritten digits that scikit-learn ships."""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--seed", type=int, default=7)
args = parser.parse_args()

torch.manual_seed(args.seed)
images, digits = load_digits(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(
    (images / 16).astype(np.float32).reshape(-1, 1, 8, 8), digits, test_size=0.25, random_state=args.seed
)
loader = DataLoader(
    TensorDataset(torch.from_numpy(train_x), torch.from_numpy(train_y)),
    batch_size=32,
    shuffle=True,
    generator=torch.Generator().manual_seed(args.seed),
)
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 16, 10)
)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(args.epochs):
    total = 0.0
    for batch, target in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(batch), target)
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch}: loss {total / len(loader):.4f}")

model.eval()
with torch.no_grad():
    predicted = model(torch.from_numpy(test_x)).argmax(1).numpy()
metrics = {"accuracy": float((predicted == test_y).mean()), "train_loss": total / len(loader)}
print(json.dumps(metrics))

Path("metrics.json").write_text(json.dumps(metrics, indent=2))
Path("model").mkdir(exist_ok=True)
torch.jit.script(model).save("model/model.pt")
Path("example").mkdir(exist_ok=True)
np.savez("example/rows.npz", **{"input-0": test_x[:5]})
