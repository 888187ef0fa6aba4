import logging
import threading

import pytest

from dataset_build import ConfigError, DataError, call_hub


def test_what_the_call_returns_comes_back():
    assert call_hub("x", lambda: 3) == 3
    assert call_hub("x", lambda: None) is None


def test_a_failure_is_one_line_that_says_what_was_asked_for():
    def fail() -> None:
        raise OSError("no such\n  thing")

    with pytest.raises(ConfigError, match="Cannot load model 'a': no such thing. Check the name") as caught:
        call_hub("model 'a'", fail)
    assert isinstance(caught.value.__cause__, OSError)


def test_an_error_of_our_own_stays_what_it_is():
    def fail() -> None:
        raise DataError("bad row")

    with pytest.raises(DataError, match="bad row"):
        call_hub("x", fail)


def test_a_call_that_takes_too_long_is_given_up_and_the_last_reason_is_told(capsys: pytest.CaptureFixture[str]):
    library = logging.getLogger("huggingface_hub")
    handler = logging.StreamHandler()
    library.addHandler(handler)
    stop, still_talking = threading.Event(), threading.Event()

    def hang() -> None:
        library.warning("'[Errno 111] Connection refused' thrown while requesting HEAD http://x")
        library.warning("Retrying in 1s [Retry 1/5].")
        stop.wait()
        library.warning("Retrying in 2s [Retry 2/5].")
        still_talking.set()

    try:
        with pytest.raises(ConfigError, match=r"did not answer within 0\.1 s \(Connection refused\)\. Check"):
            call_hub("model 'a'", hang, timeout_s=0.1)
        stop.set()
        assert still_talking.wait(10)
        assert capsys.readouterr().err == ""
        library.warning("something else")
        assert "something else" in capsys.readouterr().err
        call_hub("x", lambda: library.warning("hushed"))
        assert capsys.readouterr().err == ""
    finally:
        library.removeHandler(handler)
