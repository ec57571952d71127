#!/usr/bin/env python3
"""Make the development certificates: an authority of its own and the webhook's leaf certificate.

They land where the kustomization of `manifests/overlays/dev` picks them up. The authority's key signs this
one leaf and is then forgotten, unless --keep-ca-key asks for it: a key that is not there cannot be stolen.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from hazelcast_sidecar.certificates import (
    AUTHORITY_LIFETIME,
    LEAF_LIFETIME,
    KeyPair,
    flaw,
    make_authority,
    make_leaf,
    validity,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

SERVICE = "hazelcast-sidecar-injector"
NAMESPACE = "hazelcast-sidecar-injector"
# The API server asks for the .svc name; the others serve people who look with curl, also without a cluster.
NAMES = (
    f"{SERVICE}.{NAMESPACE}.svc",
    f"{SERVICE}.{NAMESPACE}.svc.cluster.local",
    f"{SERVICE}.{NAMESPACE}",
    SERVICE,
    "localhost",
    "127.0.0.1",
)
FOLDER = Path(__file__).resolve().parent.parent / "manifests" / "overlays" / "dev" / "tls"
PUBLIC, PRIVATE = 0o644, 0o600
LONGEST_DAYS = 36500


def main(arguments: Sequence[str] | None = None) -> int:
    """Make what is missing or no longer good; leave what is good alone."""
    options = parser().parse_args(arguments)
    now = datetime.now(UTC)
    names = [*NAMES, *options.name]
    if not options.force:
        why = flaw_of_files(options.into, names, now)
        if why is None:
            ends = validity((options.into / "tls.crt").read_bytes()).ends
            say(f"The certificates in {shown(options.into)} are good until {ends:%Y-%m-%d}: nothing to do.")
            say("Use --force to replace them: make certs ARGS=--force")
            return 0
        say(f"Making certificates: {why}.")
    authority = make_authority(now, lifetime=timedelta(days=options.ca_days))
    leaf = make_leaf(authority, names, now, lifetime=timedelta(days=options.days))
    try:
        write(options.into, authority, leaf, keep_ca_key=options.keep_ca_key)
    except OSError as error:
        print(f"error: cannot write the certificates: {error}", file=sys.stderr)  # noqa: T201
        return 1
    report(options.into, authority, leaf, names, keep_ca_key=options.keep_ca_key)
    return 0


def parser() -> argparse.ArgumentParser:
    """Declare the options; the defaults suit the development overlay."""
    made = argparse.ArgumentParser(prog="certs/make.py", description=__doc__.split("\n", 1)[0])
    made.add_argument("--into", type=Path, default=FOLDER, metavar="DIR", help="folder for the files")
    made.add_argument("--name", action="append", default=[], help="a further DNS name or IP address")
    made.add_argument(
        "--days", type=positive, default=LEAF_LIFETIME.days, help="lifetime of the leaf (%(default)s)"
    )
    made.add_argument(
        "--ca-days", type=positive, default=AUTHORITY_LIFETIME.days, help="lifetime of the CA (%(default)s)"
    )
    made.add_argument("--force", action="store_true", help="replace certificates that are still good")
    made.add_argument("--keep-ca-key", action="store_true", help="also write ca.key, to sign more leaves")
    return made


def positive(text: str) -> int:
    """Parse a number of days; a lifetime of 0 would fail only when the certificate is used."""
    if not text.isdecimal() or not 1 <= int(text) <= LONGEST_DAYS:
        raise argparse.ArgumentTypeError(f'"{text}" is not a number of days from 1 to {LONGEST_DAYS}')
    return int(text)


def flaw_of_files(folder: Path, names: Sequence[str], now: datetime) -> str | None:
    """Why the files in `folder` will not do; None when they will."""
    try:
        certificate, key, ca_bundle = (
            (folder / file).read_bytes() for file in ("tls.crt", "tls.key", "ca.crt")
        )
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except OSError as error:
        return f"{error.filename} cannot be read ({error.strerror})"
    return flaw(KeyPair(certificate, key), ca_bundle, names, now)


def write(folder: Path, authority: KeyPair, leaf: KeyPair, *, keep_ca_key: bool) -> None:
    """Write the files; a ca.key of an earlier authority goes, since it signs nothing that is trusted now."""
    folder.mkdir(parents=True, exist_ok=True)
    replace(folder / "ca.crt", authority.certificate, PUBLIC)
    replace(folder / "tls.crt", leaf.certificate, PUBLIC)
    replace(folder / "tls.key", leaf.key, PRIVATE)
    if keep_ca_key:
        replace(folder / "ca.key", authority.key, PRIVATE)
    else:
        (folder / "ca.key").unlink(missing_ok=True)


def replace(path: Path, content: bytes, mode: int) -> None:
    """Write beside and rename: no reader sees half a file, and a key is never readable for a moment."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    beside.touch(mode=mode)
    beside.write_bytes(content)
    beside.chmod(mode)
    beside.replace(path)


def report(
    folder: Path, authority: KeyPair, leaf: KeyPair, names: Sequence[str], *, keep_ca_key: bool
) -> None:
    """Say what was made, for whom, and until when it is good."""
    ca, server = validity(authority.certificate), validity(leaf.certificate)
    say(f"Made in {shown(folder)}:")
    say(f"  ca.crt   the authority, good until {ca.ends:%Y-%m-%d}")
    say(f"  tls.crt  the webhook's certificate, good until {server.ends:%Y-%m-%d}, for:")
    for name in names:
        say(f"             {name}")
    say("  tls.key  its private key")
    if keep_ca_key:
        say("  ca.key   the authority's private key: whoever has it can pose as the webhook")
    else:
        say("The authority's key was not kept (--keep-ca-key keeps it).")
    say("Next: kubectl apply -k manifests/overlays/dev")


def shown(path: Path) -> str:
    """Return a path as people type it: relative to the current directory, if it is below."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def say(line: str) -> None:
    """Print a line for people."""
    print(line)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
