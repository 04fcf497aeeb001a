#!/usr/bin/env python3
"""The image of docs/docker/Dockerfile has every shared library that the programs need: what its last stage installs, with what
that depends on and what the base image has, contains each library that the loader finds here. Skipped (77) where dpkg does not
know the programs' libraries.

usage: docker_packages.py DOCKERFILE PROGRAM...
"""
import os
import re
import subprocess
import sys


def ask(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def declared(dockerfile):
    """Packages of the last stage."""
    with open(dockerfile, encoding="utf-8") as file:
        last = file.read().split("\nFROM ")[-1].replace("\\\n", " ")
    words = re.search(r"apt-get install ([^&\n]*)", last).group(1).split()
    return [word for word in words if not word.startswith("-")]


def installed():
    """Of every installed package: whether a base image has it, and what it depends on (the first of alternatives)."""
    packages = {}
    for line in ask("dpkg-query", "-W", "-f", "${Package}\t${Essential}\t${Priority}\t${Pre-Depends}, ${Depends}\n").splitlines():
        name, essential, priority, depends = line.split("\t")
        names = [re.split(r"[ :(|]", part.strip())[0] for part in depends.split(",") if part.strip()]
        packages[name] = (essential == "yes" or priority == "required" or name == "apt", names)
    return packages


def closure(names, packages):
    found, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name in found or name not in packages:
            continue
        found.add(name)
        waiting += packages[name][1]
    return found


def owner(path):
    real = os.path.realpath(path)
    for candidate in (path, real, real.removeprefix("/usr"), "/usr" + real):
        if names := ask("dpkg", "-S", candidate):
            return names.split(":")[0]
    return None


def main():
    dockerfile, *programs = sys.argv[1:]
    packages = installed()
    if not packages:
        print("no dpkg here")
        return 77
    base = [name for name, (in_base, _) in packages.items() if in_base]
    image = closure(base + declared(dockerfile), packages)
    missing = [name for name in declared(dockerfile) if name not in packages]
    failures = [f"{name} is not a package that the build uses" for name in missing]
    for program in programs:
        libraries = re.findall(r"=> (/\S+)", ask("ldd", program))
        if not libraries:
            failures.append(f"{program}: ldd finds nothing")
        for library in libraries:
            package = owner(library)
            if package not in image:
                failures.append(f"{os.path.basename(program)} needs {library} of {package}")
    print("\n".join(failures) or f"{len(programs)} programs, {len(declared(dockerfile))} packages: nothing is missing")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
