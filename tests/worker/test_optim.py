import pytest
import torch
from torch import nn

from worker.optim import Rule, adamw, parameter_groups, undecayed


class RootMeanNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 3))  # two-dimensional on purpose: the class name tells


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.norm = nn.LayerNorm(3)
        self.other = RootMeanNorm()
        self.head = nn.Linear(3, 5)
        self.tied = nn.Linear(3, 5, bias=False)
        self.tied.weight = self.embed.weight


def test_each_parameter_is_in_exactly_one_group_and_tied_ones_once() -> None:
    model = Small()
    groups = parameter_groups(model, [Rule("head.*", 3.0), Rule(".*")], 0.01)
    found = [id(parameter) for group in groups for parameter in group.parameters]
    assert sorted(found) == sorted(id(parameter) for parameter in model.parameters())
    assert {(group.names, group.scale, group.weight_decay) for group in groups} == {
        (("head.weight",), 3.0, 0.01),
        (("head.bias",), 3.0, 0.0),
        (("embed.weight",), 1.0, 0.01),
        (("norm.weight", "norm.bias", "other.weight"), 1.0, 0.0),
    }


def test_norms_and_vectors_do_not_decay() -> None:
    assert undecayed(Small()) == {"norm.weight", "norm.bias", "other.weight", "head.bias"}


def test_the_first_matching_rule_wins() -> None:
    groups = parameter_groups(Small(), [Rule(r"head\.weight", 2.0), Rule(".*", 1.0)], 0.0)
    assert [group.names for group in groups if group.scale == 2.0] == [("head.weight",)]


@pytest.mark.parametrize("rules", [[Rule(".*"), Rule("head.*")], [Rule("nothing"), Rule(".*")]])
def test_a_rule_without_a_parameter_is_an_error(rules: list[Rule]) -> None:
    with pytest.raises(ValueError, match="no parameter is left"):
        parameter_groups(Small(), rules, 0.0)


def test_a_parameter_without_a_rule_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no rule matches the parameter embed\.weight"):
        parameter_groups(Small(), [Rule("head.*")], 0.0)


def test_frozen_parameters_stay_out() -> None:
    model = Small()
    model.embed.requires_grad_(False)
    names = {name for group in parameter_groups(model, [Rule(".*")], 0.0) for name in group.names}
    assert "embed.weight" not in names
    assert "head.weight" in names


def test_fused_adamw_updates_like_the_plain_one() -> None:
    torch.manual_seed(0)
    ours, plain = Small(), Small()
    plain.load_state_dict(ours.state_dict())
    groups = parameter_groups(ours, [Rule(".*")], 0.1)
    fused = adamw(groups, torch.device("cpu"))
    no_decay = undecayed(plain)
    reference = torch.optim.AdamW(
        [
            {"params": [p for n, p in plain.named_parameters() if n not in no_decay], "weight_decay": 0.1},
            {"params": [p for n, p in plain.named_parameters() if n in no_decay], "weight_decay": 0.0},
        ],
        lr=1e-2,
    )
    for _ in range(3):
        for model, optimizer in ((ours, fused), (plain, reference)):
            for group in optimizer.param_groups:
                group["lr"] = 1e-2
            x = model.norm(model.embed(torch.tensor([0, 1, 1])))
            loss = model.head(x).square().sum() + model.tied(x).sum() + model.other.weight.square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for one, two in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)
