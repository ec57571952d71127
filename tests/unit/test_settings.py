"""The settings file: it gives settings, or a sentence."""

import pytest

from hazelcast_sidecar.errors import InvalidSettingsError
from hazelcast_sidecar.names import PREFIX
from hazelcast_sidecar.spec.annotations import DefaultSpecs
from hazelcast_sidecar.spec.settings import Settings, read

FILE = """
defaults:
  image: r.example/hazelcast:5.7.0   # a comment
  cpu-limit: 2
  metrics: true
namespaces:
  team-a: {memory-limit: 1Gi, cpu-limit: 0.5}
runAsUser: 1000
imagePullSecrets:
  - name: mirror
  - {name: other.mirror}
  - name: mirror
"""


def test_a_file_is_settings_with_every_value_as_it_is_written() -> None:
    assert read(FILE) == Settings(
        {"image": "r.example/hazelcast:5.7.0", "cpu-limit": "2", "metrics": "true"},
        {"team-a": {"memory-limit": "1Gi", "cpu-limit": "0.5"}},
        1000,
        ("mirror", "other.mirror"),
    )


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}", "---\n"])
def test_an_empty_file_is_the_shipped_settings(text: str) -> None:
    assert read(text) == Settings()


def test_the_user_may_be_left_to_the_platform() -> None:
    assert read("runAsUser: platform").run_as_user is None
    assert [read(f"runAsUser: {user}").run_as_user for user in (1, 2147483647)] == [1, 2147483647]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("defaults: [image]", "Expected `object`, got `array` - at `$.defaults`"),
        ("default: {image: x}", "unknown field `default`"),
        ("defaults: {image: {}}", "Expected `str`, got `object`"),
        ("- a", "Expected `object`, got `array`"),
        ("defaults: {port: 1, port: 2}", "port is there twice"),
        ("runAsUser: root", '"root" is neither a user from 1 to 2147483647 nor "platform"'),
        ("runAsUser: 0", '"0" is neither'),
        ("imagePullSecrets: [mirror]", "Expected `object`, got `str` - at `$.imagePullSecrets[0]`"),
        ("imagePullSecrets: [{names: mirror}]", "unknown field `names`"),
        ("imagePullSecrets: [{name: A/B}]", 'imagePullSecrets: "A/B" is not the name of a Kubernetes object'),
        ("a: [", "expected the node content"),
        ("defaults: &a {image: *a}", "unconstructable recursive node"),
        ("[" * 1000, "settings: "),
        ("a: \x00", "special characters are not allowed"),
    ],
)
def test_what_is_no_settings_document_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InvalidSettingsError) as refusal:
        read(text)
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_namespace_outranks_what_holds_for_all() -> None:
    specs = DefaultSpecs(read(FILE))
    here, elsewhere = specs.of("team-a").values, specs.of("team-b").values
    assert (here["cpu_limit"], here["memory_limit"], here["metrics"]) == ("0.5", "1Gi", True)
    assert (elsewhere["cpu_limit"], elsewhere["memory_limit"], elsewhere["metrics"]) == ("2", "512Mi", True)


@pytest.mark.parametrize(
    ("settings", "problems"),
    [
        (Settings({"memory": "1Gi"}), ['default memory: no such annotation (did you mean "memory-limit"?)']),
        (Settings({"inject": "true"}), ["default inject: it cannot have a default; annotate each workload"]),
        (
            Settings({"extensions": "jars"}),
            ["default extensions: it cannot have a default; annotate each workload"],
        ),
        (
            Settings({"cpu-request": "4"}),
            [f"{PREFIX}cpu-request: 4 is more than the limit of 2 ({PREFIX}cpu-limit)"],
        ),
        (
            Settings({}, {"team-a": {"prot": "1"}, "team-b": {"port": "x"}}),
            [
                'default for namespace team-a: prot: no such annotation (did you mean "port"?)',
                'default for namespace team-b: port: "x" is not an integer from 1024 to 65533',
            ],
        ),
    ],
)
def test_every_default_that_cannot_be_used_is_said(settings: Settings, problems: list[str]) -> None:
    with pytest.raises(InvalidSettingsError) as refusal:
        DefaultSpecs(settings)
    assert [str(problem) for problem in refusal.value.problems] == problems
