.PHONY: install fix lint types test coverage check quickstart

install:
	pip install -r requirements.txt

fix:
	ruff check --fix .
	ruff format .

lint:
	ruff check .
	ruff format --check .

types:
	mypy

test:
	python -m pytest

coverage:
	python -m coverage erase
	python -m pytest --cov --cov-report=
	python -m coverage combine --quiet || true
	python -m coverage report --fail-under=90

check: lint types test

quickstart:
	moe quickstart
