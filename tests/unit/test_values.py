"""Values of annotations: what is taken, and what is refused with a sentence that helps."""

from decimal import Decimal
from typing import Any

import pytest

from hazelcast_sidecar.spec import values

DEBUGGER = "-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address=*:5005"
JVM_OPTIONS = ("--add-opens=java.base/java.lang=ALL-UNNAMED", "-XX:+UseZGC")


@pytest.mark.parametrize(
    ("value_type", "text", "value"),
    [
        (values.boolean_type(), "true", True),
        (values.boolean_type(), "false", False),
        (values.integer_type(1, 99), "42", 42),
        (values.seconds_type(1, 3600), "90", 90),
        (values.seconds_type(1, 3600), "90s", 90),
        (values.seconds_type(1, 3600), "5m", 300),
        (values.seconds_type(1, 3600), "1h", 3600),
        (values.quantity_type("memory", "128Mi"), "0.5Gi", "0.5Gi"),
        (values.quantity_type("memory", "128Mi"), "1e9", "1e9"),
        (values.quantity_type("CPU", "1m"), "100E-3", "100E-3"),
        (values.quantity_type("memory", "128Mi"), "1E", "1E"),
        (values.group_type(), "a-1", "a-1"),
        (values.object_name_type("ConfigMap"), "my.config-1", "my.config-1"),
        (values.image_type(), "hazelcast/hazelcast:5.7.0", "hazelcast/hazelcast:5.7.0"),
        (
            values.image_type(),
            "r.example:5000/a/b__c@sha256:" + "0" * 64,
            "r.example:5000/a/b__c@sha256:" + "0" * 64,
        ),
        (values.cluster_name_type(), 'Läden $(X) "1"', 'Läden $(X) "1"'),
        (values.java_options_type(), " -Xmx1g\n-Da.b=c,d ", ("-Xmx1g", "-Da.b=c,d")),
        (values.java_options_type(), "--add-opens=java.base/java.lang=ALL-UNNAMED -XX:+UseZGC", JVM_OPTIONS),
        (values.java_options_type(), "-Xlog:gc*:stdout", ("-Xlog:gc*:stdout",)),
        (values.java_options_type(), DEBUGGER, (DEBUGGER,)),
        (values.java_options_type(), "", ()),
    ],
)
def test_valid_text_becomes_its_value(value_type: values.ValueType, text: str, value: Any) -> None:
    assert value_type.parse(text) == value


@pytest.mark.parametrize(
    ("value_type", "text", "sentence"),
    [
        (values.boolean_type(), "True", 'none of "true", "false" (did you mean "true"?)'),
        (values.boolean_type(), "", 'none of "true", "false"'),
        (values.choice_type("dns", "api"), "dnss", 'did you mean "dns"?'),
        (values.choice_type("WARN", "INFO"), "info", '(did you mean "INFO"?)'),
        (values.integer_type(1, 99), "100", "integer from 1 to 99"),
        (values.integer_type(1, 99), "4_2", "integer from 1 to 99"),
        (values.integer_type(1, 99), " 42", "integer from 1 to 99"),
        (values.integer_type(1, 99), "٤٢", "integer from 1 to 99"),  # digits, to Python
        (values.seconds_type(1, 3600), "2d", "is not between"),
        (values.seconds_type(1, 3600), "2w", 'such as "90s", "5m"'),
        (values.seconds_type(1, 3600), "2h", "between 1s and 3600s"),
        (values.quantity_type("memory", "128Mi"), "512m", 'did you mean "512Mi"?'),
        (values.quantity_type("memory", "128Mi"), "512", "less than 128Mi of memory"),
        (values.quantity_type("memory", "128Mi"), "512MB", "not a Kubernetes quantity"),
        (values.quantity_type("CPU", "1m"), "-1", "not a Kubernetes quantity"),
        (values.quantity_type("CPU", "1m"), "0", "less than 1m of CPU"),
        (values.group_type(), "Shop", "lower-case"),
        (values.group_type(), "a" * 54, "at most 53"),
        (values.group_type(), "a-\n", "lower-case"),
        (values.object_name_type("ConfigMap"), "a..b", "DNS subdomain"),
        (values.image_type(), "hazelcast:5.7.0 --privileged", "image reference"),
        (values.image_type(), "", "image reference"),
        (values.image_type(), "a..b/x", "image reference"),
        (values.image_type(), "a.-b/x", "image reference"),
        (values.image_type(), "a/" * 127 + "ab", "image reference"),
        (values.image_type(), "a:" + "1" * 600, "image reference"),
        (values.object_name_type("ConfigMap"), "a" * 254, "DNS subdomain"),
        (values.cluster_name_type(), "a\nb", "printable"),
        (values.cluster_name_type(), " a", "printable"),
        (values.java_options_type(), "-Da=?", "'-Da=?'"),
        (
            values.java_options_type(),
            "--add-opens java.base/java.lang=ALL-UNNAMED",
            "write --add-opens=MODULE",
        ),
        (values.java_options_type(), '-XX:OnOutOfMemoryError="kill -9 %p"', "write -XX:+ExitOn"),
        (values.java_options_type(), "-verbose:gc", "contains '-verbose:gc': write -Xlog:gc"),
        (values.java_options_type(), "-Da=$(HOME)", "contains '-Da=$(HOME)'"),
        (values.java_options_type(), "-Dx=1 y", "contains 'y'"),
        (values.java_options_type(), "-version", "options begin with -D, -X"),
        (values.java_options_type(), "-cp", "options begin with -D, -X"),
        (values.java_options_type(), "-Xss1m" * 1000, "longer than 4096"),
        (values.java_options_type(), "-Da='b c'", 'contains "-Da=\'b"'),
    ],
)
def test_invalid_text_is_refused_with_a_sentence(
    value_type: values.ValueType, text: str, sentence: str
) -> None:
    with pytest.raises(ValueError, match=r"^(is|contains) ") as refusal:
        value_type.parse(text)
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "number"),
    [("100m", Decimal("0.1")), ("2", Decimal(2)), ("1k", Decimal(1000)), ("512Mi", Decimal(512 * 1024**2))],
)
def test_a_quantity_is_the_number_that_kubernetes_reads(text: str, number: Decimal) -> None:
    assert values.quantity(text) == number
