"""
List or remove what is below directories of this container: ``python3 -c TEXT list
DIRECTORY…`` prints every path, ``python3 -c TEXT remove SIZE DIRECTORY…`` removes all but
the paths that it reads, SIZE bytes of them. Paths are bytes, and end with NUL.

Only the container's own file system counts: nothing in another mount is listed or
removed, be it a bind, a volume, or of the same device. Not in the volume: the text is
sent along, so that the Python of any image can run it.
"""

import errno
import os
import sys

ROOT = b"/"
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
# It is gone already; it has something in it that stays; something is mounted on it.
HARMLESS = (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY)


def walk(directories, visit):
    """Visit what is in each directory, and then the directory."""
    root = os.open(ROOT, DIRECTORY)
    own = mount_of(root)
    os.close(root)
    for path in directories:
        above, name = os.path.split(path)
        try:
            parent = os.open(above, DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if mount_of(parent) == own:
            enter(parent, name, path, own, visit)
        os.close(parent)


def enter(parent, name, path, own, visit):
    try:
        # A link is followed nowhere, whoever puts one here meanwhile.
        directory = os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except OSError as exc:
        if exc.errno in (errno.ENOTDIR, errno.ELOOP):
            visit(os.unlink, parent, name, path)
        elif exc.errno != errno.ENOENT:
            raise
        return
    try:
        if mount_of(directory) != own:
            return
        for child in map(os.fsencode, os.listdir(directory)):
            enter(directory, child, path + b"/" + child, own, visit)
    finally:
        os.close(directory)
    visit(os.rmdir, parent, name, path)


def mount_of(descriptor):
    """The number of the mount that an open directory is in: a device may have several."""
    with open("/proc/self/fdinfo/%d" % descriptor) as lines:
        return next(line.split()[1] for line in lines if line.startswith("mnt_id:"))


def found(directories):
    paths = []
    walk(directories, lambda _remove, _parent, _name, path: paths.append(path))
    return paths


def remove(directories, kept):
    def unless_kept(remove, parent, name, path):
        if path in kept:
            return
        try:
            remove(name, dir_fd=parent)
        except OSError as exc:
            if exc.errno not in HARMLESS:
                sys.exit("can't remove %a: %s" % (os.fsdecode(path), exc.strerror))

    walk(directories, unless_kept)


def main(what, *arguments):
    sys.setrecursionlimit(10000)
    arguments = list(map(os.fsencode, arguments))
    if what == "list":
        sys.stdout.buffer.write(b"".join(path + b"\0" for path in found(arguments)))
    else:
        kept = sys.stdin.buffer.read(int(arguments.pop(0)))
        remove(arguments, set(kept.split(b"\0")))


if __name__ == "__main__":
    main(*sys.argv[1:])
