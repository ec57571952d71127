"""Types of options that several commands have."""

import argparse

from webhook.daemon.admin import Address

_MAX_PORT = 65535


def address(text: str) -> Address:
    """HOST:PORT to listen on."""
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > _MAX_PORT:
        raise argparse.ArgumentTypeError(f'"{text}" is not HOST:PORT, such as 0.0.0.0:8443')
    return Address(host.strip("[]"), int(port))
