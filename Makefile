# The everyday commands; ./start.sh and ./test.sh need none of this.
python = .venv/bin/python

.PHONY: check format lint types imports files test requirements

check: format lint types imports files test

format:
	$(python) -m ruff format .

lint:
	$(python) -m ruff check .

types:
	$(python) -m mypy

imports:
	.venv/bin/lint-imports

files:
	scripts/check-tree.sh

test:
	./test.sh

requirements:
	scripts/compile-requirements.sh
