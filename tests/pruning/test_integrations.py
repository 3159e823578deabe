"""Checkpoints of Hugging Face's Trainer, Accelerate and Lightning resume bit for bit."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from nets import net, sgd, sparsifier  # noqa: E402

from sparseopt.pruning import Block, Sparsifier, methods  # noqa: E402
from sparseopt.pruning.callbacks import lightning_callback, register_with, resume_from, trainer_callback  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def bert(seed=0):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, vocab_size=50
    )
    return transformers.BertForSequenceClassification(config)


class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 48

    def __getitem__(self, i):
        rng = torch.Generator().manual_seed(i)
        return {"input_ids": torch.randint(50, (12,), generator=rng), "labels": i % 2}


def trained(folder, method, steps=12, resume=None, seed=0):
    transformers = pytest.importorskip("transformers")
    model = bert(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    sp = Sparsifier(model, Block(8, 8), method=method, sparsity=0.5, total_steps=10, optimizer=optimiser)
    arguments = transformers.TrainingArguments(
        folder, max_steps=steps, save_steps=5, per_device_train_batch_size=4, report_to=[], use_cpu=True, seed=0
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: 1.0)
    trainer = transformers.Trainer(
        model,
        arguments,
        train_dataset=Rows(),
        optimizers=(optimiser, schedule),
        callbacks=[trainer_callback(sp)],
    )
    if resume:
        resume_from(sp, resume)
    trainer.train(resume_from_checkpoint=resume)
    return model, sp


@pytest.mark.parametrize(
    "method", [methods.Magnitude(), methods.SMART(), methods.ADMM()], ids=lambda m: type(m).__name__
)
def test_trainer(tmp_path, method):
    model, sp = trained(str(tmp_path / "whole"), method)
    assert sp.sparsity == 0.5
    again, other = trained(str(tmp_path / "part"), method, resume=str(tmp_path / "whole" / "checkpoint-5"), seed=1)
    assert other.sparsity == 0.5
    for (name, a), b in zip(model.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_trainer_with_an_optimiser_of_its_own(tmp_path):
    transformers = pytest.importorskip("transformers")
    model = bert()
    sp = Sparsifier(model, Block(8, 8), total_steps=10, optimizer=torch.optim.AdamW(model.parameters()))
    arguments = transformers.TrainingArguments(str(tmp_path), max_steps=2, report_to=[], use_cpu=True)
    trainer = transformers.Trainer(model, arguments, train_dataset=Rows(), callbacks=[trainer_callback(sp)])
    with pytest.raises(ValueError, match="optimiser of its own"):
        trainer.train()


def test_accelerate(tmp_path):
    accelerate = pytest.importorskip("accelerate")
    results = []
    for resume in (False, True):
        accelerator = accelerate.Accelerator(cpu=True)
        model = net(int(resume))
        optimiser = sgd(model)
        sp = sparsifier(model, optimiser, "SMART")
        model, optimiser = accelerator.prepare(model, optimiser)
        register_with(accelerator, sp)
        if resume:
            accelerator.load_state(str(tmp_path))
        while sp.step < 16:
            rng = torch.Generator().manual_seed(sp.step)
            x, y = torch.randn(4, 3, 8, 8, generator=rng), torch.randint(4, (4,), generator=rng)
            accelerator.backward(torch.nn.functional.cross_entropy(model(x), y))
            optimiser.step()
            optimiser.zero_grad()
            if sp.step == 6 and not resume:
                accelerator.save_state(str(tmp_path))
        results.append([p.detach().clone() for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_lightning(tmp_path):
    lightning = pytest.importorskip("lightning.pytorch")

    class Module(lightning.LightningModule):
        def __init__(self, seed):
            super().__init__()
            self.net = net(seed)
            self.optimiser = sgd(self.net)

        def training_step(self, batch, _):
            return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self):
            return self.optimiser

    rng = torch.Generator().manual_seed(0)
    data = torch.utils.data.TensorDataset(
        torch.randn(32, 3, 8, 8, generator=rng), torch.randint(4, (32,), generator=rng)
    )
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    results = []
    for resume in (False, True):
        module = Module(int(resume))
        sp = sparsifier(module.net, module.optimiser, "SMART", total_steps=14)
        saving = lightning.callbacks.ModelCheckpoint(tmp_path, save_top_k=-1, every_n_epochs=1)
        trainer = lightning.Trainer(max_epochs=2, callbacks=[lightning_callback(sp), saving], **quiet)
        checkpoint = next(tmp_path.glob("epoch=0*.ckpt")) if resume else None
        trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=4), ckpt_path=checkpoint, weights_only=False)
        results.append([p.detach().clone() for p in module.net.parameters()])
        assert sp.step == 16
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
