"""Searching, filtering, sorting and folding the layer table, without a terminal."""

import report_factory as factory
from msgspec import structs
from report_factory import KINDS

from covscan.browse.listing import LARGEST, Group, View, blocks, layers, listed, modules


def names(entries):
    return [entry.name if isinstance(entry, Group) else f"{entry.site.site} {entry.site.position}" for entry in entries]


def test_layers_stand_in_the_order_of_the_network_each_tensor_once():
    known = layers(KINDS["digits"]())
    assert names(listed(known, View()))[:4] == ["fc1 input", "fc1 output", "act1 output", "fc2 output"]
    assert "fc2 input" in names(listed(known, View(every_name=True)))


def test_a_search_takes_parts_and_globs_and_other_names_too():
    known = layers(KINDS["digits"]())
    assert names(listed(known, View(query="FC2"))) == ["fc2 input", "fc2 output"]
    assert names(listed(known, View(query="act[13]"))) == ["act1 output", "act3 output"]
    assert listed(known, View(query="no such")) == []
    hostile = layers(KINDS["hostile"]())
    assert [entry.site.site for entry in listed(hostile, View(query="[bold]"))] == ["[bold]markup[/bold]"]


def test_the_filter_keeps_what_has_findings():
    known = layers(KINDS["digits"]())
    assert names(listed(known, View(found_only=True))) == ["fc3 output", "act3 output"]
    assert [layer.findings for layer in listed(known, View(found_only=True))] == [1, 2]


def test_each_order_sorts():
    known = layers(KINDS["digits"]())
    view, seen = View(), []
    for _ in range(5):
        seen.append((view.order, names(listed(known, view))[0]))
        view = view.sorted_next()
    assert seen == [
        ("network", "fc1 input"),
        ("shift", "fc3 output"),
        ("excess", "fc3 output"),
        ("findings", "act3 output"),
        ("name", "act1 output"),
    ]
    assert view.order == "network"


def test_modules_fold_and_unfold():
    known = layers(KINDS["deep"]())
    folded = blocks(known)
    assert folded == {f"encoder.layer.{number}" for number in range(12)}
    entries = listed(known, View(folded=folded))
    assert names(entries) == ["embeddings.word_embeddings output", *(f"encoder.layer.{n}" for n in range(12))]
    groups = [entry for entry in entries if isinstance(entry, Group)]
    assert all(len(group.layers) == 4 for group in groups)
    assert groups[-1].findings == sum(layer.findings for layer in known[-4:]) > 0
    assert groups[-1].loudest.row.top == max(layer.row.top for layer in known[-4:])
    assert len(listed(known, View(folded=folded - {"encoder.layer.3"}))) == 16
    assert len(listed(known, View(folded=folded, query="dense"))) == 24
    assert len(listed(known, View(folded=folded, order="shift"))) == 49


def test_only_modules_of_some_sites_and_not_too_many_are_folded():
    many = [factory.site(f"net.part{number // LARGEST}.x{number}", number) for number in range(2 * LARGEST)]
    report = factory.report([factory.checkpoint(0)], [*many, factory.site("head.fc", 999)])
    assert blocks(layers(report)) == {"net.part0", "net.part1"}
    assert modules("/conv/Conv_output_0") == ["/conv"]
    assert modules("fc") == []


def test_a_report_without_checkpoints_or_sites_can_be_listed():
    assert layers(KINDS["nothing"]()) == []
    none = structs.replace(KINDS["single"](), checkpoints=[])
    assert len(layers(none)) == 3
