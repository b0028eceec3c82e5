# SPDX-License-Identifier: GPL-2.0-only
"""Low-memory devices to test on: the engine's environment profiles (`memprobe-bpf env`)."""

import os
import shlex
import subprocess
from typing import Any, Dict, List, Optional

from ._engine import command as engine_command
from ._engine import query, run

__all__ = ["EnvironmentSimulator"]


class EnvironmentSimulator:
    """Profiles by their name or their id. Every method raises EngineError where there is no engine, or
    one that knows no profiles."""

    def list_profiles(self) -> List[Dict[str, Any]]:
        """Of each at least name, id, total_mem_mb, swap_size_mb."""
        profiles = query("env", "list")
        return [profile for profile in profiles if isinstance(profile, dict)]

    def get_profile(self, name: str) -> Optional[Dict[str, Any]]:
        """None: there is none of that name or id."""
        return next((profile for profile in self.list_profiles()
                     if name in (profile.get("name"), profile.get("id"))), None)

    def print_profiles(self) -> None:
        """One line each."""
        for number, profile in enumerate(self.list_profiles(), 1):
            print(f"{number}. {profile.get('name')} - {profile.get('total_mem_mb')}MB RAM, "
                  f"Swap: {profile.get('swap_size_mb')}MB")

    def generate_docker_command(self, profile_name: str, image: Optional[str] = None,
                                command: Optional[str] = None) -> str:
        """A shell command that runs `command` (as a shell would split it), or what the image runs by
        itself, in a container of that size. ValueError: no such profile."""
        self._require(profile_name)
        arguments = ["env", "docker", profile_name]
        if image:
            arguments += ["--image", image]
        if command:
            arguments += ["--", *shlex.split(command)]
        return run(*arguments).strip()

    def create_test_script(self, profile_name: str, output_path: str = "run_memory_test.sh",
                           command: Optional[str] = None) -> bool:
        """Writes that command as an executable script. ValueError: no such profile. OSError."""
        docker = self.generate_docker_command(profile_name, command=command)
        temporary = f"{output_path}.tmp.{os.getpid()}"
        with open(temporary, "w", encoding="utf-8") as script:
            script.write(f"#!/bin/sh\n# A device with little memory: {profile_name}\nexec {docker}\n")
        os.chmod(temporary, 0o755)
        os.replace(temporary, output_path)
        return True

    def run_docker_container(self, profile_name: str, image: Optional[str] = None,
                             command: Optional[str] = None) -> int:
        """Runs that command; its exit code. ValueError: no such profile. OSError: no docker."""
        docker = shlex.split(self.generate_docker_command(profile_name, image, command))
        return subprocess.run(docker, check=False).returncode

    def run(self, profile_name: str, command: str, engine: str = "cgroup") -> int:
        """Runs a command (as a shell would split it) in a device of that size made by `engine`:
        cgroup, docker or podman. Its exit code; 7 when its memory ran out."""
        self._require(profile_name)
        line = engine_command("env", "run", profile_name, "--engine", engine, "--",
                              *shlex.split(command))
        return subprocess.run(line, check=False).returncode

    def _require(self, profile_name: str) -> None:
        if self.get_profile(profile_name) is None:
            raise ValueError(f"no environment profile {profile_name!r}: there are "
                             f"{', '.join(str(each.get('name')) for each in self.list_profiles())}")
