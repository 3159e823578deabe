"""Create or update the virtual environment that holds sparseopt, compiled. Standard library only.

Three stages, each stamped by the content it depends on; a stage is done again when its stamp differs or an earlier
stage ran:
  interpreter   the environment itself: which Python, which checkout
  packages      the pinned packages and torch: pyproject.toml, constraints.txt, this file
  native        the compiled core: its sources, the compilers, the CUDA switch
The stamp of a stage is written only after it ended well, so an interrupted set-up goes on where it stopped.

torch: the one that the interpreter has already, else the CPU wheel, never the multi-gigabyte CUDA packages.
Environment: SPARSEOPT_TORCH=none goes on without torch; SPARSEOPT_REQUIRE_NATIVE=0 allows a build without the compiled
core, =1 forbids it (default: required where a C++ compiler is found); SPARSEOPT_CUDA=AUTO|ON|OFF.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
TORCH = "2.13.0"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
EXTRAS = "cli,sklearn,certify,testing,figures,dask,slurm,pep,test,lint"
TORCH_EXTRAS = "torch,hf,lightning,channels,onnx"  # what the tests of pruning use; torch is installed before them
STAGES = ("interpreter", "packages", "native")


def say(text):
    """Print a line of progress."""
    print("[setup] " + text, flush=True)


def fail(text):
    """End with exit status 1 and a sentence."""
    sys.exit("[setup] " + text)


def digest(parts, files=()):
    """sha256 over strings and over the names and contents of files."""
    h = hashlib.sha256()
    for part in parts:
        h.update(repr(part).encode() + b"\0")
    for path in sorted(files):
        h.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return h.hexdigest()


def compiler():
    """Path of the C++ compiler that CMake would take, or None."""
    names = [os.environ["CXX"].split()[0]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    return next((found for found in map(shutil.which, names) if found), None)


def native_required():
    """'1' or '0': whether a failed build of the compiled core is an error."""
    wanted = os.environ.get("SPARSEOPT_REQUIRE_NATIVE", "")
    return wanted if wanted in ("0", "1") else ("1" if compiler() else "0")


def interpreter_has(module):
    """Whether the running interpreter has a package, found without importing it."""
    code = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"
    return subprocess.run([sys.executable, "-c", code], cwd="/", check=False).returncode == 0


def native_sources():
    """Paths of all that the compiled core is built from."""
    folder = ROOT / "sparseopt" / "_native"
    return [p for p in [folder / "CMakeLists.txt", *folder.glob("csrc/**/*")] if p.is_file()]


def wanted_stamps(kernels):
    """The stamp of each stage as it should be now. Each contains the one before it."""
    interpreter = digest([sys.version, os.path.realpath(sys.executable), str(ROOT), interpreter_has("torch"), kernels])
    pins = [ROOT / "pyproject.toml", ROOT / "constraints.txt", Path(__file__).resolve()]
    packages = digest([interpreter, os.environ.get("SPARSEOPT_TORCH", "")], pins)
    tools = [compiler(), shutil.which("nvcc"), os.environ.get("SPARSEOPT_CUDA", "AUTO"), native_required()]
    return {
        "interpreter": interpreter,
        "packages": packages,
        "native": digest([packages, *tools], native_sources()),
    }


def stages_to_do(wanted, found):
    """The stages from the first whose stamp differs, to the last."""
    first = next((i for i, stage in enumerate(STAGES) if found.get(stage) != wanted[stage]), len(STAGES))
    return STAGES[first:]


def read_stamps(path):
    """Stage -> stamp, as written by the last set-up; none where the file is missing or broken."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def write_stamps(path, stamps):
    """Replace the file in one step: never half written."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(stamps, indent=1) + "\n")
    os.replace(new, path)


@contextmanager
def locked():
    """One set-up at a time in this checkout."""
    (ROOT / "build").mkdir(exist_ok=True)
    with open(ROOT / "build" / "setup.lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


class Environment:
    """A virtual environment under construction. kernels: only what the compiled kernels need, nothing downloaded."""

    def __init__(self, folder, kernels):
        self.folder, self.kernels = folder, kernels
        self.python = folder / "bin" / "python"
        self.shares = kernels or interpreter_has("torch")  # sees the packages of the interpreter

    def pip(self, *arguments, quiet_failure=False):
        """Run pip install with the pins; returns whether it went well."""
        options = ["-q", "--disable-pip-version-check", "--no-compile"]
        command = [str(self.python), "-m", "pip", "install", *options, *arguments]
        env = dict(os.environ, SPARSEOPT_REQUIRE_NATIVE=native_required())
        result = subprocess.run(command, cwd=ROOT, env=env, check=False, stderr=subprocess.PIPE, text=True)
        if result.returncode and not quiet_failure:
            sys.stderr.write(result.stderr)
        return result.returncode == 0

    def interpreter(self):
        """Make the environment anew."""
        say(f"creating {self.folder.name} with Python {sys.version.split()[0]}")
        if self.folder.exists():
            shutil.rmtree(self.folder)
        try:
            venv.EnvBuilder(with_pip=True, system_site_packages=self.shares).create(self.folder)
        except (subprocess.CalledProcessError, ImportError):
            fail("Python cannot create virtual environments: install its venv and ensurepip modules (python3-venv).")
        if self.shares and sys.prefix != sys.base_prefix:  # the interpreter is itself an environment: link its packages
            site = next((self.folder / "lib").glob("python*")) / "site-packages"
            (site / "_interpreter.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")

    def packages(self):
        """Install torch where it is missing, and everything pinned."""
        if self.kernels:
            return self.kernel_packages()
        self.torch()
        say("installing the pinned packages")
        build = ["scikit-build-core", "nanobind"]
        build += [tool for tool in ("cmake", "ninja") if not shutil.which(tool)]
        torchless = os.environ.get("SPARSEOPT_TORCH", "") == "none"
        extras = read_requirements(EXTRAS if torchless else f"{EXTRAS},{TORCH_EXTRAS}")
        if not self.pip("-c", "constraints.txt", *build, *extras):
            fail("the pinned packages could not be installed; see the message of pip above.")
        self.compile()
        return None

    def compile(self):
        """Bytecode of the packages, on all cores, where pip would use one; not with PIP_NO_COMPILE=1."""
        if os.environ.get("PIP_NO_COMPILE", "0") in ("", "0"):
            packages = next((self.folder / "lib").glob("python*")) / "site-packages"
            command = [str(self.python), "-m", "compileall", "-q", "-j", "0", str(packages)]
            subprocess.run(command, check=False, capture_output=True)  # templates in packages are no Python

    def kernel_packages(self):
        """What the package itself needs beside torch: there already, else installed, else the copy inside scipy."""
        missing = [name for name in ("numpy", "scipy", "array_api_compat") if not self.has(name)]
        if not missing or self.pip("-c", "constraints.txt", *missing, quiet_failure=True):
            return
        if missing != ["array_api_compat"]:
            fail("{} missing, and not to be installed: choose an interpreter that has them.".format(", ".join(missing)))
        say("using the array_api_compat inside scipy")
        site = next((self.folder / "lib").glob("python*")) / "site-packages"
        alias = "import sys\n\nimport scipy._lib.array_api_compat as package\n\nsys.modules[__name__] = package\n"
        (site / "array_api_compat.py").write_text(alias)

    def has(self, module):
        """Whether the environment has a package."""
        code = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"
        return subprocess.run([str(self.python), "-c", code], cwd="/", check=False).returncode == 0

    def torch(self):
        """Install the CPU wheel of torch, unless the interpreter has its own or SPARSEOPT_TORCH=none."""
        choice = os.environ.get("SPARSEOPT_TORCH", "")
        if choice == "none":
            return say("going on without torch, as SPARSEOPT_TORCH=none asks")
        if self.shares:
            return say("using the torch that this interpreter has")
        wheel = "torch=={}{}".format(TORCH, "+cpu" if sys.platform == "linux" else "")
        say(f"installing {wheel}")
        if self.pip("-c", "constraints.txt", wheel, quiet_failure=True):
            return None
        index = ["--extra-index-url", TORCH_CPU_INDEX]
        if not self.pip(
            "-c", "constraints.txt", "--retries", "1", "--timeout", "20", *index, wheel, quiet_failure=True
        ):
            version = "{}.{}".format(*sys.version_info[:2])
            fail(
                f"no CPU build of torch {TORCH} was found for Python {version}: choose another interpreter "
                "(make setup PYTHON=...), or go on without torch (export SPARSEOPT_TORCH=none)."
            )
        return None

    def native(self):
        """Build the compiled core and install the checkout in place."""
        if native_required() == "1" and not compiler():
            fail("SPARSEOPT_REQUIRE_NATIVE=1, but no C++ compiler was found: install g++ 9 or newer, or clang++.")
        say(
            "building the compiled core" if compiler() else "no C++ compiler found: installing sparseopt in pure Python"
        )
        offline = ["--no-index"] if self.kernels else []
        if not self.pip("--no-build-isolation", "--no-deps", *offline, "-e", "."):
            fail("the build failed; see the message above. SPARSEOPT_REQUIRE_NATIVE=0 goes on in pure Python.")


def read_requirements(extras):
    """Requirements of the project and of some extras, from pyproject.toml."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    chosen = list(project["dependencies"])
    for extra in extras.split(","):
        chosen += project["optional-dependencies"][extra]
    return chosen


