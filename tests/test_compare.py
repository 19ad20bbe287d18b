"""Several systems asked at once: nobody is lost, nobody is asked twice, reasons are kept."""

import pytest

from trn3 import data, hardware, inference, workload
from trn3.study import compare


def only_b200(system):
    if system.chip.id != "b200":
        raise data.TrnError(f"{system.name} cannot")
    return system.name


def test_every_system_answers_or_says_why():
    answers = compare.ask(only_b200, ["trn3_gen2", "hgx_b200", "hgx_h100"])
    assert list(answers.found) == ["hgx_b200"]
    assert list(answers.missing) == ["trn3_gen2", "hgx_h100"]
    assert "cannot" in answers.missing["hgx_h100"]


def test_a_system_named_twice_or_by_its_chip_is_asked_once():
    asked = []
    compare.ask(lambda system: asked.append(system.id), ["b200", "hgx_b200", "HGX-B200"])
    assert asked == ["hgx_b200"]


def test_nobody_able_is_an_error_with_all_reasons():
    nobody = compare.ask(only_b200, ["trn3_gen2", "hgx_h100"])
    with pytest.raises(data.TrnError) as caught:
        nobody.some()
    for name in ("trn3_gen2", "hgx_h100"):
        assert hardware.system(name).name in str(caught.value)
    with pytest.raises(data.TrnError, match="no system was named"):
        compare.ask(only_b200, []).some("no system was named")


def test_a_mistake_of_ours_is_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        compare.ask(lambda system: 1 / 0, ["hgx_b200"])


def test_a_table_holds_also_those_that_cannot():
    model = workload.model("llama3_1_405b")
    load = workload.ServingLoad(model, 1024, 1024, 3.0, 0.05, "fp8", "fp8")
    answers = compare.serving(load, ["trn3_gen2", "hgx_h200", "inf2_48xl"])
    table = compare.serving_table(load, answers)
    assert list(table.index) == ["trn3_gen2", "hgx_h200", "inf2_48xl"]
    assert (table["why"] == "").tolist() == [True, True, False]
    alone = inference.best(load, hardware.system("hgx_h200"))
    assert table.loc["hgx_h200", "middle"] == alone.output_tokens_per_s_per_chip[1]


def test_a_chip_without_the_format_serves_in_bf16():
    load = workload.ServingLoad(workload.model("llama3_1_8b"), 512, 128, 3.0, 0.05, "fp8", "fp8")
    assert compare.load_on(load, hardware.system("hgx_a100")).weights_dtype == "bf16"
    assert compare.load_on(load, hardware.system("hgx_h100")).weights_dtype == "fp8"
