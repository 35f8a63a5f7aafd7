"""The program that says what of a data set is there: its words, its exit status, nothing moved."""

import subprocess
import sys

import pytest
from helpers import image_trees

from fmlora_kit.commands import data
from fmlora_kit.streams.catalogue import DATA_SETS, PRESETS
from fmlora_kit.streams.domainnet import DN4IL
from fmlora_kit.streams.pacs import CLASSES, PACS


@pytest.fixture
def dn4il(tmp_path):
    image_trees.draw_domains(tmp_path / "dn4il", tuple(DN4IL.domains), ("owl", "cow"), images=3)
    return tmp_path


def check(capsys, *arguments):
    status = data.main(["check", *map(str, arguments)])
    return status, capsys.readouterr().out


def test_what_is_there(dn4il, capsys):
    before = image_trees.files(dn4il)
    status, said = check(capsys, "dn4il", "--folder", dn4il)
    assert status == 0
    assert f"in {dn4il / 'dn4il'}:\n" in said
    assert "  there    sketch_train.txt: 4 images of 2 classes\n" in said
    assert "  there    sketch/: 6 images\n" in said and "missing" not in said
    assert "\nusable: 6 domains, 2 classes; partial: 2 of 100 classes; 36 of 86,544 im" in said
    assert (
        "\nDecoded at 224 pixels, the size of published protocols, 86,544 images need 13.03 GB "
        "(3 x 224 x 224 bytes each) of memory, or of the disk with decoded=FOLDER"
    ) in said  # 86,544 * 150,528 = 13,027,295,232
    assert said.endswith("Ready: one image per class, for training and test, was decoded.\n")
    assert image_trees.files(dn4il) == before


def test_what_is_missing_and_where_to_get_it(dn4il, capsys):
    (dn4il / "dn4il" / "real_test.txt").unlink()
    status, said = check(capsys, "dn4il", "--folder", dn4il)
    assert status == 1
    assert "  missing  real_test.txt\n" in said
    assert "not usable: " in said and "dn4il must hold real_test.txt.\n" in said
    assert said.endswith(f"Not ready. {DN4IL.how_to_get}\n")
    assert said.count(DN4IL.how_to_get) == 1


def test_lists_that_lie_elsewhere(dn4il, capsys):
    (dn4il / "lists").mkdir()
    for path in (dn4il / "dn4il").glob("*.txt"):
        path.rename(dn4il / "lists" / path.name)
    folders = "--folder", dn4il / "dn4il", "--lists", dn4il / "lists"
    assert check(capsys, "dn4il-6", *folders)[0] == 0
    with pytest.raises(SystemExit):
        check(capsys, "pacs", *folders)
    assert "--lists is for dn4il, domainnet and imagenet_r, got pacs" in capsys.readouterr().err


def test_broken_images_and_lists_are_named(dn4il, capsys):
    (dn4il / "dn4il" / "real" / "cow" / "2.jpg").write_bytes(b"broken")
    status, said = check(capsys, "dn4il", "--folder", dn4il, "--every-image")
    assert status == 1 and "cow/2.jpg must be a whole image file" in said
    path = dn4il / "dn4il" / "clipart_test.txt"
    path.write_text("clipart/cow/1.jpg\n")
    said = check(capsys, "dn4il", "--folder", dn4il)[1]
    assert "clipart_test.txt: damaged: " in said and "must have lines 'PATH LABEL'" in said


def test_every_image_is_decoded_only_if_asked(tmp_path, capsys):
    paths = [tmp_path / name / f"{i}.png" for name in "ab" for i in range(6)]
    for path in paths:
        image_trees.draw(path, 0)
    asked = "image_folder", "--folder", tmp_path
    status, said = check(capsys, *asked, "--every-image")
    assert status == 0 and "Ready: every image was decoded." in said
    unnoticed = 0
    for path in paths:
        whole = path.read_bytes()
        path.write_bytes(whole[:50])
        unnoticed += check(capsys, *asked)[0] == 0
        assert check(capsys, *asked, "--every-image")[0] == 1
        path.write_bytes(whole)
    assert unnoticed == len(paths) - 2 * 2  # one image per class, for training and for testing


def test_a_folder_of_anyones_images(tmp_path, capsys):
    for domain in ("day", "night"):
        for i in range(4):
            image_trees.draw(tmp_path / domain / "cat" / f"{i}.png", i)
    (tmp_path / "day" / "cat" / "a.heic").touch()
    status, said = check(capsys, "image_folder", "--folder", tmp_path)
    assert status == 0 and "  there    night/: 4 images\n" in said and " 8 images need 0.00" in said
    assert (
        "usable (domain-incremental, DOMAIN/CLASS/*): 2 domains, 1 classes; complete; left out: "
        "files that are no images: 1 of .heic\n"
    ) in said
    status, said = check(capsys, "image_folder", "--folder", tmp_path / "day" / "cat")
    assert status == 1 and "must hold folders of images, got none" in said
    assert "Not ready. A folder of your images must hold CLASS/*" in said


