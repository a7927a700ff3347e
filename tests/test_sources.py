from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from osteon.errors import BadManifest, EmptyDataset, UsageError
from osteon.results import grouped
from osteon.sources import Source, Sources, StudyBy, find_sources, mura_sources

DICOM = bytes(128) + b"DICM" + bytes(20)


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(DICOM if name.startswith("IM") else b"x")
    return folder


def studies(sources: list[Source], top: Path) -> list[tuple[str, str]]:
    return [(os.path.relpath(s.file, top), os.path.relpath(s.study, top)) for s in sources]


def test_a_film_is_a_study_of_its_own(tmp_path: Path) -> None:
    film = str(touch(tmp_path, "a.png") / "a.png")
    assert find_sources([film], StudyBy.AUTO).films == [Source(film, film, "a.png", film, ask_file=True)]


def test_a_film_is_named_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.png", "study1/b.png")
    monkeypatch.chdir(tmp_path)
    assert [s.name for s in find_sources(["a.png", "./study1"], StudyBy.AUTO).films] == ["a.png", "./study1/b.png"]


def test_loose_films_stay_apart_and_studies_together(tmp_path: Path) -> None:
    touch(
        tmp_path, "x.jpg", "y.TIF", "hand/z.png", "p1/study1_positive/image1.png", "p1/study1_positive/image2.png", "p1/study2/image1.png"
    )
    assert studies(find_sources([str(tmp_path)], StudyBy.AUTO).films, tmp_path) == [
        ("x.jpg", "x.jpg"),
        ("y.TIF", "y.TIF"),
        ("hand/z.png", "hand/z.png"),
        ("p1/study1_positive/image1.png", "p1/study1_positive"),
        ("p1/study1_positive/image2.png", "p1/study1_positive"),
        ("p1/study2/image1.png", "p1/study2"),
    ]


@pytest.mark.parametrize(
    "name", ["study", "studyX", "study_a", "study1_maybe", "study 1", "Study1", "my-study1", "study1_positive (1)", "studies"]
)
def test_a_name_that_is_not_quite_mura_s_makes_no_study(tmp_path: Path, name: str) -> None:
    films = find_sources([str(touch(tmp_path, f"{name}/a.png", f"{name}/b.png"))]).films
    assert [s.study == s.file for s in films] == [True, True]


def test_more_than_a_dozen_films_are_a_study_only_by_mura_s_whole_form_or_a_person_s_word(tmp_path: Path) -> None:
    of_a_dozen, of_more = ([f"{n}.png" for n in range(count)] for count in (12, 13))
    touch(tmp_path, *(f"study1/{n}" for n in of_more), *(f"study2/{n}" for n in of_a_dozen), *(f"patient1/study1/{n}" for n in of_more))
    counts = {
        study: list(dict(studies(find_sources([str(tmp_path)]).films, tmp_path)).values()).count(study)
        for study in ("study1", "study2", "patient1/study1")
    }
    assert counts == {"study1": 0, "study2": 12, "patient1/study1": 13}
    assert {s.study for s in find_sources([str(tmp_path / "study1")], StudyBy.FOLDER).films} == {str(tmp_path / "study1")}


def test_by_folder_and_by_film(tmp_path: Path) -> None:
    touch(tmp_path, "x.png", "a/y.png", "a/z.png", "study1/w.png")
    by_folder = find_sources([str(tmp_path)], StudyBy.FOLDER).films
    assert [os.path.relpath(s.study, tmp_path) for s in by_folder] == [".", "a", "a", "study1"]
    by_film = find_sources([str(tmp_path)], StudyBy.FILM).films
    assert all(s.study == s.file for s in by_film)
    assert not any(s.ask_file for s in (*by_folder, *by_film))


def test_a_study_folder_given_as_dot_is_one_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(touch(tmp_path / "study7", "a.png", "b.png"))
    assert {s.study for s in find_sources(["."], StudyBy.AUTO).films} == {"."}
    assert {s.study for s in find_sources(["a.png", "b.png"], StudyBy.AUTO).films} == {"."}


