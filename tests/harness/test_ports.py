"""Ports that no other process takes."""

import socket
from contextlib import closing

from tests.harness.ports import free_ports, take_block


def test_blocks_of_two_processes_have_no_port_in_common() -> None:
    with closing(take_block()) as one, closing(take_block()) as other:
        assert {*one.take(300)}.isdisjoint(other.take(300))


def test_ports_are_handed_out_in_turn_and_busy_ones_passed_over() -> None:
    (first,) = free_ports(1)
    with socket.create_server(("127.0.0.1", first + 2)):
        assert first + 2 not in free_ports(3)
    assert free_ports(1) != [first]
