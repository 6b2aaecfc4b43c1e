"""The playground with data of the user's: hostile names, CSV files, classes and numbers, what is held out."""

import json
import re
import time

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.browser import resize
from tests.report.runs import HOSTILE
from tests.report.test_playground import ROWS, choose, data_set, in_python, text, train
from tinygrad_edu.cli import main
from tinygrad_edu.errors import DtypeError, SettingError, ShapeError, TinygradError
from tinygrad_edu.reporting.playground import datasets, page

# the user's own data


@pytest.mark.slow
def test_own_data_with_hostile_names(browser, tmp_path):
    X = ROWS.normal(size=(40, 3)) * 100.0
    y = np.where(X[:, 0] > 0, HOSTILE, "</script><script>window.stolen = 1</script>")
    browser.get(tg.playground(X, y, title=HOSTILE, path=tmp_path / "own.html") and (tmp_path / "own.html").as_uri())
    assert browser.title == HOSTILE
    choose(browser, limit="30", lr="0.03")
    program, _ = train(browser)
    assert browser.execute_script("return window.stolen || 0") == 0
    assert browser.get_log("browser") == []
    run, loss = in_python(program.replace("X, y = ...", "X, y = own"), own=(X, y))
    assert loss == pytest.approx(run.loss_curve[-1], rel=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "classes"),
    [("a;b;kind\n" + "\n".join(f"{i};{i * i};{'even' if i % 2 == 0 else 'odd'}" for i in range(20)), 2),
     ("\n".join(f"{i / 7},{i % 3 + 0.5},{np.cos(i)},{np.sin(i)}" for i in range(30)), 0),
     ("\n".join(f'"{i}";"{i / 7}"' for i in range(30)), 0)],
)  # fmt: skip
def test_a_csv_file_and_its_program(browser, tmp_path, monkeypatch, capsys, content, classes):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "it's.csv").write_text(content, encoding="utf-8")
    assert main(["play", "--csv", "it's.csv", "-o", "new/play.html", "--title", "Mine"]) == 0
    assert "wrote new/play.html" in capsys.readouterr().out
    browser.get((tmp_path / "new" / "play.html").as_uri())
    choose(browser, limit="20")
    program, _ = train(browser)
    run, loss = in_python(program)
    assert loss == pytest.approx(run.loss_curve[-1], rel=1e-10)
    assert (run.config["loss"] == "mse") == (classes == 0)
    shown = browser.find_element("tag name", "body").text
    assert ("to draw. How far the answers are off is above" in shown) == (",1.5," in content)


@pytest.mark.parametrize("content", ["", "x", "1,2\n3", "1,nan\n2,3", "1,2\ninf,3", "a,b\n", '"', "1,\x00\n", "," * 50])
def test_a_csv_that_is_none_is_one_sentence(tmp_path, capsys, content):
    (tmp_path / "bad.csv").write_text(content, encoding="utf-8")
    assert main(["play", "--csv", str(tmp_path / "bad.csv"), "-o", str(tmp_path / "page.html")]) in (1, 2)
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("X", "y", "error"),
    [
        (np.ones((3, 17)), np.ones(3), SettingError), (np.ones((6000, 2)), np.ones(6000), SettingError),
        (np.ones((3, 2)), np.ones(4), ShapeError), (np.ones((3, 2, 2)), np.ones(3), ShapeError),
        (np.array([["a", "b"]] * 3), np.ones(3), DtypeError), (np.full((3, 1), np.nan), np.ones(3), SettingError),
        (np.ones((20, 1)), [str(i) for i in range(20)], SettingError), (np.empty((0, 2)), np.empty(0), TinygradError),
        (np.ones((3, 1)), None, SettingError), (np.ones((3, 1)), np.array([1.0, np.inf, 2.0]), SettingError),
    ],
)  # fmt: skip
def test_data_that_cannot_be_shown_are_refused(X, y, error):
    with pytest.raises(error):
        tg.playground(X, y)


@pytest.mark.parametrize("title", [row[0] for row in datasets.MADE])
def test_the_program_of_a_data_set_makes_it(title):
    found = next(each for each in datasets.make_data() if each.title == title)
    names = {"tg": tg, "np": np}
    exec("\n".join(found.program), names)
    np.testing.assert_array_equal(names["X"], found.X)


def test_numbers_and_classes_are_told_apart():
    def classes(y):
        return len(datasets.own_data(np.zeros((len(y), 1)) + np.arange(len(y))[:, None], np.array(y)).classes)

    assert classes([0, 1] * 5) == 2
    assert classes([1.0, 2.0, 3.0] * 4) == 3
    assert classes(["a", "b", "a"]) == 2
    assert classes([True, False]) == 2
    assert classes([0.1, 0.2] * 5) == 0
    assert classes(list(range(10))) == 0


def test_the_page_is_small_and_holds_what_python_knows():
    content = tg.playground().text
    assert len(content) < 600_000
    data = json.loads(re.search(r'id="data">(.*?)</script>', content, re.DOTALL)[1])
    assert len(data["datasets"]) == len(datasets.MADE)
    assert set(page.USUAL) <= set(data["known"]["activations"])


# A file chosen in the page


def upload(browser, path):
    browser.execute_script("document.getElementById('file-said').textContent = ''")  # of the file before
    browser.find_element("css selector", "#file").send_keys(str(path))
    ends = time.monotonic() + 10
    while not (said := text(browser, "#file-said")):
        assert time.monotonic() < ends
        time.sleep(0.02)
    return said