def test_what_is_no_film_is_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", ".DS_Store", "._a.png", ".hidden/b.png", "notes.txt", "a.overlay.png", "IM0001", "DICOMDIR", "sub/Thumbs.db")
    sources = find_sources([str(tmp_path)], StudyBy.AUTO)
    assert [s.below for s in sources.films] == ["IM0001", "a.png"]
    assert sources.ignored == {"hidden files": 3, "other files": 4}
    assert sources.ignored == {"hidden files": 3, "other files": 4}


def test_a_film_named_twice_is_read_once(tmp_path: Path) -> None:
    film = str(touch(tmp_path, "a.png") / "a.png")
    sources = find_sources([film, str(tmp_path), film], StudyBy.AUTO)
    assert (len(sources.films), sources.ignored) == (1, {"files named twice": 2})


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    touch(tmp_path, "a/film.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert [s.below for s in find_sources([str(tmp_path)], StudyBy.AUTO).films] == ["a/film.png"]


def test_links_cost_themselves_alone(tmp_path: Path) -> None:
    touch(tmp_path, "outside/hidden/secret.png", "outside/one.png", "in/film.png", "in/sub/film.png")
    top = tmp_path / "in"
    (top / "itself").symlink_to("itself")
    (top / "itself.png").symlink_to("itself.png")
    (top / "dangling").symlink_to("nowhere")
    (top / "out").symlink_to(tmp_path / "outside")
    (top / "one.png").symlink_to(tmp_path / "outside/one.png")
    (top / "inside").symlink_to("sub")
    sources = find_sources([str(top)])
    assert [s.below for s in sources.films] == ["film.png", "itself.png", "one.png", "inside/film.png"]
    assert (sources.linked, sources.ignored) == (1, {"other files": 2, "links to folders outside": 1})


def test_a_very_deep_folder_and_one_whose_path_is_too_long(tmp_path: Path) -> None:
    touch(tmp_path, "film.png")
    for name, depth in (("d", 1200), ("n" * 200, 30)):
        here = os.open(tmp_path, os.O_RDONLY)
        for _ in range(depth):
            os.mkdir(name, dir_fd=here)
            below = os.open(name, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(os.open("deep.png", os.O_CREAT, dir_fd=here))
        os.close(here)
    try:
        sources = find_sources([str(tmp_path)])
    finally:
        subprocess.run(["rm", "-r", tmp_path / "d", tmp_path / ("n" * 200)], check=True)  # Python cannot
    assert [Path(s.below).name for s in sources.films] == ["film.png", "deep.png"]
    assert sources.ignored == {"folders that cannot be read": 1}
    with pytest.raises(EmptyDataset, match="no such file"):
        find_sources([str(tmp_path / ("n" * 5000))])


@pytest.mark.parametrize("names", [(), ("notes.txt",), (".hidden.png",)])
def test_a_folder_without_films_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(EmptyDataset, match=r"no film .*ignored: 1" if names else "no film"):
        find_sources([str(touch(tmp_path, *names))], StudyBy.AUTO)


def test_what_does_not_exist_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(EmptyDataset, match=r"none\.png: there is no such file"):
        find_sources([str(touch(tmp_path, "a.png")), str(tmp_path / "none.png")], StudyBy.AUTO)


def test_a_manifest_names_studies(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("view,path,study\nAP,a/1.png,one\nLAT,b/2.png,one\nAP,c.png,\n", "utf-8-sig")
    films = find_sources([str(tmp_path / "m.csv")], StudyBy.AUTO).films
    assert [(os.path.relpath(s.file, tmp_path), s.study == "one", s.ask_file) for s in films] == [
        ("a/1.png", True, False),
        ("b/2.png", True, False),
        ("c.png", False, True),
    ]


@pytest.mark.parametrize(
    ("text", "error", "named"),
    [
        ("file,study\na.png,1\n", BadManifest, "the column path is missing; its columns are file, study"),
        ("path,study\n\nx.png\n,2\n", BadManifest, "line 4: the path is empty"),
        ("path,study\n", EmptyDataset, "no film"),
        ("", BadManifest, "the column path is missing; its columns are none"),
        (b"\xff\xfe\x00", BadManifest, "no text in UTF-8"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(tmp_path: Path, text: str | bytes, error: type[Exception], named: str) -> None:
    (tmp_path / "m.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(error, match=named):
        find_sources([str(tmp_path / "m.csv")], StudyBy.AUTO)


def test_a_manifest_is_read_as_the_lab_reads_it(tmp_path: Path) -> None:
    from osteon.lab.data.layouts import read_dataset

    touch(tmp_path, "a/1.png", "b/2.png", "odd\\name.png")
    (tmp_path / "m.csv").write_text(" Path ;Study\r\n a\\1.png ; one\r\n;\r\n\r\nb/2.png;one\r\nodd\\name.png\r\n", "utf-8-sig")
    films = find_sources([tmp_path / "m.csv"]).films
    assert [(s.below, s.study) for s in films] == [("a/1.png", "one"), ("b/2.png", "one"), ("odd\\name.png", f"{tmp_path}/odd\\name.png")]
    rows = read_dataset(tmp_path / "m.csv").films
    assert rows.select("path", "study").rows() == [("a/1.png", "one"), ("b/2.png", "one"), ("odd\\name.png", "")]


def named_studies(sources: Sources) -> list[tuple[str, list[str]]]:
    return [(name, [sources.films[i].below for i in members]) for name, members in grouped(sources, [("", "")] * len(sources.films))]


def test_one_study_s_name_of_two_patients_or_two_manifests_is_two_studies(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,patient,study\nb.jpg,p1,1\n1.jpg,p2,1\n2.jpg,p1,1\nstudy1/x.png,p1,\nstudy1/y.png,p2,\n")
    (tmp_path / "n.csv").write_text("path,study\nc.jpg,1\nd.jpg,1\n")
    assert named_studies(find_sources([tmp_path / "m.csv", tmp_path / "n.csv"])) == [
        ("1", ["b.jpg", "2.jpg"]),
        ("1 (2)", ["1.jpg"]),
        (f"{tmp_path}/study1", ["study1/x.png"]),
        (f"{tmp_path}/study1 (2)", ["study1/y.png"]),
        ("1 (3)", ["c.jpg", "d.jpg"]),
    ]


def test_a_film_in_two_studies_of_a_manifest_is_refused_by_name_and_line(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,study\na.png,1\nb.png,1\n./a.png,2\n")
    with pytest.raises(BadManifest, match=r"m\.csv, line 4: \./a\.png stands in line 2 with another study or patient"):
        find_sources([tmp_path / "m.csv"])
    (tmp_path / "m.csv").write_text("path,study\na.png,1\na.png,1\n")
    assert find_sources([tmp_path / "m.csv"]).ignored == {"files named twice": 1}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_only_line_ends_part_rows(tmp_path: Path, end: str) -> None:
    cells = ("a\u2028b.png", "c\x85d.png", "e\x0bf.png", '"g\x0c.png"')
    (tmp_path / "m.csv").write_bytes(end.join(("path;note", *(f"{cell};n" for cell in cells))).encode())
    assert [s.below for s in find_sources([tmp_path / "m.csv"]).films] == [cell.strip('"') for cell in cells]
    (tmp_path / "list.csv").write_bytes(end.join(f"study1/{cell}" for cell in cells[:3]).encode())
    assert [s.below for s in mura_sources(tmp_path / "list.csv").films] == [f"study1/{cell}" for cell in cells[:3]]


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ('a.png,1\n"b.png,1\nc.png,1\n', 3),
        ('a.png,"1\nb.png,2\nc.png,"3"\n', 2),
        ('a.png,"1\nb.png,2"\n', 2),
        ('a.png,1\n"b.png', 3),
        (f'a.png,"{"x,1" * 50_000}\n', 2),
    ],
)
def test_a_quote_that_swallows_rows_is_refused_where_it_begins(tmp_path: Path, rows: str, line: int) -> None:
    (tmp_path / "m.csv").write_text(f"path,study\n{rows}")
    with pytest.raises(BadManifest, match=f"m.csv, line {line}: "):
        find_sources([tmp_path / "m.csv"])


def test_a_text_of_several_lines_in_quotes_is_one_cell(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text('path,note\na.png,"two\n\nlines, ""so"""\nb.png,"one"')
    assert [s.below for s in find_sources([tmp_path / "m.csv"]).films] == ["a.png", "b.png"]


class TestMura:
    def test_a_film_that_is_listed_twice_is_counted_once(self, tmp_path: Path) -> None:
        (tmp_path / "list.csv").write_text("study1/1.png\nstudy1/2.png\nstudy1/1.png\nstudy2/1.png\n")
        sources = mura_sources(tmp_path / "list.csv")
        assert [s.name for s in sources.films] == ["study1/1.png", "study1/2.png", "study2/1.png"]
        assert sources.ignored == {"files named twice": 1}

    def test_paths_are_relative_to_here_the_list_or_the_folder_above(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        names = ["MURA-v1.1/valid/XR_HAND/patient1/study1/image1.png", "MURA-v1.1/valid/XR_HAND/patient1/study1/image2.png"]
        touch(tmp_path, *names)
        for table in (tmp_path / "list.csv", tmp_path / "MURA-v1.1" / "valid_image_paths.csv", tmp_path / "elsewhere" / "a" / "list.csv"):
            table.parent.mkdir(parents=True, exist_ok=True)
            table.write_text("\n".join(names) + "\n\n")
            if table.parent.name == "a":
                monkeypatch.chdir(tmp_path)
            films = mura_sources(table).films
            assert [s.name for s in films] == names
            assert {s.study for s in films} == {"MURA-v1.1/valid/XR_HAND/patient1/study1/"}
            assert all(Path(s.file).is_file() for s in films)

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("path", "line 1: a film without a study's folder, or a header"),
            ("valid/XR_HAND/patient1/study1_positive/,1", "line 1: more than one column, as a table of labels has"),
            ("valid\\XR_HAND\\patient1\\study1\\", "line 1: a folder, not a film"),
        ],
    )
    def test_what_is_no_list_of_films_is_refused_by_its_line(self, tmp_path: Path, line: str, said: str) -> None:
        (tmp_path / "list.csv").write_text(f"{line}\nvalid/XR_HAND/patient1/study1/image1.png\n")
        with pytest.raises(BadManifest, match=said):
            mura_sources(tmp_path / "list.csv")

    def test_backslashes_are_folders(self, tmp_path: Path) -> None:
        touch(tmp_path, "valid/study1/1.png")
        (tmp_path / "list.csv").write_text("valid\\study1\\1.png\n")
        [film] = mura_sources(tmp_path / "list.csv").films
        assert film.study == "valid/study1/" and Path(film.file).is_file()

    def test_an_empty_and_a_missing_list_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "list.csv").write_text("\n")
        with pytest.raises(EmptyDataset, match="names no film"):
            mura_sources(tmp_path / "list.csv")
        with pytest.raises(UsageError, match="cannot be read"):
            mura_sources(tmp_path / "none.csv")


def test_films_without_a_suffix_are_known_by_their_content(tmp_path: Path) -> None:
    bare = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100" + bytes(40)  # a data set without preamble and file meta
    for name, content in {
        "IM1": DICOM,
        "IM2": bare,
        "IM3": b"\x89PNG\r\n\x1a\n",
        "IM4": b"II*\x00",
        "notes": b"text",
        "empty": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
    sources = find_sources([str(tmp_path)], StudyBy.FILM)
    assert [Path(s.file).name for s in sources.films] == ["IM1", "IM2", "IM3", "IM4"]
    assert sources.ignored == {"other files": 2}
