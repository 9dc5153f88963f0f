"""Builds the smallest program with the package, and runs it."""

import os

from conan import ConanFile
from conan.tools.build import can_run


class TestPackage(ConanFile):
    settings = "os", "arch", "compiler", "build_type"
    generators = "PkgConfigDeps", "VirtualRunEnv"

    def layout(self):
        target = os.path.join("..", "..", "..", "target", "conan")
        self.folders.build = self.folders.generators = target

    def requirements(self):
        self.requires(self.tested_reference_str)

    def build(self):
        program = os.path.join(self.source_folder, "version.c")
        self.run(f'PKG_CONFIG_PATH="{self.generators_folder}" sh -c \''
                 f'cc -o version "{program}" '
                 f'$(pkg-config --cflags --libs eventsource)\'')

    def test(self):
        if can_run(self):
            self.run(os.path.join(self.build_folder, "version"), env="conanrun")
