"""What the doctor says of ports."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from isocenter.runtime.doctor import ports
from isocenter.runtime.layout import Layout
from isocenter.runtime.settings import Settings
from isocenter.runtime.state_files import process_identity, write_state


def test_the_ports_of_the_platform_that_runs_are_looked_at(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.run.mkdir(parents=True)
    settings = Settings(data_dir=tmp_path, web={"port": 1}, receiver={"port": 2})
    with socket.create_server(("127.0.0.1", 0)) as http, socket.create_server(("", 0)) as dicom:
        http_port, dicom_port = http.getsockname()[1], dicom.getsockname()[1]
        me = process_identity(os.getpid())
        write_state(layout.run / "web.json", {**me, "host": "127.0.0.1", "port": http_port})
        addresses = [{"host": "0.0.0.0", "port": dicom_port}]
        write_state(layout.run / "receiver.json", {**me, "addresses": addresses})
        found = {each.what: each.text for each in ports(settings, layout)}

    assert found["HTTP port"] == f"{http_port} is held by our own platform"
    assert found["DICOM port"] == f"{dicom_port} is held by our own platform"


def test_the_ports_of_the_settings_where_none_runs(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, web={"port": 0}, receiver={"port": 0})
    found = {each.what: each.text for each in ports(settings, Layout(tmp_path))}
    assert found == {"HTTP port": "any free one", "DICOM port": "any free one"}
