import pytest
from block import RES4, Case, main, measure_block
from measure import comparison_table, in_fresh_process
from peers import build, check_equal

SMALL = {"channels": 32, "height": 9, "width": 7}


def test_the_common_form_is_the_same_function():
    ours, peer = (Case(name, "concatenation", **SMALL) for name in ("ours", "repeat_concatenate"))
    assert check_equal(ours, peer) < 1e-5


def test_another_function_is_refused():
    ours = Case(pairwise="concatenation", subsample="after", **SMALL)
    peer = Case("repeat_concatenate", "concatenation", **SMALL)
    with pytest.raises(ValueError, match="another function"):
        check_equal(ours, peer)
    with pytest.raises(ValueError, match="is a concatenation"):
        build(Case("repeat_concatenate", "dot_product", **SMALL))
    with pytest.raises(ValueError, match="expected ours, repeat_concatenate"):
        build(Case("theirs", **SMALL))


def test_measuring_gives_time_and_memory():
    case = Case(pairwise="dot_product", kernel="dense", channels=16, height=80, width=80)
    result = in_fresh_process(measure_block, case, 0.1)
    assert result.seconds > 0
    assert result.mebibytes > 6400 * 6400 * 4 / 2**20  # the matrix alone


def test_a_failed_measurement_says_why():
    with pytest.raises(ValueError, match="nonsense"):
        in_fresh_process(measure_block, Case(pairwise="nonsense", **SMALL), 0.1)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--only", "zzz"], "--only 'zzz'"),
        (["--rounds", "0"], "--rounds 0"),
        (["--sweep", "--maps", "50"], "map '50'"),
        (["--sweep", "--kernels", "fast"], "'fast'"),
    ],
)
def test_bad_arguments_are_named(words, error, capsys):
    with pytest.raises(SystemExit):
        main(words)
    assert error in capsys.readouterr().err


def test_a_sweep_measures_every_kernel_of_a_function(capsys, tmp_path):
    words = "--sweep --channels 8 --maps 6x5 --functions gaussian --passes forward --rounds 1"
    kernels = ["--kernels", "dense", "auto", "sorted"]  # the last does not serve this function
    main([*words.split(), *kernels, "--seconds", "0.01", "--json", str(tmp_path / "rows.json")])
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split(" | ")[:5] for line in lines if line.startswith("| gaussian")]
    assert [row[4] for row in rows] == ["dense", "auto"]
    assert '"hardware"' in (tmp_path / "rows.json").read_text()


def test_the_table_shows_what_was_measured():
    row = {"name": "a", "against": "b", "seconds": 0.123, "mebibytes": 45.6, "peer_seconds": 1.0}
    row |= {"peer_mebibytes": 100.0, "time": 0.123, "memory": 0.456}
    last = comparison_table([row], "title").splitlines()[-1]
    assert last == "| a | b | 0.12 | 46 | 1.00 | 100 | 0.123 | 0.456 |"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ours", "peer", "least"),
    [
        # generous ratios: they turn red when a kernel silently falls back to the dense form
        (Case(pairwise="concatenation"), Case("repeat_concatenate", "concatenation"), 20),
        (
            Case(pairwise="dot_product", height=RES4.height, width=RES4.width),
            Case(pairwise="dot_product", kernel="dense", height=RES4.height, width=RES4.width),
            1.3,
        ),
    ],
)
def test_exact_kernels_are_faster_than_the_matrix(ours, peer, least):
    def seconds(case):
        return in_fresh_process(measure_block, case, 0.5).seconds

    assert max(seconds(peer) / seconds(ours) for _ in range(2)) >= least
