"""Our own files are UTF-8, whatever the locale says."""

import os
import subprocess
import sys

LOAD_ALL = """
from push_queue.scripts import load, load_all
load_all()
print(load.cache_info().currsize)
"""


def test_scripts_are_read_where_the_locale_is_ascii() -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD_ALL],
        env={**os.environ, **ascii_only},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    assert int(done.stdout) > 20
