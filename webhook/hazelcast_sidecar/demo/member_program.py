"""A member as a plain program, with the JVM command and environment of the image's `hz start`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

MAIN_CLASS: Final = "com.hazelcast.core.server.HazelcastMemberStarter"

# What Hazelcast requires of every JVM, and what its own start script passes.
_JDK_OPTIONS: Final = (
    "--add-modules=java.se",
    "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.management/sun.management=ALL-UNNAMED",
    "--add-opens=jdk.management/com.sun.management.internal=ALL-UNNAMED",
)

# The image logs through Log4j; the jar alone has the JDK's logging, whose default takes two lines per
# entry. The format is time, level, logger, message, and the stack trace if there is one.
_LOG_OPTIONS: Final = (
    "-Dhazelcast.logging.type=jdk",
    "-Djava.util.logging.SimpleFormatter.format=%1$tF %1$tT,%1$tL [%4$s] [%3$s]: %5$s%6$s%n",
)

# The image's JAVA_OPTS_DEFAULT.
_DEFAULT_OPTIONS: Final = ("-Djava.net.preferIPv4Stack=true", "-XX:MaxRAMPercentage=80.0")

# What a program needs of the user's shell. Everything else is left out: HZ_*, HAZELCAST_* and the JVM's own
# variables would change the member unnoticed.
_FROM_THE_SHELL: Final = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "TZ")


def java_command(  # noqa: PLR0913 (a container, and a stand-in for its Pod)
    java: Path,
    jars: Sequence[Path],
    env: Mapping[str, str],
    *,
    shares_network: bool = False,
    hosts_file: Path | None = None,
    memory_limit: int | None = None,
) -> list[str]:
    """Return the command that starts a member as the image does, from its container's environment.

    As in the image, JAVA_OPTS is split at white space and comes last, so it outranks the rest, and
    HAZELCAST_CONFIG names the configuration file.

    Args:
        java: The `java` command.
        jars: The class path.
        env: The container's variables: HAZELCAST_CONFIG, JAVA_OPTS, JAVA_OPTS_DEFAULT, MIN_HEAP_SIZE and
            MAX_HEAP_SIZE are read here; the member reads others itself (see `member_environment`).
        shares_network: Whether the network is not the member's alone, as in a Pod.
        hosts_file: Answers every name lookup of this JVM, in place of the cluster's DNS (see `hosts_text`).
        memory_limit: The container's memory limit in bytes, which heap percentages refer to.
    """
    options = [*_JDK_OPTIONS, *_LOG_OPTIONS]
    if "HAZELCAST_CONFIG" in env:
        options.append(f"-Dhazelcast.config={env['HAZELCAST_CONFIG']}")
    if shares_network:
        # Otherwise the member takes the port on every address, and the next one finds it busy.
        options.append("-Dhazelcast.socket.bind.any=false")
    if hosts_file is not None:
        options.append(f"-Djdk.net.hosts.file={hosts_file}")
    if memory_limit is not None:
        options.append(f"-XX:MaxRAM={memory_limit}")
    options += env["JAVA_OPTS_DEFAULT"].split() if "JAVA_OPTS_DEFAULT" in env else _DEFAULT_OPTIONS
    options += env.get("JAVA_OPTS", "").split()
    for variable, option in (("MIN_HEAP_SIZE", "-Xms"), ("MAX_HEAP_SIZE", "-Xmx")):
        if env.get(variable):
            options.append(option + env[variable])
    class_path = ":".join(map(str, jars))
    return [str(java), "-cp", class_path, *options, MAIN_CLASS]


def member_environment(container: Mapping[str, str], shell: Mapping[str, str]) -> dict[str, str]:
    """Return a member's variables: its container's, and of the calling shell's what any program needs."""
    return {name: shell[name] for name in _FROM_THE_SHELL if name in shell} | dict(container)


def hosts_text(service_dns: str, addresses: Iterable[str]) -> str:
    """Return a hosts file in which a headless Service's name has its Pods' addresses, as in DNS."""
    return "".join(f"{address} {service_dns}\n" for address in addresses)
