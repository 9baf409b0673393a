# The everyday commands; ./start.sh and ./test.sh need none of this.
python = .venv/bin/python

.PHONY: check format lint sql types imports dependencies files test requirements

check: format lint sql types imports dependencies files test

format:
	$(python) -m ruff format .

lint:
	$(python) -m ruff check .

sql:
	.venv/bin/sqlfluff lint -q ingest_pipeline/storage/sql/shared ingest_pipeline/storage/sql/postgres
	.venv/bin/sqlfluff lint -q --dialect duckdb ingest_pipeline/storage/sql/shared ingest_pipeline/storage/sql/duckdb

types:
	$(python) -m mypy

imports:
	.venv/bin/lint-imports

dependencies:
	.venv/bin/deptry .

files:
	scripts/check-tree.sh

test:
	./test.sh

requirements:
	scripts/compile-requirements.sh
