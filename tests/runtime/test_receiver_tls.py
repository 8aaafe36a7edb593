"""`up` with a certificate that is not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_nothing_is_started_where_the_receiver_can_have_no_tls(tmp_path: Path) -> None:
    certificate = tmp_path / "gone.pem"
    settings = f"receiver: {{port: 0, tls: {{certificate: {certificate}}}}}\nweb: {{port: 0}}\n"
    (tmp_path / "isocenter.yaml").write_text(settings)
    done = subprocess.run(
        [sys.executable, "-m", "isocenter.cli.main", "up", "--data-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    assert done.returncode == 1
    assert f"TLS certificate {certificate} cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "postgres" / "data").exists()
