"""Which line of the user's code makes which module, over a zoo of ways to make one."""

import functools
import importlib
import re
import subprocess
import sys
import types

import pytest
import torch
from msgspec.structs import replace
from torch import nn

import covscan
from covscan.capture.torch_source import SourceLines
from covscan.config.loading import load_object
from covscan.report import to_json

ZOO = """\
import functools
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import Conv2d as C


def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper


def hidden(function):
    return lambda *args, **kwargs: function(*args, **kwargs)


class Block(nn.Module):  # <- from_list.0.made
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 1, 1)  # <- first.conv1 from_list.0.conv1 from_list.1.conv1 from_dict.a.conv1
        self.act: nn.Module = nn.ReLU()  # <- first.act
        name = "made"
        setattr(self, name, nn.ReLU())


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.inherited = nn.Linear(1, 1)  # <- child.inherited
        self.replaced = nn.Linear(1, 1)


class Child(Base):
    def __init__(self):
        super().__init__()
        self.replaced = nn.Linear(1, 2)  # <- child.replaced


class Heir(Child):
    pass


class Stack(nn.Sequential):  # <- stack.0 stack.1
    def __init__(self):
        super().__init__(nn.Linear(1, 1), nn.ReLU())


class Outer:
    class Inner(nn.Module):
        def __init__(me, /):
            super().__init__()
            me.fc = nn.Linear(1, 1)  # <- inner.fc


@functools.lru_cache
def ignored():
    pass


class Zoo(nn.Module):
    @logged
    def __init__(self, wide=True):
        super().__init__()
        self.first = Block()  # <- first
        self.body = nn.Sequential(  # <- body body.0 body.1 body.1.0
            nn.Conv2d(1, 1, 1),
            nn.Sequential(nn.ReLU()),
        )
        self.from_list = nn.ModuleList([Block() for _ in range(2)])  # <- from_list from_list.0 from_list.1
        self.from_dict = nn.ModuleDict({"a": Block()})  # <- from_dict from_dict.a
        self.left, self.right = nn.ReLU(), nn.GELU()  # <- left right
        self.one = self.two = nn.Linear(1, 1)  # <- one
        if (walrus := nn.Tanh()) is not None:
            self.walrus = walrus  # <- walrus
        if wide:
            self.norm = nn.BatchNorm1d(1)
        else:
            self.norm = nn.LayerNorm(1)  # <- norm
        self.add_module("added", nn.ReLU())  # <- added
        self.register_module("registered", nn.ReLU())  # <- registered
        setattr(self, "set", nn.ReLU())  # <- set
        for number in range(2):
            self.add_module(f"layer{number}", nn.Linear(1, 1))  # <- layer0 layer1
        self.layer = nn.GELU()  # <- layer
        self.encoder = nn.TransformerEncoder(  # <- encoder encoder.layers.0 encoder.layers.0.linear1
            nn.TransformerEncoderLayer(4, 1, 4), 1, enable_nested_tensor=False
        )
        self.child = Heir()  # <- child
        self.stack = Stack()  # <- stack
        self.inner = Outer.Inner()  # <- inner
        self._build()
        self.local = local()  # <- local
        self.secret = Secret()  # <- secret
        self.lent = Lent()  # <- lent
        self.lent.fc = nn.Linear(1, 1)
        self.ordered = Ordered()  # <- ordered
        self.data = nn.ParameterList()
        helper(self)

    def _build(self):
        self.late = nn.Sequential(OrderedDict(fc=nn.Linear(1, 1)))  # <- late late.fc

    @staticmethod
    def nothing():
        pass


class Secret(nn.Module):
    @hidden
    def __init__(self):
        nn.Module.__init__(self)
        self.fc = nn.Linear(1, 1)  # <- secret.fc

    def forward(self, x):
        return x


class Lent(nn.Module):  # <- lent.fc
    forward = hidden


class Ordered(nn.Module):
    def renew(self):
        self.fc = nn.Linear(1, 1)

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(1, 1)  # <- ordered.fc


def local():
    class Local(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(1, 1)  # <- local.fc

    return Local()


def helper(module):
    module.outside = nn.ReLU()


def zoo():
    net = Zoo(wide=False)
    return net


@logged
def sequential():  # <- factory
    return nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.ReLU()))


anonymous = lambda: nn.Sequential(nn.ReLU())  # noqa: E731

if torch.cuda.is_available():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(1, 1)
else:
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(2, 2)  # <- twice.fc
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A user's folder, in no repository, with the zoo in it; the working folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "zoo.py").write_text(ZOO, encoding="utf-8")
    return folder


@pytest.fixture
def zoo(folder):
    """The zoo's module, of this folder and no other test's."""
    yield sys.modules[load_object("zoo.py:zoo", what="--model").__module__]
    for name in [name for name in sys.modules if name == "zoo" or name.startswith("zoo_")]:
        del sys.modules[name]


def marked(source=ZOO):
    """By name: the line whose comment names it."""
    found = {}
    for number, line in enumerate(source.splitlines(), 1):
        match = re.search(r"# <- (.*)", line)
        found |= dict.fromkeys(match[1].split() if match else (), number)
    return found


def lines(model, factory=None, names=None):
    names = names or [name for name, _ in model.named_modules() if name]
    return {name: (line.file, line.line) for name, line in SourceLines(model, factory).of(names).items()}


def test_each_module_of_the_zoo_has_the_line_that_makes_it(zoo):
    found = lines(zoo.zoo(), zoo.zoo)
    expected = {name: ("zoo.py", line) for name, line in marked().items() if name not in {"factory", "twice.fc"}}
    assert {name: found.get(name) for name in expected} == expected


def test_what_is_put_in_from_outside_has_the_line_of_the_class(zoo):
    found = lines(zoo.zoo(), names=["outside", "data"])
    assert found["outside"] == ("zoo.py", ZOO.splitlines().index("class Zoo(nn.Module):") + 1)


def test_of_two_classes_of_one_name_the_one_that_is_there(zoo):
    assert lines(nn.Sequential(zoo.Twice()), names=["0.fc"]) == {"0.fc": ("zoo.py", marked()["twice.fc"])}


@pytest.mark.parametrize("wrap", [lambda f: f, functools.partial, lambda f: functools.partial(functools.partial(f))])
def test_without_a_class_of_the_users_it_is_the_factory(zoo, wrap):
    expected = ("zoo.py", marked()["factory"])
    assert lines(zoo.sequential(), wrap(zoo.sequential)) == {"0": expected, "1": expected, "1.0": expected}


def test_factories_of_other_kinds(zoo):
    model = nn.Sequential(nn.ReLU())
    at = {text: number for number, text in enumerate(ZOO.splitlines(), 1)}
    anonymous = next(number for text, number in at.items() if text.startswith("anonymous"))
    assert lines(model, zoo.anonymous) == {"0": ("zoo.py", anonymous)}
    assert lines(model, zoo.Block) == {"0": ("zoo.py", marked()["from_list.0.made"])}
    assert lines(model, zoo.Block()) == {"0": ("zoo.py", marked()["from_list.0.made"])}
    assert lines(model, zoo.zoo().nothing)["0"][0] == "zoo.py"
    assert lines(model, zoo.zoo()._build)["0"][1] == ZOO.splitlines().index("    def _build(self):") + 1
    for nothing in (None, nn.Linear, print, torch.nn.functional.relu, 3):
        assert lines(model, nothing) == {}


def test_a_function_that_wraps_itself_has_an_end(zoo):
    zoo.helper.__wrapped__ = zoo.helper
    assert lines(nn.Sequential(nn.ReLU()), zoo.helper)["0"][0] == "zoo.py"


def test_a_name_that_no_module_has_is_survived(zoo):
    assert lines(zoo.zoo(), names=["gone.0", "first.gone.0"])["first.gone.0"] == (
        "zoo.py",
        marked()["from_list.0.made"],
    )


def test_nothing_is_imported_or_run(zoo, folder):
    model = zoo.zoo()
    (folder / "zoo.py").write_text(ZOO + "open('run', 'w').close()\nimport this\n", encoding="utf-8")
    before = set(sys.modules)
    assert SourceLines(model, zoo.zoo).of(["first.conv1"])
    assert set(sys.modules) == before
    assert not (folder / "run").exists()


@pytest.mark.parametrize("damage", ["", "def broken(:\n", "\0", "class Zoo:\n    pass\n", None])
def test_a_source_that_is_gone_or_other_by_now_is_survived(zoo, folder, damage):
    model = zoo.zoo()
    if damage is None:
        (folder / "zoo.py").unlink()
    else:
        (folder / "zoo.py").write_text(damage)
    found = lines(model, zoo.sequential, names=["first.conv1", "norm"])
    assert set(found.values()) <= {("zoo.py", 1), ("zoo.py", marked()["factory"] - 1)}


def test_an_escape_that_python_warns_about_is_none_of_our_business(folder):
    (folder / "warned.py").write_text(
        "# -*- coding: latin-1 -*-\n" + 'def f():\n    return "\\d"\n', encoding="latin-1"
    )
    code = compile("def f():\n    pass\n", str(folder / "warned.py"), "exec")
    space = {}
    exec(code, space)
    assert lines(nn.Sequential(nn.ReLU()), space["f"])["0"] == ("warned.py", 1)


EXECUTED = """
from torch import nn
class Zoo(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.ReLU()
def build():
    return Zoo()
"""


@pytest.mark.parametrize("name", ["<string>", "<ipython-input-1-abc>", "/tmp/ipykernel_1/2.py", "x" * 5000, ""])
def test_code_without_a_file_has_no_line(zoo, name):
    space = {"__name__": zoo.__name__}
    exec(compile(EXECUTED, name, "exec"), space)
    assert lines(space["Zoo"](), space["build"]) == {}
    notebook = {"__name__": "a_module_that_is_not_there"}
    exec(compile(EXECUTED, name, "exec"), notebook)
    assert lines(notebook["Zoo"]()) == {}


def test_a_class_made_at_run_time_has_no_line(zoo):
    made = type("Made", (nn.Module,), {"__module__": zoo.__name__})()
    made.fc = nn.Linear(1, 1)
    assert lines(made) == {}
    made = type("Made", (zoo.Block,), {"__module__": zoo.__name__})()
    assert lines(made)["conv1"] == ("zoo.py", marked()["first.conv1"])


def test_a_module_object_without_a_file_is_survived(zoo, monkeypatch):
    monkeypatch.setitem(sys.modules, "bare", types.ModuleType("bare"))
    bare = type("Net", (nn.Module,), {"__module__": "bare"})()
    bare.fc = nn.Linear(1, 1)
    assert lines(bare) == {}


def repository(folder):
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    return folder


def test_names_are_relative_to_the_repository_wherever_one_stands_in_it(zoo, folder, monkeypatch, tmp_path_factory):
    model, name = zoo.zoo(), "first.conv1"
    assert lines(model, names=[name])[name][0] == "zoo.py"
    monkeypatch.chdir("/")
    assert lines(model, names=[name])[name][0] == "zoo.py"
    repository(folder.parent)
    expected = "project/zoo.py"
    inside = folder / "deeper"
    inside.mkdir()
    for working in (folder, folder.parent, inside, "/"):
        monkeypatch.chdir(working)
        assert lines(model, names=[name])[name][0] == expected
    monkeypatch.chdir(repository(tmp_path_factory.mktemp("another")))
    assert lines(model, names=[name]) == {}


def test_without_any_repository_a_file_has_its_bare_name_from_everywhere(zoo, tmp_path_factory, monkeypatch):
    model = zoo.zoo()
    here = lines(model, zoo.zoo)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert lines(model, zoo.zoo) == here
    assert {file for file, _ in here.values()} == {"zoo.py"}


def test_what_is_installed_is_not_the_users_even_inside_of_the_repository(folder, monkeypatch):
    installed = repository(folder) / ".venv" / "lib" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "vendored_net.py").write_text(
        "from torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.fc = nn.Linear(1, 1)\ndef build():\n    return Net()\n"
    )
    monkeypatch.syspath_prepend(str(installed))
    vendored = importlib.import_module("vendored_net")
    assert lines(vendored.build(), vendored.build) == {}
    del sys.modules["vendored_net"]


def report_bytes(folder, working, monkeypatch):
    monkeypatch.chdir(working)
    batches = {"x": torch.linspace(-1, 1, 64).reshape(16, 4).numpy()}
    found = covscan.analyze([str(folder / "0.pt")], model=f"{folder}/nets.py:build", data=batches, samples=16)
    return to_json(replace(found, run=replace(found.run, seconds=0.0, started="", host="")))


def test_a_report_is_the_same_from_every_working_folder(folder, monkeypatch):
    repository(folder.parent)
    (folder / "nets.py").write_text(
        "from torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.fc = nn.Linear(4, 2)\n    def forward(self, x):\n        return self.fc(x)\n"
        "def build():\n    return Net()\n"
    )
    torch.save({"fc.weight": torch.ones(2, 4), "fc.bias": torch.zeros(2)}, folder / "0.pt")
    first, second, third = (report_bytes(folder, working, monkeypatch) for working in (folder, folder.parent, "/"))
    assert first == second == third
    assert '"source": {"file": "project/nets.py", "line": 5}' in first