FILES = {
    "names of classes": "a,b,kind\n" + "\n".join(f"{i},{i % 7}.5,{'even' if i % 2 == 0 else 'odd'}" for i in range(40)),
    "numbers; quoted": '"x";"y"\n' + "\n".join(f'"{i / 7}";{np.sin(i):.6f}' for i in range(30)),
    "no header, tabs": "\n".join(f"{i * 1e3:g}\t{i % 3}\t{i % 3}" for i in range(30)) + "\n\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_a_file_chosen_in_the_page_trains_as_in_python(opened, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own data.csv").write_text(FILES[name], encoding="utf-8")
    assert "samples of" in upload(opened, tmp_path / "own data.csv")
    choose(opened, limit="200")
    program, _ = train(opened)
    run, loss = in_python(program)
    assert loss == pytest.approx(run.loss_curve[-1], rel=1e-9)
    own = page.from_csv(tmp_path / "own data.csv")
    assert (run.config["loss"] == "mse") == (not own.classes), "the same kind of task as for tinygrad-edu play --csv"
    assert opened.get_log("browser") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no samples"), ("a,b\n", "no samples"), ("1,2\n3", "1 column, and 2 are needed"),
        ("1,nan\nx,2", "not a finite number"),
        ("1\n2\n", "has 1 column:"), ("1,2\n\0", "no text"), ("1e999,2\n1,3", "not a finite number"),
        ("\n".join(f"{i},c{i}" for i in range(9)), "9 classes"), ("1,2\n" * 5001, "5001 samples"),
        (f"{HOSTILE},1,2\n" * 3, "not a finite number"), ("1,2,3\n3,,5", "line 2, column 2: it is empty"),
        ("1;2\n1,5;2", '"1,5" has a decimal comma: write a point'), ('1,2\n3,"x', "is opened and never closed"),
        ("1,a\n2,a", "1 class, and"),
    ],
)  # fmt: skip
def test_a_hostile_file_is_one_sentence(kept, tmp_path, content, said):
    done = int(text(kept, "#epoch"))
    (tmp_path / "bad<b>.csv").write_text(content, encoding="utf-8")
    assert said in upload(kept, tmp_path / "bad<b>.csv")
    assert kept.execute_script("return document.querySelectorAll('#file-said *').length") == 0
    assert kept.get_log("browser") == []
    kept.execute_script("document.getElementById('one').click()")
    assert text(kept, "#epoch") == str(done + 1), "the page goes on with what it had"


ENCODED = "a,b,kind\n" + "\n".join(f"{i},{i},{'é' if i % 2 else 'ü'}" for i in range(20))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoding", "said"),
    [("latin-1", "in UTF-8: save it as"), ("cp1252", "in UTF-8: save it as"), ("utf-16", "UTF-16: save it as UTF-8"),
     ("utf-16-be", "no text"), ("utf-8", ""), ("utf-8-sig", "")],
)  # fmt: skip
def test_page_and_command_line_read_the_same_encodings(kept, tmp_path, capsys, encoding, said):
    path = tmp_path / "data.csv"
    path.write_text(ENCODED, encoding=encoding)
    told = upload(kept, path)
    code = main(["play", "--csv", str(path), "-o", str(tmp_path / "page.html")])
    assert (code == 0) == (not said)
    if said:
        assert said in told
        assert "save it as UTF-8" in capsys.readouterr().err or encoding == "utf-16-be"
    else:
        assert told == "20 samples of 2 features."
        assert kept.execute_script("return /Classes: é [a-z ]+, ü /.test(document.body.textContent)")


@pytest.mark.slow
def test_every_loss_that_is_offered_is_taken_by_fit(opened):
    """Of each data set: the targets of the page are those that the loss takes in Python."""
    offered = "return [...document.getElementById('loss').options].map(option => option.value)"
    for place, (title, name, settings) in enumerate(datasets.MADE):
        choose(opened, dataset=str(place))
        found = next(each for each in datasets.make_data() if each.title == title)
        losses = opened.execute_script(offered)
        assert len(losses) >= 2
        if found.classes:
            continue  # classes: each is trained in test_playground.py
        for loss in losses:
            run = tg.fit(
                tg.nn.MLP([found.X.shape[1], 1]), found.X, found.y[:, None], loss=loss, optimizer="sgd", epochs=1
            )
            assert run.n_epochs <= 1, (title, name, settings)


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1000, 1600])
def test_no_label_of_a_setting_takes_more_than_two_lines(opened, width):
    resize(opened, width)
    high = """
      return [...document.querySelectorAll(".field")].filter(label => {
        const range = document.createRange();
        range.selectNodeContents(label.firstChild);
        return range.getBoundingClientRect().height > 56;
      }).map(label => label.textContent)"""
    assert opened.execute_script(high) == []


# Validation


@pytest.mark.slow
@pytest.mark.parametrize(
    ("share", "settings"),
    [("0.2", {"batch": "16", "limit": "80"}), ("0.5", {"patience": "8", "tol": "0.01", "lr": "0.05"})],
)
def test_what_is_held_out_is_what_fit_holds_out(opened, share, settings):
    data_set(opened, "Moons")
    choose(opened, held=share, seed="4", **settings)
    program, why = train(opened)
    run, loss = in_python(re.sub(r"epochs=\d+", "epochs=1000", program) if "patience" in settings else program)
    assert loss == pytest.approx(run.loss_curve[-1], rel=1e-10)
    told = float(text(opened, "#held-now").replace("−", "-"))
    assert told == pytest.approx(run.validation_curve[-1], rel=1e-3)
    number_at_the_end = r" \([-−.e\d]+\)$"  # both may print as many digits as they like
    assert re.sub(number_at_the_end, "", why) == re.sub(number_at_the_end, "", run.stop_reason)