def outside_environment(folder):
    """When run by the environment's own Python, start again with the interpreter that made it."""
    if Path(sys.prefix).resolve() == folder and sys.prefix != sys.base_prefix:
        made_by = read_stamps(folder / "setup.json").get("executable", sys._base_executable)
        os.execv(made_by, [made_by, *sys.argv])


def set_up(folder, kernels):
    """Bring the environment up to date: the first stage that changed, and all after it."""
    start = time.time()
    stamps_file = folder / "setup.json"
    wanted, found = wanted_stamps(kernels), read_stamps(stamps_file)
    todo = stages_to_do(wanted, found)
    if not todo:
        return say(f"{folder.name} is up to date")
    environment = Environment(folder, kernels)
    done = {stage: wanted[stage] for stage in STAGES if stage not in todo}
    done["executable"] = sys.executable
    for stage in todo:
        if folder.exists():
            write_stamps(stamps_file, done)
        getattr(environment, stage)()
        done[stage] = wanted[stage]
    write_stamps(stamps_file, done)
    return say(f"{folder.name} is ready ({time.time() - start:.0f} s)")


def main():
    """Read the arguments, and set up one environment at a time."""
    parser = argparse.ArgumentParser(description="create or update the environment of sparseopt")
    parser.add_argument("--venv", default=".venv", help="folder of the environment, inside the checkout")
    parser.add_argument(
        "--kernels", action="store_true", help="only the compiled kernels, with the interpreter's packages"
    )
    arguments = parser.parse_args()
    if sys.version_info < OLDEST_PYTHON:
        fail(
            "Python 3.11 or newer is needed, this is {}.{}: make setup PYTHON=python3.12".format(*sys.version_info[:2])
        )
    folder = (ROOT / arguments.venv).resolve()
    outside_environment(folder)
    with locked():
        set_up(folder, arguments.kernels)


if __name__ == "__main__":
    main()
