"""Builds the library from the tree that this recipe is in:

    conan create packaging/conan
"""

import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.files import copy, load, rm, rmdir


class LibeventsourceConan(ConanFile):
    name = "libeventsource"
    description = "EventSource for native programs: server-sent events"
    license = "MIT OR Apache-2.0"
    url = homepage = "https://github.com/libeventsource/libeventsource"
    topics = ("eventsource", "sse", "server-sent-events")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False]}
    default_options = {"shared": False}

    def _tree(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        cargo = load(self, os.path.join(self._tree(), "Cargo.toml"))
        self.version = re.search(r'^version = "(.*)"', cargo, re.M).group(1)

    def export_sources(self):
        copy(self, "*", self._tree(), self.export_sources_folder,
             excludes=("target*", ".git*"))

    def configure(self):
        # The interface is C's, and the library is built for release always.
        self.settings.rm_safe("compiler.cppstd")
        self.settings.rm_safe("compiler.libcxx")

    def package_id(self):
        del self.info.settings.compiler
        del self.info.settings.build_type

    def validate(self):
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("needs Linux")

    def _make(self, arguments):
        target = os.path.join(self.build_folder, "target")
        self.run(f'make -C "{self.source_folder}" {arguments} '
                 f'CARGO_TARGET_DIR="{target}"')

    def build(self):
        self._make("library")

    def package(self):
        self._make(f'install DESTDIR="{self.package_folder}" PREFIX=')
        licenses = os.path.join(self.package_folder, "licenses")
        copy(self, "*", os.path.join(self.source_folder, "LICENSES"), licenses)
        copy(self, "LICENSE-THIRD-PARTY", self.source_folder, licenses)
        lib = os.path.join(self.package_folder, "lib")
        # Conan tells pkg-config and CMake itself; the command is for systems.
        for name in ("bin", "share", "lib/pkgconfig", "lib/cmake"):
            rmdir(self, os.path.join(self.package_folder, name))
        rm(self, "*.a" if self.options.shared else "*.so*", lib)

    def package_info(self):
        self.cpp_info.libs = ["eventsource"]
        self.cpp_info.set_property("pkg_config_name", "eventsource")
        self.cpp_info.set_property("cmake_file_name", "eventsource")
        self.cpp_info.set_property("cmake_target_name",
                                   "eventsource::eventsource")
        if not self.options.shared:
            self.cpp_info.system_libs = ["pthread", "dl", "m"]