def test_imagenet_r_is_ready_with_any_of_its_splits(tmp_path, capsys):
    for i in range(4):
        image_trees.draw(tmp_path / "n01443537" / f"{i}.jpg", i)
    status, said = check(capsys, "imagenet_r", "--folder", tmp_path)
    assert status == 0 and "missing  imagenet-r_train.yaml" in said
    assert f"  in all   {tmp_path.name}/: 4 images\n" in said
    assert "not usable (split='fixed'): " in said
    assert "usable (split='random'): 1 classes; partial: 1 of 200 classes; 4 of 30,000 im" in said
    status, said = check(capsys, "imagenet-r-10", "--folder", tmp_path)
    assert status == 1 and "not usable (preset imagenet-r-10): " in said


def test_pacs_and_no_folder_at_all(tmp_path, capsys):
    for domain in PACS.domains:
        for name in CLASSES:
            for i in range(2):
                image_trees.draw(tmp_path / domain / name / f"{i}.jpg", i)
    status, said = check(capsys, "pacs", "--folder", tmp_path)
    assert status == 0 and "partial: 56 of 9,991 images; images of 40 pixels instead of 227" in said
    status, said = check(capsys, "pacs", "--folder", tmp_path / "nowhere")
    assert status == 1 and f"there is no folder {tmp_path / 'nowhere'}\n" in said
    assert "Not ready. Fetch PACS" in said


def test_the_list_names_all(capsys):
    assert data.main(["list"]) == 0
    said = capsys.readouterr().out
    for name, layout in DATA_SETS.items():
        assert f"\n{name}: " in said and layout.how_to_get in said
    for name, chosen in PRESETS.items():
        assert f"\n{name}: {chosen.stream}(" in said and chosen.whose in said


def test_unknown_names_list_the_known_ones(tmp_path, capsys):
    with pytest.raises(SystemExit):
        data.main(["check", "imagenet", "--folder", str(tmp_path)])
    assert "cub200" in capsys.readouterr().err


@image_trees.needs("CUB_200_2011")
def test_as_a_program_on_real_images():
    run = [sys.executable, "-m", "fmlora_kit", "data", "check", "cub200", "--folder"]
    done = subprocess.run([*run, str(image_trees.FOLDER)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "  there    images/: 2,889 images\n" in done.stdout
    assert "usable: 50 classes; partial: 50 of 200 classes\n" in done.stdout


@pytest.mark.parametrize(
    ("name", "folder", "there"),
    [
        ("imagenet_r", "imagenet-r", "imagenet-r_train.yaml: 24,000 images of 200 classes"),
        ("imagenet_r", "imagenet-r", "imagenet-r_test.yaml: 6,000 images of 200 classes"),
        ("domainnet", "domainnet", "painting_train.txt: 50,416 images of 344 classes"),
        ("dn4il", "dn4il", "quickdraw_train.txt: 12,500 images of 100 classes"),
    ],
)
def test_real_lists_without_images(name, folder, there, capsys):
    if not (image_trees.FOLDER / folder).is_dir():
        pytest.skip(f"{folder} is not in {image_trees.FOLDER}")
    status, said = check(capsys, name, "--folder", image_trees.FOLDER)
    assert status == 1 and f"  there    {there}\n" in said
    assert "Not ready. Fetch " in said


def test_one_data_set_or_preset_is_shown(capsys):
    assert data.main(["show", "pacs"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("pacs: PACS/ with ") and "\npacs-4: pacs()\n" in said
    assert data.main(["show", "cub200-10"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("cub200-10: cub200(n_tasks=10)\n") and "\ncub200: CUB_200_2011/" in said


def test_a_made_up_tree_is_ready(tmp_path, capsys):
    assert data.main(["fake", "cub200-10", "--folder", str(tmp_path / "birds")]) == 0
    assert f"Made up, for cub200-10: {tmp_path / 'birds'}" in capsys.readouterr().out
    assert check(capsys, "cub200-10", "--folder", tmp_path / "birds")[0] == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["chekc"],
            "WHAT must be one of list, show, check, fake, got 'chekc'; did you mean 'check'?",
        ),
        (["show", "cub20"], "did you mean 'cub200'?"),
        (["check", "pacs", "--folder", "FILE"], "--folder must be a folder, got 'FILE': a file"),
        (["check", "pacs", "--folder", "FILE/a"], "--folder must be a folder, got 'FILE/a': none"),
        (["fake", "cifar100-pycil-10", "--folder", "."], "NAME must be one of "),
        (["fake", "pacs-4", "--folder", "FILE"], "--folder must be a folder, got 'FILE': "),
    ],
)
def test_wrong_words_give_one_line(words, line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").touch()
    with pytest.raises(SystemExit, match="2"):
        data.main(words)
    said = capsys.readouterr().err
    assert said.startswith("fmlora data") and line in said and said.count("\n") == 1
