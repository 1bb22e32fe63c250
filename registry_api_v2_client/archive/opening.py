"""Opens what holds images: a tar, or the folder of an OCI layout."""

import os
from pathlib import Path

from .files import ArchiveFiles
from .folder_files import FolderFiles
from .source import Source, TarSource
from .source_file import OpenFile, SourceFile, check_name
from .source_folder import SourceFolder
from .tar_index import TarIndex
from .tar_stream import TarStream


def open_source(path: str | Path, open_file: OpenFile = os.open) -> SourceFile | SourceFolder:
    """Open a tar or a folder. Blocking.

    Raises:
        SourceUnreadableError: missing, neither a regular file nor a layout, or not readable.
    """
    check_name(path)
    try:
        folder = open_file(str(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # a file, or else this says what is wrong
        return SourceFile(path, open_file)
    return SourceFolder(path, folder)


def open_files(source: Source) -> ArchiveFiles:
    """The files in an open source. Blocking while a tar is indexed.

    Raises:
        SourceUnreadableError: it cannot be read.
        TarReadError: not a tar, or a broken one.
    """
    match source:
        case SourceFolder():
            return FolderFiles(source)
        case TarStream():
            return source.files
        case TarSource():
            return TarIndex(source)
    raise TypeError(f"{source!r} has no files")
