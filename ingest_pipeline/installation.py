"""The installation: a checkout of the project or an installed package, and where its files are.

A checkout keeps everything in its own folder. An installed package writes to the user's data folder: the
folder of packages is replaced by every upgrade, and may be read-only.
"""

from pathlib import Path

from platformdirs import user_data_path

PROJECT_ROOT = Path(__file__).resolve().parent.parent
"""The checkout, or the folder that the package is installed in."""

IS_CHECKOUT = (PROJECT_ROOT / "start.sh").is_file()

HOME_FOLDER = PROJECT_ROOT if IS_CHECKOUT else user_data_path("ingest-pipeline", appauthor=False)
"""The folder of the installation's own `.env`, and of the exporter."""

DEFAULT_DATA_DIR = HOME_FOLDER / "data" if IS_CHECKOUT else HOME_FOLDER

SHIPPED_FILES = Path(__file__).parent / "userconfig" / "shipped"
"""The files of a data folder as they come with the package; in a checkout `data/` links to them."""
