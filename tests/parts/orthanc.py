"""A real PACS: Orthanc on loopback, its data in a folder of the test."""

import json
import subprocess
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parts.programs import installed, program
from parts.waiting import PATIENCE_S, free_port, listens, wait_until

__all__ = ["Orthanc"]

AE_TITLE = "ORTHANC"
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@dataclass
class Orthanc:
    """Started and stopped by the test that needs it; ``dicomweb`` makes it speak DICOMweb too."""

    root: Path
    dicomweb: bool = False
    dicom_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Where it is; its DICOMweb root is ``/dicom-web``."""
        return f"http://127.0.0.1:{self.http_port}"

    def start(self) -> None:
        if self.dicomweb:
            installed(DICOMWEB)
        self.root.mkdir()
        settings = self.root / "orthanc.json"
        settings.write_text(json.dumps(self._settings()))
        with (self.root / "orthanc.log").open("wb") as log:
            self.process = subprocess.Popen(
                [program("Orthanc"), str(settings)], stdout=log, stderr=log
            )
        wait_until(
            "Orthanc listens",
            lambda: listens(self.dicom_port) and listens(self.http_port),
        )

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def instances(self) -> list[Path]:
        """Download everything it holds."""
        paths = []
        for name in json.loads(self._get("/instances")):
            path = self.root / f"{name}.dcm"
            path.write_bytes(self._get(f"/instances/{name}/file"))
            paths.append(path)
        return paths

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=PATIENCE_S) as answer:
            return bytes(answer.read())

    def _settings(self) -> dict[str, Any]:
        return {
            "Name": "test",
            "StorageDirectory": str(self.root / "storage"),
            "IndexDirectory": str(self.root / "storage"),
            "Plugins": [str(DICOMWEB)] if self.dicomweb else [],
            "DicomWeb": {
                "Enable": True,
                "Root": "/dicom-web/",
                "EnableWado": True,
                "WadoRoot": "/wado",
                "StudiesMetadata": "Full",
                "SeriesMetadata": "Full",
            },
            "DicomAet": AE_TITLE,
            "DicomPort": self.dicom_port,
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowStore": True,
            "UnknownSopClassAccepted": True,
            "HttpPort": self.http_port,
            "HttpBindAddresses": ["127.0.0.1"],
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
        }
