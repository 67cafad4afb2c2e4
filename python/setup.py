"""The package takes along the library of the tree that it is installed from, where `make build` was run there."""

import os
import shutil

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

LIBRARY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib", "libfamfs.so")


class BuildWithLibrary(build_py):
    def run(self):
        super().run()
        target = os.path.join(self.build_lib, "famfs", "libfamfs.so")
        if os.path.exists(LIBRARY):
            shutil.copy(LIBRARY, target)
        elif os.path.exists(target):
            os.remove(target)


class ForThisMachine(Distribution):
    def has_ext_modules(self):
        return os.path.exists(LIBRARY)


setup(cmdclass={"build_py": BuildWithLibrary}, distclass=ForThisMachine)
