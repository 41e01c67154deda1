"""Which kind of machine is chosen, and the words that ask for it again."""

from __future__ import annotations

import pytest

from harness import doctor
from harness.errors import HostError
from harness.machines.choice import choose_machine
from harness.machines.options import CONSENT, MachineOptions, words_of
from harness.machines.vagrant import requirements


@pytest.mark.parametrize(
    ("asked_for", "told"),
    [
        ("vagrnt", "did you mean vagrant"),
        ("docker", "it takes auto, nspawn, vagrant, ssh"),
        ("ssh:", "which host"),
        ("ssh", "which host"),
        ("ssh:me@mail.example.com", CONSENT),
    ],
)
def test_a_machine_that_cannot_be_meant_is_one_clear_error(asked_for: str, told: str) -> None:
    with pytest.raises(HostError) as error:
        choose_machine(MachineOptions(machine=asked_for))
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("nspawn", "vagrant", "kvm", "kind"),
    [
        (True, True, True, "nspawn"),
        (True, False, False, "nspawn"),
        (False, True, True, "vagrant"),
        # Ten times as slow is nothing that one gets without having asked for it.
        (False, True, False, None),
        (False, False, True, None),
    ],
)
def test_auto_takes_what_can_run_and_is_quick(
    monkeypatch: pytest.MonkeyPatch, nspawn: bool, vagrant: bool, kvm: bool, kind: str | None
) -> None:
    in_the_way = doctor.Finding("btrfs", False, "not in the kernel", "another kernel")
    monkeypatch.setattr(doctor, "problems", lambda: [] if nspawn else [in_the_way])
    monkeypatch.setattr(requirements, "examine", lambda _: iter([] if vagrant else [in_the_way]))
    monkeypatch.setattr(
        requirements, "accelerator", lambda: doctor.Finding("KVM", kvm, "tried", "none")
    )
    if kind is None:
        with pytest.raises(HostError, match="btrfs: not in the kernel → another kernel"):
            choose_machine(MachineOptions())
    else:
        chosen = choose_machine(MachineOptions())
        assert chosen.kind == kind
        assert kind == "nspawn" or "btrfs: not in the kernel" in chosen.why


def test_a_line_to_paste_says_what_was_asked_for() -> None:
    assert words_of(MachineOptions()) == []
    assert words_of(MachineOptions(machine="vagrant", box="debian-13", memory=4096)) == [
        "--machine=vagrant",
        "--vagrant-box=debian-13",
        "--vagrant-memory=4096",
    ]
    assert words_of(MachineOptions(machine="ssh:me@host", consent=True)) == [
        "--machine=ssh:me@host",
        CONSENT,
    ]
